"""Which library a module is from, and what its table says of it.

Classes are matched by the top package they come from and their own name, because libraries move classes between
modules from release to release (``clock_driven.neuron`` became ``activation_based.neuron.lif``). No library is
imported here.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

from converters.pt import snndeploy_nn
from converters.pt.braincog import BRAINCOG
from converters.pt.neuron import Library, Neuron, NeuronClass, Settings
from converters.pt.norse import NORSE
from converters.pt.repositories import COMPLEMENTARY_LIF, GATED_LIF, PARAMETRIC_LIF
from converters.pt.sinabs import SINABS
from converters.pt.slayer import SLAYER
from converters.pt.snntorch import SNNTORCH
from converters.pt.spikingjelly import SPIKINGJELLY
from converters.pt.torch_nn import Convert
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported

LIBRARIES = (SNNTORCH, SPIKINGJELLY, NORSE, SINABS, BRAINCOG, SLAYER, GATED_LIF, COMPLEMENTARY_LIF, PARAMETRIC_LIF)
COSMETIC = frozenset(["__init__", "extra_repr", "__repr__", "__str__", "__doc__", "__module__", "__qualname__", "__annotations__"])
"""What a subclass may define without changing what the class computes."""


ADOPTED = "_stands_for"
"""Where a module of a class of the user's own carries what it was found, or said, to be; only while it is read."""


class Attributes(dict[str, Any]):
    """A module's attributes as a mapping that looks only where it is asked."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def __contains__(self, name: object) -> bool:
        return hasattr(self.module, str(name))

    def __getitem__(self, name: str) -> Any:
        return getattr(self.module, name)


def ancestors(module: Any) -> Iterator[tuple[type, Library | None]]:
    """A module's classes, its own first, each with its library."""
    for ancestor in type(module).__mro__:
        package = ancestor.__module__.partition(".")[0]
        yield ancestor, next((library for library in LIBRARIES if library.name == package or _marked(ancestor, module, library)), None)


def _marked(kind: type, module: Any, library: Library) -> bool:
    """Whether a class that comes in no package is the library's: by its name and the attributes of the module."""
    marks = library.marks.get(kind.__name__)
    return marks is not None and all(hasattr(module, name) for name in marks)


def library_of(module: Any) -> Library | None:
    """The library a module's class, or one it derives from, is from."""
    if ADOPTED in vars(module):
        return vars(module)[ADOPTED][0]  # type: ignore[no-any-return]
    return next((library for _, library in ancestors(module) if library is not None), None)


def neuron_class(module: Any) -> tuple[Library, NeuronClass] | None:
    """The table's entry for a neuron; None for what is no neuron, or is in no table."""
    if ADOPTED in vars(module):
        return vars(module)[ADOPTED]  # type: ignore[no-any-return]
    for ancestor, library in ancestors(module):
        if library is not None:
            found = library.neurons.get(ancestor.__name__)
            return None if found is None else (library, found)
        if _computes(ancestor):
            return None
    return None


def _computes(kind: type) -> bool:
    """Whether a user's class changes what it inherits."""
    return any(callable(value) or isinstance(value, property) for name, value in vars(kind).items() if name not in COSMETIC)


def layer_class(module: Any) -> tuple[str, Convert] | None:
    """The table's entry for a layer of a library: its name and function."""
    for ancestor, library in ancestors(module):
        if library is not None:
            found = library.layers.get(ancestor.__name__)
            return None if found is None else (f"{library.name}.{ancestor.__name__}", found)
        if _computes(ancestor):
            return None
    return None


def refusal(module: Any) -> tuple[str, str] | None:
    """What is wrong and what helps, for a class that is known and refused, or that is a neuron of no table."""
    for ancestor, library in ancestors(module):
        if library is None:
            continue
        if ancestor.__name__ in library.layers:
            return None
        name = f"{library.name}'s {ancestor.__name__}"
        if ancestor.__name__ in library.refused:
            return f"is {name}: {library.refused[ancestor.__name__]}", "use a neuron of the table in the documentation"
        if ancestor.__name__ in library.neurons:
            what = f"changes what {name} computes"
            return what, "use the library's class as it is, or make it a module that states itself with to_node()"
        if ancestor.__name__ in library.stateful:
            kind = type(module).__name__
            return f"is {kind}, a neuron of {library.name} that is in no table", "use a neuron of the table in the documentation"
    return None


def is_neuron(module: Any) -> bool:
    """Whether a module is a neuron that can be converted."""
    return snndeploy_nn.states_itself(module) or neuron_class(module) is not None


def takes(module: Any) -> tuple[str, ...]:
    """The leading axes of a neuron's input; see ``Library.takes``."""
    found = neuron_class(module)
    if found is not None:
        return found[0].takes(module)
    return ("T", "B") if snndeploy_nn.multi_step(module) else ("B",)


def time_last(module: Any) -> bool:
    """Whether a module's library has time as the last axis."""
    library = library_of(module)
    return library is not None and "*" in library.takes(module)


def at_once(module: Any) -> bool:
    """Whether a neuron takes all steps in one call."""
    return takes(module) != ("B",)


def steps_allowed(module: Any) -> bool:
    """Whether a library's layer takes time and batch in front: SpikingJelly's in step_mode "m", and every Linear."""
    return library_of(module) is not None and (str(getattr(module, "step_mode", "s")) == "m" or type(module).__name__.endswith("Linear"))


def steps_in(module: Any, shape: Shape) -> int:
    """How many steps are in an input of this shape, for a neuron that takes all of them at once."""
    axes = takes(module)
    if axes == ("TB",):
        return int(module.step)
    if axes == ("BT",):
        steps = int(module.num_timesteps)
        return steps if steps > 0 else shape[0] // int(module.batch_size)
    return shape[-1] if "*" in axes else shape[axes.index("T")]


def flat_steps(module: Any, steps: int | None) -> int:
    """How many steps a model wants whose neurons take time and batch in one axis; 0 for all other models."""
    for part in module.modules():
        axes = takes(part) if is_neuron(part) else ("B",)
        own = int(getattr(part, "step" if axes == ("TB",) else "num_timesteps", 0) or 0)
        if axes in (("TB",), ("BT",)):
            return max(own, 0) or steps or 0
    return 0


def settings_of(module: Any, where: str) -> Settings:
    """What a live neuron was made with."""
    library = library_of(module)
    release = str(getattr(sys.modules.get(library.name if library else ""), "__version__", ""))
    return Settings(where, [("model", Attributes(module))], release)


def neuron(module: Any, shape: Shape, where: str) -> Neuron:
    """A neuron as nodes. Raises ``Unsupported`` for an option that has no exact meaning."""
    found = neuron_class(module)
    if found is None:
        return Neuron(snndeploy_nn.node(module))
    settings = settings_of(module, where)
    try:
        return dataclasses.replace(found[1].build(settings, shape), asked=settings.facts)
    except AttributeError as missing:
        raise Unsupported(where, f"{type(module).__name__} lacks what its class has: {missing}", "is it of another release?") from None


def memory(module: Any) -> tuple[Any, ...]:
    """What a library's neuron keeps from call to call; () for all others."""
    found = neuron_class(module)
    return () if found is None else found[0].memory(module)


def passes_state(module: Any) -> bool:
    """Whether a neuron forgets everything that is not handed back to it."""
    found = neuron_class(module)
    return found is not None and found[0].passes_state


def forget(module: Any) -> None:
    """Put a neuron back to before its first step."""
    library = library_of(module)
    if snndeploy_nn.states_itself(module):
        module.reset()
    elif library is not None:
        library.forget(module)
