"""Options that several commands share, and what each text stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, get_args

import click

import converters
from snndeploy.cli.unheard import check_drop, check_reading
from snndeploy.data import Encoding, Samples, read
from snndeploy.data.events import Binning
from snndeploy.errors import NoEffect, OptionError, did_you_mean
from snndeploy.flow.bursts import NAMES
from snndeploy.flow.deployment import Wishes

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def _points(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not value >= 0:
        raise click.BadParameter(f"{value} is not a number of points from 0 to 100.")
    return value


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object with stable keys instead of text.")


def _drop(default: bool | str) -> Decorator[Any]:
    """``default``: what the help says is allowed where nothing is said; True for the number."""
    words = "Points of accuracy that may be lost."
    return click.option("--max-drop", type=float, callback=_points, default=Wishes.max_drop, show_default=default, help=words)


max_drop = _drop(default=True)
max_drop_kept = _drop(f"as wished at the conversion; {Wishes.max_drop} where the file does not say")

run_code = click.option(
    "--run-code",
    is_flag=True,
    help="Run the files of --arch and --data whole, with all they do: train, write, delete. Otherwise definitions alone are run.",
)
FILE_OPTIONS: tuple[Decorator[Any], ...] = (
    click.option(
        "--source", help="The library whose conventions hold where the file is silent: snntorch, spikingjelly, norse, sinabs, ..."
    ),
    click.option("--dt", type=float, help="The length of a step in seconds, where a file of time constants (.nir) does not say."),
    click.option("--reset", help="What a spike does to the potential where the file is silent: zero, late-zero, subtract, multi, none."),
    click.option("--input-shape", help="One input's shape without batch and time, e.g. 1,28,28."),
    click.option("--input-unit", type=float, help="The real value of one unit of an analog input of a file of integers (.net)."),
    click.option("--state", multiple=True, help="A state input of a one-step ONNX file and its output: mem1=mem1_out. May be repeated."),
)
"""What a file of a network cannot say of itself."""
SOURCE_OPTIONS: tuple[Decorator[Any], ...] = (
    click.option("--arch", help="The code that builds the module: 'file.py:Net(T=10)' or pkg.mod:factory. Definitions alone are run."),
    *FILE_OPTIONS,
    click.option(
        "--neuron",
        multiple=True,
        help="Neurons by name or pattern: 'lif*: LIFNode(tau=2.0)' or, of a bare file, 'lif*: tau=2.0'. May be repeated.",
    ),
    click.option(
        "--neuron-class", multiple=True, help="A neuron class of your own code: 'MyLIF: LIF(tau=2.0)' or 'LIFSpike*: LIF'. May be repeated."
    ),
    click.option("--layer", multiple=True, help="A bare file's layers: 'conv1: Conv2d(padding=2), AvgPool2d(2)'. May be repeated."),
    click.option(
        "--trust", is_flag=True, help="Unpickle the file in full. It can then run any code, as you: only for files you made yourself."
    ),
)
"""The same, where the file may hold weights alone."""
MODEL_OPTIONS: tuple[Decorator[Any], ...] = (
    click.option("--chip", default=Wishes.chip, show_default=True, help="CHIP[:BOARD] as `snndeploy chips` lists them, or my_chip.toml."),
    *SOURCE_OPTIONS,
    click.option(
        "--relu", help="What to make of rectifiers (ReLU): if, an integrate-and-fire neuron; loses some accuracy, which is reported."
    ),
    click.option(
        "--decode", help="How the output's steps become a prediction, where the model does not say: count, sum, mean, vote:10, ..."
    ),
    click.option("--weight-bits", help='Bits of the weights: 8 for all, or by layer: "fc*=4,conv1=6".'),
    click.option(
        "--burst", default=Wishes.burst, show_default=True, help=f"How burst neurons are built: {', '.join(NAMES)}. See docs/lossless.md."
    ),
    click.option(
        "--substitute",
        help="nearest: where a neuron would take a program, the nearest one of a fixed core. Another model: measured and listed.",
    ),
    click.option(
        "--calibration-samples", type=int, default=Wishes.calibration_samples, show_default=True, help="How many the quantizer sees."
    ),
)
DATA_OPTIONS: tuple[Decorator[Any], ...] = (
    click.option("--data", help="Samples: an .npz with x [N, ...] and perhaps y [N], an .npz of events, or file.py:factory."),
    click.option("--samples", type=int, help="Use the first so many samples only."),
    click.option("--timesteps", type=int, help="Steps to run, where neither the model nor the data say it."),
    click.option("--encode", default="direct", show_default=True, help="Static data over time: direct, rate, latency or delta."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of --encode rate."),
    click.option("--bin-us", type=int, help="Events: the length of a step in microseconds."),
    click.option("--frames", type=int, help="Events: so many steps a recording."),
    click.option("--split-by", help="Events, with --frames: equal numbers of events (number, the default) or equal time (time)."),
    click.option("--sensor", help="Events: rows,columns of the camera, e.g. 34,34."),
    run_code,
)  # fmt: skip


def with_options(options: tuple[Decorator[Any], ...]) -> Decorator[Any]:
    """All of them, in the order in which ``--help`` lists them."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def file_options_of(given: Mapping[str, Any]) -> converters.Options:
    """What the file of a network cannot say, whose layers are all in it."""
    shape = given["input_shape"]
    return converters.Options(
        input_shape=None if shape is None else whole_numbers(shape, "--input-shape", "1,28,28"),
        timesteps=given.get("timesteps"),
        dt=given["dt"],
        reset=given["reset"],
        source=given["source"],
        input_unit=given["input_unit"],
        state=by_pattern(given["state"], "--state", "mem1=mem1_out", "="),
    )


def options_of(given: Mapping[str, Any]) -> converters.Options:
    """What the file cannot say."""
    return replace(
        file_options_of(given),
        arch=given["arch"],
        run_code=bool(given.get("run_code")) and given["arch"] is not None,
        trust=given["trust"],
        neuron=by_pattern(given["neuron"], "--neuron", "'lif*: LIFNode(tau=2.0)'"),
        neuron_class=by_pattern(given["neuron_class"], "--neuron-class", "'MyLIF: LIF(tau=2.0)'"),
        relu=given.get("relu"),
        layer=by_pattern(given["layer"], "--layer", "'conv1: Conv2d(padding=2)'"),
    )


def wishes_of(given: Mapping[str, Any], max_drop: float = Wishes.max_drop) -> Wishes:
    """What the user chose."""
    return Wishes(
        chip=given["chip"],
        weight_bits=weight_bits(given["weight_bits"]),
        burst=given["burst"],
        encode=encoding(given["encode"]),
        seed=given["seed"],
        calibration_samples=given["calibration_samples"],
        max_drop=max_drop,
        substitute=given["substitute"] or "",
    )


def samples_of(given: Mapping[str, Any], why: str = "", shape: tuple[int, ...] | None = None) -> Samples | None:
    """The samples of ``--data``. Without it None, or, where ``why`` says what they are for, an ``OptionError``.

    ``shape`` is that of the network's input; the last two axes of a polarity, rows and columns are the camera's size.
    """
    if given["data"] is None and why:
        raise OptionError("--data", f"is missing: {why}", "give --data samples.npz with x [N, ...] and, for accuracy, y [N]")
    check_reading(given)
    if given["data"] is None:
        return None
    cut = sensor(given["sensor"], shape)
    samples = read(given["data"], binning=binning(given), sensor=cut, limit=given["samples"], run_code=given["run_code"])
    if given["sensor"] is not None and binning(given) is None:
        raise NoEffect("--sensor", f"is the size of an event camera, and {given['data']} holds no event recordings", "leave it out")
    if why:
        check_drop(samples)
    return samples


def binning(given: Mapping[str, Any]) -> Binning | None:
    """How events become steps; None where no option says it."""
    if given["split_by"] is not None and given["frames"] is None:
        raise OptionError("--split-by", "says how --frames are cut, and there is no --frames", "add --frames 16, or leave it out")
    if given["bin_us"] is None and given["frames"] is None:
        return None
    steps = given["timesteps"] if given["bin_us"] is not None else None
    return Binning(given["bin_us"], given["frames"], given["split_by"] or "number", steps)


def sensor(text: str | None, shape: tuple[int, ...] | None) -> tuple[int, int] | None:
    """Rows and columns of the camera: what was given, else those of a network that takes [2, rows, columns]."""
    if text is None:
        return (shape[1], shape[2]) if shape is not None and len(shape) == 3 else None
    size = whole_numbers(text, "--sensor", "34,34")
    if len(size) != 2:
        raise OptionError("--sensor", f"{text!r} is not two numbers", "rows,columns, e.g. 34,34")
    return size[0], size[1]


def by_pattern(texts: Sequence[str], option: str, example: str, between: str = ":") -> dict[str, str]:
    """``("fc*: IF()", ...)`` -> {"fc*": "IF()"}; ``between`` parts the two.

    Raises:
        OptionError: a text without a pattern, or a pattern given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        pattern, colon, said = (part.strip() for part in text.partition(between))
        if not colon or not pattern or not said:
            raise OptionError(option, f"{text!r} is not two parts with {between!r} between", f"e.g. {option} {example}")
        if pattern in found:
            raise OptionError(option, f"{pattern!r} is given twice", "say all of it in one: 'conv1: LIFNode(tau=2.0), AvgPool2d(2)'")
        found[pattern] = said
    return found


def whole_numbers(text: str, option: str, example: str) -> tuple[int, ...]:
    """``"1,28,28"`` -> (1, 28, 28), each at least 1. Raises ``OptionError``."""
    parts = [part.strip() for part in text.strip("()[] ").split(",")]
    if parts and parts[-1] == "" and len(parts) > 1:
        parts.pop()
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(option, f"{text!r} is not whole numbers above 0 with commas between", f"e.g. {option} {example}")
    return tuple(int(part) for part in parts)


def weight_bits(text: str | None) -> dict[str, int]:
    """``"4"`` or ``"fc*=4,conv1=6"`` -> bits by layer pattern, the first that matches wins. Raises ``OptionError``."""
    found: dict[str, int] = {}
    for entry in (text or "").split(",") if text is not None else ():
        pattern, equals, bits = entry.strip().rpartition("=")
        if not bits.isdecimal() or not 2 <= int(bits) <= 8 or (equals and not pattern):
            raise OptionError(
                "--weight-bits", f"{entry.strip()!r} is not 2 to 8 bits", 'e.g. --weight-bits 6, or by layer: "fc*=4,conv1=6"'
            )
        found[pattern or "*"] = int(bits)
    return found


def encoding(text: str) -> Encoding:
    """The encoder of that name. Raises ``OptionError``."""
    for known in get_args(Encoding):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise OptionError("--encode", f"{text!r} is no encoder", did_you_mean(text, get_args(Encoding)))
