"""What the numbers of a file were trained as: NIR holds neither the step, nor the comparison, nor the reset.

A reading is accepted if all neurons agree with it; if several are left, or the exporter drops the reset, the user is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from converters import RESETS, Options
from converters.nir.fingerprints import EQUAL, LIBRARIES, Numbers, Reading, candidates, digest
from converters.nir.primitive import Field, Primitive
from snndeploy.errors import ModelError, OptionError, did_you_mean


@dataclass(frozen=True)
class Chosen:
    """The reading that is used.

    Attributes:
        reading: whose conventions.
        reset: in the words of ``--reset``.
        dt: the step in the unit of tau; None where nothing needs it.
        seconds: the step in seconds; None where tau counts steps and the user does not say.
        said: who said "source", "dt" and "reset": "user", "file", or "ASSUMED".
    """

    reading: Reading
    reset: str
    dt: float | None
    seconds: float | None
    said: Mapping[str, str]


def own(metadata: Mapping[str, Field]) -> Reading | None:
    """What snndeploy noted in a file that it wrote: the step, and that nothing else is meant than NIR says."""
    dt = metadata.get("dt")
    if metadata.get("exporter") != "snndeploy" or dt is None or isinstance(dt, str) or dt.size != 1 or not 0 < float(dt.item()) < np.inf:
        return None
    return Reading("nir", float(dt.item()), "snndeploy wrote the file, with its step", steps=metadata.get("unit") == "steps")


def choose(neurons: Iterable[Primitive], delays: bool, options: Options, where: str, noted: Reading | None = None) -> Chosen:
    """The one reading of a file, with the user's options.

    Raises:
        ModelError: several fit, or none, or the reset or the step is not known; the readings are listed with their options.
        OptionError: ``--source`` names no library.
    """
    if options.source is not None and options.source not in LIBRARIES:
        raise OptionError(
            "--source", f"{options.source!r} is no library whose NIR files are known", did_you_mean(options.source, LIBRARIES)
        )
    numbers = Numbers(neurons)
    found = candidates(numbers) if noted is None else (noted,)
    reading, said = _source(numbers, found, options, where)
    dt, said_dt = _dt(reading, numbers, found, delays, options, where)
    reset, said_reset = _reset(reading, numbers, found, options, where)
    seconds = options.dt if reading.steps else dt
    return Chosen(reading, reset, dt, seconds, {"source": said, "dt": said_dt, "reset": said_reset})


def _source(numbers: Numbers, found: tuple[Reading, ...], options: Options, where: str) -> tuple[Reading, str]:
    if options.source is not None:
        mine = [r for r in found if r.source == options.source]
        if len(mine) == 1:
            return mine[0], "user"
        if options.source == "nir":
            return _literal(found, "the file taken literally", options.dt), "user"
        stepwise = options.source == "sinabs"
        return Reading(options.source, 1.0 if stepwise else None, "the numbers do not look like its export", steps=stepwise), "user"
    if not numbers.neurons and not found:
        return Reading("nir", None, "there is no neuron to read"), "file"
    able = [r for r in _agreeing(numbers, found, options) if options.reset in r.library.resets]
    if len(found) == 1 or len(able) == 1:
        return (able or found)[0], "ASSUMED"
    if options.reset is None or able:
        raise _ambiguous(numbers, found, options, where)
    return _literal(found, f"{_names(found)} would write such numbers, so NIR's own equations are used with --reset", options.dt), "ASSUMED"


def _literal(found: tuple[Reading, ...], why: str, dt: float | None = None) -> Reading:
    """NIR's own equations, with the user's step in the unit of tau, or the one that all fitting exporters agree on."""
    steps = {r.dt for r in found} if dt is None else {dt}
    counted = dt is None and any(r.steps for r in found)
    return Reading("nir", steps.pop() if len(steps) == 1 else None, why, steps=counted)


def _names(found: tuple[Reading, ...]) -> str:
    return " and ".join(dict.fromkeys(r.source for r in found)) or "no known exporter"


def _dt(
    reading: Reading, numbers: Numbers, found: tuple[Reading, ...], delays: bool, options: Options, where: str
) -> tuple[float | None, str]:
    if reading.steps:
        return reading.dt or 1.0, "ASSUMED"
    if options.dt is not None or reading.dt is not None:
        return options.dt or reading.dt, "file" if options.dt is None else "user"
    unit = reading.source in ("sinabs", "norse") and not numbers.timed
    if unit or not (numbers.neurons or delays):
        return (1.0 if unit else None), "ASSUMED"
    steps = sorted({r.dt for r in found if r.dt is not None})
    tau = np.concatenate([numbers.tau, numbers.tau_syn])
    range_ = f" (tau is {digest(tau)})" if tau.size else ""
    fitting = "".join(f"; --dt {step:g} fits {_names(tuple(r for r in found if r.dt == step))}" for step in steps)
    what = f"NIR has no time step, and it changes every decay{range_}: {reading.why}"
    hint = (
        f"say it in the unit of tau: --dt 0.001 (Norse's default), --dt 0.0001 (snnTorch's, SpikingJelly's), --dt 1 (tau in steps){fitting}"
    )
    raise ModelError(where, what, hint)


def _reset(reading: Reading, numbers: Numbers, found: tuple[Reading, ...], options: Options, where: str) -> tuple[str, str]:
    resets = reading.library.resets
    if options.reset is not None:
        if options.reset == "multi" and "multi" not in resets:
            raise OptionError(
                "--reset", f"{reading.source} fires once a step", "several spikes a step come from --source sinabs or rockpool"
            )
        return options.reset, "user"
    if not numbers.spiking or len(resets) == 1:
        return resets[0], "ASSUMED" if reading.source != "nir" else "file"
    raise _ambiguous(numbers, found or (reading,), options, where)


def _agreeing(numbers: Numbers, found: tuple[Reading, ...], options: Options) -> tuple[Reading, ...]:
    """Of the readings those that the user's answers leave: of that library, and of that step where the numbers imply one."""
    fits = [r for r in found if options.source in (None, r.source) and (numbers.ones() or _same_step(r, options.dt))]
    return tuple(fits) or found


def _same_step(reading: Reading, dt: float | None) -> bool:
    """Whether the step that a reading implies is the one that was given; true where either is open."""
    return dt is None or reading.dt is None or reading.steps or abs(dt - reading.dt) <= EQUAL * reading.dt


def _ambiguous(numbers: Numbers, found: tuple[Reading, ...], options: Options, where: str) -> ModelError:
    """Every reading that agrees with what was given, with the options that choose it."""
    literal = _literal(found, "", options.dt)
    able = [r for r in (*_agreeing(numbers, found, options), literal) if options.source in (None, r.source)]
    lines = [line for reading in able for line in _lines(reading, numbers, options)]
    head = "can be read in more than one way, and the spikes differ" if found else "was written by no exporter whose numbers are known"
    what = f"{head}; NIR holds no reset kind, no comparison and no time step:\n" + "\n".join(lines)
    return ModelError(where, what, "choose the reading that was trained")


def _lines(reading: Reading, numbers: Numbers, options: Options) -> list[str]:
    """A reading once a reset that it leaves open; the options of a line are all that the file needs."""
    library = reading.library
    dt = f" --dt {options.dt:g}" if options.dt is not None else "" if reading.dt is not None else " --dt ..."
    why = f"{library.says} ({reading.why})" if reading.why else library.says
    if not numbers.spiking:
        return [f"  --source {reading.source}{dt}: {why}"]
    sign = ">" if library.strict else ">="
    resets = numbers.resets(library) if reading.why else (*library.resets, "subtract")
    open_ = [reset for reset in resets if options.reset in (None, reset)]
    return [f"  --source {reading.source} --reset {reset}{dt}: {sign}, {RESETS[reset]}; {why}" for reset in open_]
