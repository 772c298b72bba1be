"""Running a torch module once while writing down what it does: hooks on leaf modules, a mode for functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from converters.pt.calling import Calling, call, in_order
from converters.pt.libraries import memory
from converters.pt.places import raised_at, user_frames
from converters.pt.precision import coarser
from converters.pt.reasons import STATE
from converters.pt.restoring import kept, reset
from converters.pt.snndeploy_nn import states_itself
from converters.pt.tape import Call, Ref, Sample, Tape, leaves, refs
from converters.pt.trees import branches
from snndeploy.arrays import Floats, Shape
from snndeploy.errors import ModelError, SnnError, Unsupported

DECIDES = frozenset(["__bool__", "__float__", "__int__", "__index__", "item", "tolist", "equal", "allclose", "is_nonzero", "__contains__"])
"""Functions that turn a tensor into a Python value, on which the program may then depend."""
RANDOM = frozenset(
    [
        *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "normal", "poisson"),
        *("multinomial", "uniform_", "normal_", "bernoulli_", "random_", "exponential_", "empty", "empty_like", "new_empty"),
    ]
)
"""Functions whose result is no constant, though it may depend on no input."""
MAKES = frozenset(["zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"])
"""Functions whose result does not depend on their tensor argument's numbers."""

LIKE = frozenset(["to", "type_as", "expand_as", "view_as", "reshape_as"])
"""Functions that take of their second tensor its type or shape alone."""


class Recorder(TorchFunctionMode):
    """Writes the tape. ``leaf`` says which modules are one call ("layer", "neuron") and which are looked into (None)."""

    def __init__(self, leaf: Callable[[nn.Module], str | None]) -> None:
        super().__init__()
        self.leaf = leaf
        self.calls: list[Call] = []
        self.tensors: list[Tensor] = []
        self.producers: dict[int, tuple[Call, int]] = {}
        self.constants: dict[int, Floats] = {}
        self.inputs: dict[int, tuple[str, int]] = {}
        self.unknown: dict[int, str] = {}
        self.reset_inside = False
        self.arithmetic = "float64"
        self.scope: list[str] = []
        self.modules: tuple[tuple[str, nn.Module], ...] = ()
        self._values: dict[int, int] = {}
        self._pending: list[tuple[Any, Any, Floats | None]] = []
        self._owned: set[int] = set()
        self._seen: set[int] = set()
        self._forgot: set[int] = set()
        self._memory: dict[int, tuple[Any, ...]] = {}

    def own(self, module: nn.Module) -> None:
        """Take the module's tensors as they are now for constants."""
        self._owned = {id(tensor) for tensor in owned_tensors(module)}
        self.modules = tuple(module.named_modules())

    def begin(self, calling: Calling, arguments: Mapping[str, Any], first: bool) -> None:
        """States before the first step, and settings at every step, are constants."""
        carried = () if first else tuple(state.name for state in calling.carried)
        for name in calling.begins:
            for tensor in tensors_in(arguments[name]) if name not in carried else ():
                self.constants[self.enter_value(tensor)] = numbers(tensor)

    def enter_value(self, tensor: Tensor) -> int:
        """Number a tensor as a new value."""
        self._values[id(tensor)] = len(self.tensors)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def ref(self, tensor: Tensor) -> Ref:
        """The current value of a tensor; one that was never seen is a parameter, or cannot be followed."""
        if id(tensor) not in self._values:
            value = self.enter_value(tensor)
            if id(tensor) in self._owned:
                self.constants[value] = numbers(tensor)
            else:
                self.unknown[value] = self._whose(tensor)
        return Ref(self._values[id(tensor)])

    def _whose(self, tensor: Tensor) -> str:
        """A tensor that no call of the program made: the state of a module, read as its attribute, or of unknown origin."""
        for path, part in self.modules:
            for name, value in (*vars(part).items(), *part._buffers.items(), *getattr(part, "_memories", {}).items()):
                if value is tensor:
                    read = f"read as {path}.{name}: its potential or current, not what it sends"
                    return f"{STATE}{name!r} of {path} ({type(part).__name__}), {read}"
        return "a tensor made outside the recorded forward pass, or by code that torch does not show"

    def pack(self, tree: Any) -> Any:
        """Arguments with tensors replaced by ``Ref``."""
        if isinstance(tree, Tensor):
            return self.ref(tree)
        if isinstance(tree, tuple | list):
            return tuple(self.pack(item) for item in tree)
        found = branches(tree)
        return tree if found is None else {name: self.pack(item) for name, item in found.items()}

    def depends(self, packed: Any) -> bool:
        """Whether any argument depends on an input."""
        return any(value not in self.constants for value in refs(packed))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a torch function and write it down; inside a leaf module, only run it."""
        kwargs = kwargs or {}
        if self._pending:
            result = func(*args, **kwargs)
            self.arithmetic = coarser(self.arithmetic, result)
            return result
        name = function_name(func)
        packed = self.pack((args, kwargs))
        source = packed[0][:1] if name in LIKE else packed
        if name in DECIDES and self.depends(packed):
            where, _ = user_frames()
            hint = "only a forward pass that is the same for all data can be traced"
            raise Unsupported(where, f"the program depends on a tensor's numbers ({name})", hint)
        changed = args[0] if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) else None
        before = {} if changed is None else {i: self.tensors[i].clone() for i in self._sharing(changed)}
        result = func(*args, **kwargs)
        self.arithmetic = coarser(self.arithmetic, result)
        outs = [changed] if changed is not None else list(tensors_in(result))
        if outs and (name in RANDOM or (self.depends(source) and name not in MAKES)):
            self.write(name, packed, outs, None)
        for tensor in outs:
            if name not in RANDOM and (name in MAKES or not self.depends(source)):
                self.constants[self.enter_value(tensor)] = numbers(tensor)
        if changed is not None:
            self._forget_views(changed)
        for value, numbers_then in before.items():
            self.tensors[value] = numbers_then
        return result

    def write(self, name: str, packed: Any, outs: Iterable[Tensor], module: nn.Module | None, sample: Sample | None = None) -> None:
        """Append one call."""
        where, site = user_frames()
        numbered: dict[int, int] = {}
        for tensor in outs:
            if id(tensor) not in numbered:
                numbered[id(tensor)] = self.enter_value(tensor)
        values = tuple(numbered[id(tensor)] for tensor in outs)
        op = name if module is not None else name.strip("_")
        path = self.scope[-1] if self.scope else ""
        call = Call(len(self.calls), op, packed[0], packed[1], values, module, path, where, site, sample)
        self.calls.append(call)
        self.producers.update({value: (call, values.index(value)) for value in values})

    def _sharing(self, changed: Tensor) -> list[int]:
        """The values that lie in a tensor's memory."""
        memory = changed.untyped_storage().data_ptr()
        return [i for i, t in enumerate(self.tensors) if t is changed or (memory and t.untyped_storage().data_ptr() == memory)]

    def _forget_views(self, changed: Tensor) -> None:
        """Other tensors on the same memory changed as well; whoever reads them now reads something untraced."""
        for value in self._sharing(changed):
            if self.tensors[value] is not changed:
                self.unknown[self.enter_value(self.tensors[value])] = "a view of a tensor that was changed in place"

    def before(self, module: nn.Module, path: str, args: Any, kwargs: Any) -> None:
        """Forward pre-hook of every module."""
        self.scope.append(path)
        self.reset_inside = self.reset_inside or id(module) in self._forgot
        if self.leaf(module) is not None:
            first = next(tensors_in((args, kwargs)), None)
            fresh = id(module) not in self._seen and first is not None
            packed = None if self._pending else self.pack((args, in_order(module, kwargs)))
            self._watch_memory(module, packed)
            self._pending.append((module, packed, numbers(first) if fresh and first is not None else None))
            self._seen.add(id(module))

    def after(self, module: nn.Module, result: Any) -> None:
        """Forward hook of every module."""
        kind = self.leaf(module)
        if kind is not None:
            _, packed, given = self._pending.pop()
            outs = list(tensors_in(result))
            sample = Sample(given, numbers(outs[0])) if given is not None and outs else None
            if packed is not None:
                self.write(kind, packed, outs, module, sample)
            self._memory[id(module)] = memory(module)
        self.scope.pop()

    def write_failed(self, where: str) -> None:
        """Append the call of a leaf module that did not come back."""
        if self._pending and self._pending[-1][1] is not None:
            module, packed, _ = self._pending[-1]
            path = self.scope[-1] if self.scope else ""
            self.calls.append(Call(len(self.calls), "failed", packed[0], packed[1], (), module, path, where, ()))

    def _watch_memory(self, module: nn.Module, packed: Any) -> None:
        """A library's neuron that finds another memory than it left, and is given none, was reset on the way."""
        left = self._memory.get(id(module), ())
        handed = packed is not None and len(list(refs(packed))) > 1
        if not handed and any(_another(a, b) for a, b in zip(left, memory(module), strict=False)):
            self.reset_inside = True

    def reset_called(self, module: nn.Module) -> None:
        """The model itself resets a neuron; if it has run before and runs again, that ends its memory on the way."""
        self._forgot |= {id(module)} & self._seen

    def tape(self, results: tuple[Any, ...]) -> Tape:
        """The finished recording."""
        shapes = tuple(tuple(t.shape) for t in self.tensors)
        tables = (self.producers, self.constants, self.inputs, self.unknown)
        return Tape(tuple(self.calls), tuple(self.tensors), shapes, *tables, results, self.reset_inside, self.arithmetic)


Reason: TypeAlias = Callable[[Sequence[Call], Sequence[Shape]], SnnError | None]
"""What of the calls so far, and the shapes of their values, is why a run broke off; None where nothing of them is."""


def record(
    module: nn.Module, calling: Calling, steps: int, leaf: Callable[[nn.Module], str | None], reason: Reason = lambda *_: None
) -> Tape:
    """Call ``module`` as its user's loop does, step after step without a reset, and write down what happens.

    The module is put into eval mode and its neurons are reset first; afterwards it is as it was, and every hook of ours
    is gone, also after an error.

    Raises:
        ModelError: the forward pass fails.  Unsupported: it depends on the data's numbers; or what ``reason`` finds in
        the calls before that.
    """
    recorder = Recorder(leaf)
    results: list[Any] = []
    before: Any = None
    with ExitStack() as undo:
        undo.enter_context(kept(module))
        module.eval()
        reset(module)
        recorder.own(module)
        undo.enter_context(hooked(module, recorder))
        undo.enter_context(torch.no_grad())
        try:
            for step in range(steps):
                before = _run(module, recorder, step, calling, before)
                own = before if steps == 1 else calling.outputs(before)
                results.append(recorder.pack(own))
        except SnnError as stopped:
            told = reason(recorder.calls, [tuple(t.shape) for t in recorder.tensors])
            if told is None:
                raise
            raise told from stopped
    return recorder.tape(tuple(results))


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of the libraries that the user's code calls stay among themselves: what is wrong with it is said by us."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _run(module: nn.Module, recorder: Recorder, step: int, calling: Calling, before: Any) -> Any:
    fresh = calling.at(step)
    arguments = calling.arguments(fresh, before, not step)
    for name, tensor in fresh.items():
        recorder.inputs[recorder.enter_value(tensor)] = (name if len(fresh) > 1 else "input", step)
    recorder.begin(calling, arguments, not step)
    try:
        with recorder, quiet():
            return call(module, arguments)
    except SnnError:
        raise
    except Exception as error:
        recorder.write_failed(raised_at(error))
        path = recorder.scope[-1] if recorder.scope else ""
        place = f"{path} ({type(module.get_submodule(path)).__name__})" if path else type(module).__name__
        shapes = ", ".join(f"{name} {list(t.shape)}" for name, t in fresh.items())
        what = f"the forward pass fails for {shapes}: {str(error).strip().splitlines()[0] if str(error) else type(error).__name__}"
        raise ModelError(f"{place}, {raised_at(error)}", what, "check --input-shape (without batch and time) and --timesteps") from error


@contextmanager
def hooked(module: nn.Module, recorder: Recorder) -> Iterator[None]:
    """The recorder's hooks on every module, and its watch on every neuron's ``reset``."""
    with ExitStack() as undo:
        for path, part in module.named_modules():
            undo.callback(part.register_forward_pre_hook(_before(recorder, path), with_kwargs=True).remove)
            undo.callback(part.register_forward_hook(_after(recorder)).remove)
            if states_itself(part):
                undo.callback(part.__dict__.pop, "reset")
                part.__dict__["reset"] = _watched(part, recorder)
        yield


def _before(recorder: Recorder, path: str) -> Callable[..., None]:
    return lambda part, args, kwargs: recorder.before(part, path, args, kwargs)


def _after(recorder: Recorder) -> Callable[..., None]:
    return lambda part, _, result: recorder.after(part, result)


def _watched(part: nn.Module, recorder: Recorder) -> Callable[[], None]:
    forget: Callable[[], None] = part.reset  # type: ignore[assignment]

    def watched() -> None:
        recorder.reset_called(part)
        forget()

    return watched


def _another(left: Any, found: Any) -> bool:
    """Whether an attribute holds something else: a number of the same value, written again, is the same."""
    numbers_ = isinstance(left, bool | int | float | str) and type(left) is type(found)
    return left is not found and not (numbers_ and left == found)


def owned_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers, and tensors that are plain attributes."""
    for part in module.modules():
        yield from tensors_in([part._parameters, part._buffers, list(vars(part).values())])


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors inside nested tuples, lists and dicts."""
    yield from leaves(tree, Tensor)


def numbers(tensor: Tensor) -> Floats:
    """A float64 copy."""
    with torch._C.DisableTorchFunction():
        return tensor.detach().cpu().to(torch.float64).clone().numpy()


def function_name(func: Any) -> str:
    """A torch function's name; attributes (``x.T``) by the attribute's name."""
    name = str(getattr(func, "__name__", func))
    return str(getattr(getattr(func, "__self__", None), "__name__", name)) if name == "__get__" else name
