"""The prices against silicon: the published cases of Loihi whose events are known, with no fitted parameter.

Run it: ``python benchmarks/energy_cases.py``. Each row gives the core dynamic energy of one inference, first as spikes
times 23.6 pJ alone, then by every priced term of two published sets, beside the measurement. Counts and measurements:

* Frady et al. 2020, arXiv:2004.12691: 76,800 neurons, 60 steps, 667 to 750 input spikes (708.5) to all of them.
* Quartz (Lenz et al., arXiv:2309.16795), raw energy probes: 5,422 compartments counted from the network, one spike
  each; synaptic operations ~ multiply-adds of 28x28-6C5-P-12C5-P-120C4-10; neurons count as active, because
  time-to-first-spike ramps integrate every step. T = 51 is left out: its accuracy collapsed.
* LSNN on sequential MNIST (intel-nrc-ecosystem/models): 430 compartments, 840 steps, spikes unknown: a floor.
* PilotNet LIF on Loihi 2 (lava-dl benchmark notebook, three committed runs): 158,509 neurons, 16 steps, 2.288e6
  operations a step. The columns use the prices of Loihi 1; the last line prices it with the profile loihi2, which was
  read from these very runs and is no independent check.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from snndeploy.energy import Events, estimate
from snndeploy.hw import Profile, load_profile

QUARTZ_SOP = 86_400 + 115_200 + 23_040 + 1_200 + 5_410
QUARTZ_NEURONS = 5_422
PILOTNET = Events(steps=16, cores=74, sop_dense=2.2878e6 * 16, updates_active=158_509 * 16)
PILOTNET_MEASURED = (1.0935e-3, 1.0707e-3, 0.5622e-3)


@dataclass(frozen=True)
class Case:
    """One measured inference; ``measured`` in joules."""

    name: str
    events: Events
    measured: float


def quartz(steps: int) -> Events:
    """The events of one Quartz MNIST inference of so many steps."""
    updates = QUARTZ_NEURONS * steps
    spikes = QUARTZ_NEURONS
    return Events(steps, cores=11, sop_dense=QUARTZ_SOP, updates_active=updates, spikes=spikes, messages=spikes)


CASES = (
    Case("Frady kNN 76.8k", Events(60, chips=32, sop_dense=708.5 * 76_800, updates_idle=76_800 * 60), 1.33e-3),
    *(Case(f"Quartz T={t}", quartz(t), uj * 1e-6) for t, uj in ((91, 45.6), (171, 85.8), (331, 139.3), (651, 290.1))),
    Case("LSNN floor", Events(840, updates_idle=430 * 840), 22.1e-6),
    Case("PilotNet, Loihi 2", PILOTNET, PILOTNET_MEASURED[0]),
)


def dynamic(events: Events, profile: Profile) -> float:
    """Core and mesh energy of one inference, joules."""
    return estimate(events, profile).dynamic.value


def columns(case: Case) -> tuple[float, float, float]:
    """Joules by synaptic operations alone, by the Davies set, by the SANA-FE set."""
    davies = load_profile("loihi1")
    price = davies.energy["sop_dense"].si()
    assert price is not None
    return (
        case.events.sop * price[0],
        dynamic(case.events, davies),
        dynamic(case.events, dataclasses.replace(davies, energy_set="sanafe2025")),
    )


def main() -> None:
    """Print the table."""
    print(f"{'case':<20}{'SOP alone':>18}{'davies2018':>18}{'sanafe2025':>18}{'measured':>12}   (uJ an inference)")
    for case in CASES:
        cells = (f"{joules * 1e6:9.4g} ({joules / case.measured - 1:+5.0%})" for joules in columns(case))
        print(f"{case.name:<20}" + "".join(f"{cell:>18}" for cell in cells) + f"{case.measured * 1e6:12.4g}")
    measured = ", ".join(f"{joules * 1e6:.4g}" for joules in PILOTNET_MEASURED)
    print(f"PilotNet with the profile loihi2 (estimated): {estimate(PILOTNET, load_profile('loihi2')).dynamic}; measured {measured} uJ")


if __name__ == "__main__":
    main()
