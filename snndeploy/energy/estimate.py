"""Events times published prices, with intervals: an estimate, never a measurement."""

from __future__ import annotations

from snndeploy.cost import Cost, Interval, Term, engineering
from snndeploy.energy.events import Events
from snndeploy.energy.timing import timing, widen
from snndeploy.errors import ProfileError
from snndeploy.hw import Number, Profile

PRICED: tuple[tuple[str, str, str, str], ...] = (
    ("synaptic operations, dense", "core", "sop_dense", "sop_dense"),
    ("synaptic operations, sparse", "core", "sop_sparse", "sop_sparse"),
    ("synaptic operations, convolution", "core", "sop_conv", "sop_conv"),
    ("zero weights looked up", "core", "sop_zero", "sop_zero"),
    ("idle neuron updates", "core", "updates_idle", "neuron_idle"),
    ("active neuron updates", "core", "updates_active", "neuron_active"),
    ("idle updates of neuron programs", "core", "program_idle", "neuron_idle"),
    ("active updates of neuron programs", "core", "program_active", "neuron_active"),
    ("spikes sent", "core", "spikes", "spike"),
    ("messages", "noc", "messages", "message"),
    ("hops east-west", "noc", "hops_x", "hop_x"),
    ("hops north-south", "noc", "hops_y", "hop_y"),
    ("messages off chip", "noc", "messages_offchip", "message_offchip"),
    ("spikes from the host", "host", "host_spikes", "host_spike"),
    ("biases written by the host", "host", "host_biases", "host_bias"),
    ("values read by the host", "host", "outputs", "output"),
    ("barriers", "core", "steps", "barrier"),
    ("resets between inferences", "core", "", "reset"),
)
"""Name, boundary, the field of ``Events`` counted ("": once), the price. SOP x e_sop + updates x e_update + ... as in
Davies et al. 2018, Table 2, and SANA-FE (Boyle et al. 2025)."""

POWERED: tuple[tuple[str, str, str], ...] = (
    ("static power, chips", "static", "chip_static"),
    ("static power, cores in use", "static", "core_active"),
    ("x86 clocks, one x86 a chip", "host", "x86_clock"),
    ("x86 code, one x86 a chip", "host", "x86_code"),
)
"""Watts times the latency of an inference. One x86 a chip in use: Quartz draws 18.0 mW on one chip, 252 mW on 14."""

GUESSED = ("assumed", "simulated")


def estimate(events: Events, profile: Profile) -> Cost:
    """Energy and latency of one inference at a profile's prices.

    ``dynamic`` is the sum over events, ``total`` adds watts times latency. Each term's low and high are all-low and
    all-high of its price; ``dynamic`` adds the profile's model error in log-quadrature. A bound known for an
    unpublished price widens the high end only. An all-in price is used alone.

    Raises:
        ProfileError: the profile has limits only, or no time of a step.
    """
    if profile.status == "limits_only":
        raise ProfileError(
            f"profile {profile.id}", "has limits only, nothing has a price", "choose a profile that is calibrated or estimated"
        )
    times = timing(events, profile)
    dynamic, bounds = _dynamic(events, profile)
    static = _static(events, profile, times.latency) if profile.energy_scope == "per_term" else []
    summed = _sum([t.energy for t in dynamic])
    spent = widen(Interval(summed.value, summed.low, summed.high + sum(bounds.values()), "J"), profile.validation["energy_factor"])
    total = spent + _sum([t.energy for t in static])
    terms = (*dynamic, *static)
    guessed = sum(t.energy.value for t in terms if t.kind in GUESSED)
    return Cost(
        chip=profile.id,
        status=profile.status,
        terms=terms,
        unpriced=(*_unpriced(events, profile), *times.unpriced),
        dynamic=spent,
        total=total,
        step_time=times.step,
        latency=times.latency,
        sensitivities=_sensitivities(terms, bounds),
        assumed_fraction=guessed / total.value if total.value else 0.0,
        notes=(*_notes(events, profile), *times.notes),
    )


def _count(events: Events, field: str) -> float:
    return float(getattr(events, field)) if field else 1.0


def _dynamic(events: Events, profile: Profile) -> tuple[list[Term], dict[str, float]]:
    """The priced terms that occurred, and the most that unpriced ones with a known bound can cost."""
    terms, bounds = [], {}
    for name, boundary, field, key in PRICED:
        count, number = _count(events, field), profile.energy[key]
        price = number.si()
        if price is not None and count:
            kind = "assumed" if field.startswith("program") else number.kind
            terms.append(_term(name, boundary, count, price, kind, number, profile))
        elif count * number.bound():
            bounds[name] = count * number.bound()
    return terms, bounds


def _static(events: Events, profile: Profile, latency: Interval) -> list[Term]:
    terms = []
    for name, boundary, key in POWERED:
        count, number = float(events.cores if key == "core_active" else events.chips), profile.power[key]
        watts = number.si()
        if watts is not None:
            joules = (watts[0] * latency.value, watts[1] * latency.low, watts[2] * latency.high)
            terms.append(_term(name, boundary, count, joules, number.kind, number, profile))
    return terms


def _term(name: str, boundary: str, count: float, price: tuple[float, float, float], kind: str, number: Number, profile: Profile) -> Term:
    value, low, high = (count * each for each in price)
    return Term(name, boundary, count, Interval(value, low, high, "J"), kind, profile.cite(number), number.confidence)


def _sum(intervals: list[Interval]) -> Interval:
    return sum(intervals, start=Interval(0.0, 0.0, 0.0, "J"))


def _sensitivities(terms: tuple[Term, ...], bounds: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """The three terms with the widest interval, in joules."""
    widths = [(t.name, t.energy.high - t.energy.low) for t in terms] + list(bounds.items())
    return tuple(sorted(widths, key=lambda w: (-w[1], w[0]))[:3])


def _unpriced(events: Events, profile: Profile) -> tuple[str, ...]:
    lines = []
    for name, _, field, key in PRICED:
        count, number = _count(events, field), profile.energy[key]
        if count and number.kind == "unpublished":
            bound = count * number.bound()
            most = f"at most {engineering(bound, 'J')} ({number.locator})" if bound else "no bound known"
            lines.append(f"{name}: {count:.6g} an inference, price unpublished; {most}")
    lines += [f"{name}: power unpublished" for name, _, key in POWERED if profile.power[key].kind == "unpublished"]
    if events.instructions:
        lines.append(
            f"instructions of neuron programs: {events.instructions:.6g} an inference, counted, not priced; no price of one is published,"
            " and a long program costs more than the one neuron update it is charged"
        )
    if events.host_biases:
        lines.append("the first synaptic layer runs on the host: its multiply-adds and the host's own energy are not counted")
    lines.append("loading the network onto the chip: energy unpublished, and not part of an inference")
    return tuple(lines)


def _notes(events: Events, profile: Profile) -> tuple[str, ...]:
    notes = ["an estimate, not a measurement", f"energies: {profile.energy_set} ({profile.status}); {_validated(profile)}"]
    notes.append(f"operating point of these prices: {_operating_point(profile)}")
    if profile.energy_scope == "all_in":
        notes.append("an all-in price: it holds neurons, network and static power, and is valid only at its operating point")
    for name, length in events.programs:
        notes.append(
            f"neuron program {name}: {length} instructions, counted and not priced; an update is charged as a fixed neuron's (assumed)"
        )
    if events.macs:
        share = events.macs / events.sop
        notes.append(
            f"{share:.0%} of the synaptic operations multiply by a payload; charged as additions (no price of its own is published)"
        )
    if events.spread != (1.0, 1.0):
        notes.append(f"spikes of a sample: 5 % send less than {events.spread[0]:.2f}, 5 % more than {events.spread[1]:.2f} times the mean")
    notes.append(
        "latency and static energy: running free, one inference after the other; at a lower input rate static power adds up for longer"
    )
    return (*notes, *profile.notes)


def _operating_point(profile: Profile) -> str:
    """Supply, temperature and clock, as far as anyone published them; what a chip has not is left out."""
    known = {name.replace("vdd", "supply"): n for name, n in profile.operating_point.items() if n.kind != "inapplicable"}
    return ", ".join(f"{name} {'unpublished' if n.value is None else f'{n.value:g} {n.unit}'}" for name, n in known.items())


def _validated(profile: Profile) -> str:
    cases, median, worst = (profile.validation[k].value for k in ("cases", "median_error", "worst_error"))
    if median is None or worst is None:
        return f"no independent measurement to hold them against, {cases or 0:g} dependent"
    return f"held against {cases or 0:g} measurements: median error {median:.0%}, worst {worst:.0%}"
