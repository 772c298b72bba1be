"""The ways to tie what ``forward`` returns to what it takes, likeliest first."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from converters.pt.calling import Carried, Slot
from converters.pt.trees import Path, at, branches, fields, fits, flat, mapped

DRESS = re.compile(r"^(new|next|updated|out)_|_(new|next|updated|out|t|1)$|_+$")
"""What people add to a state's name when it has become that of the next step."""
STATE = re.compile(r"(?i).*(state|mem|hid|carry|cache|prev|last|syn|spk|spike|volt|cell|trace).*|[hcvuisz]x?\d*|[hc]x\d*")
"""Names by which people call a state; they decide nothing where the results do."""
COUNTERS = re.compile(r"(?i)t|i|k|n|idx|index|epoch|.*step.*|.*time.*|.*count.*")
"""What people call a number that is one more at every step."""
SETTING = re.compile(
    r"(?i)(return|output|get|use|with|is|do)_.*"
    r"|(?!.*(state|mem|hid)).*(skip|bias|noise|mask|residual|shortcut|label|target|task|cond|mode|flag).*"
)
"""What people call a setting, or a second summand, that is no state though a result would take its place."""
EARLIER = re.compile(r"(?i).*(before|prior|past|feed|recur|(?<!h)old|buf|hist|acc|pot|init|start|carried|own).*")
"""Other words for what was there at the step before."""
MANY = 6
"""Of more arguments than this only all, two or one are taken for states."""
MOST = 20
"""More ways than this are not tried."""


def like_a_setting(name: str) -> bool:
    """Whether nothing in an argument's name says that it is a state or counts steps: a word, and none of theirs."""
    known = any(names.fullmatch(name) for names in (STATE, COUNTERS, EARLIER))
    return SETTING.fullmatch(name) is not None or (len(name) > 2 and not known)


def at_default(parameters: Mapping[str, inspect.Parameter], given: Collection[str]) -> Iterator[str]:
    """What is said of arguments that stay what they are by default, and could be what a loop hands back."""
    for name, p in parameters.items():
        unsaid = p.default is None or (isinstance(p.default, int | float) and not isinstance(p.default, bool) and p.default == 0)
        if name not in given and unsaid and like_a_setting(name):
            yield f"ASSUMED: forward's argument {name!r} stays {p.default!r} at every step (what the example gives outranks that)"


@dataclass(frozen=True, eq=False)
class Candidate:
    """An argument that may be a state: its name, its value before the first step, and whether the example gave it."""

    name: str
    begin: Any
    told: bool

    def takes(self, after: Any) -> bool:
        """Whether what a step returns can be its value at the next; what counts steps becomes no tensor."""
        counts = isinstance(self.begin, int) and COUNTERS.fullmatch(self.name) is not None
        return fits(self.begin, after) and not (counts and isinstance(after, Tensor))


def candidates(told: Mapping[str, Any], optional: Mapping[str, Any]) -> list[Candidate]:
    """Every argument that may be a state, in order."""
    found = [Candidate(n, v, True) for n, v in told.items()]
    return [*found, *(Candidate(n, v, False) for n, v in optional.items())]


def ways(module: nn.Module, result: Any, among: Sequence[Candidate], states: set[int]) -> Iterator[tuple[Carried, ...]]:
    """Ties of results to arguments that fit by form; those that leave fewest known states aside come first."""
    if not among or branches(result) is None:
        return
    named = _by_name(module, result, among)
    found = list(itertools.islice(_all(result, among, named), 4 * MOST))
    order = [end for _, end in flat(result) if isinstance(end, Tensor)]
    numbers = {id(end): i for i, end in enumerate(order)}
    paths = {path: numbers[id(end)] for path, end in flat(result) if isinstance(end, Tensor)}

    def left(way: tuple[Carried, ...]) -> int:
        own = [p for state in way for p in state.paths()]
        return sum(i in states and not any(path[: len(p)] == p for p in own) for path, i in paths.items())

    seen: set[Any] = set()
    for way in sorted(found, key=left):
        key = tuple((s.name, s.paths()) for s in way)
        if key not in seen and len(seen) < MOST and (_leaves_something(way, result) or _all_called_states(way)):
            seen.add(key)
            yield way


def _all_called_states(way: tuple[Carried, ...]) -> bool:
    """Whether people would call every one a state: then what comes out may be one too, ``spk, mem = f(x, spk, mem)``."""
    return len(way) > 1 and all(STATE.fullmatch(state.name) for state in way)


def _leaves_something(way: tuple[Carried, ...], result: Any) -> bool:
    own = [p for state in way for p in state.paths()]
    ends = [path for path, end in flat(result) if isinstance(end, Tensor)]
    return any(not any(path[: len(p)] == p for p in own) for path in ends)


def _all(result: Any, among: Sequence[Candidate], named: Mapping[str, Path]) -> Iterator[tuple[Carried, ...]]:
    rest = [c for c in among if c.name not in named]
    first = tuple(_whole(name, path) for name, path in named.items())
    free = [(key,) for key in branches(result) or {} if not any(p[:1] == (key,) for p in named.values())]
    if first and not rest:
        yield first
    for chosen in _subsets(rest):
        for way in _in_order(chosen, free, result):
            yield (*first, *way)
    if first and rest:
        yield first


def _subsets(rest: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """All of them first, then fewer: a mask or a target is no state."""
    counts = range(len(rest), 0, -1) if len(rest) <= MANY else (len(rest), 2, 1)
    for count in counts:
        for chosen in itertools.combinations(rest, count):
            yield list(chosen)


def _in_order(chosen: Sequence[Candidate], free: Sequence[Path], result: Any) -> Iterator[tuple[Carried, ...]]:
    """Behind the output, at the end, in front of it, inside one item, or as the list of all that is behind it."""
    count = len(chosen)
    starts = dict.fromkeys([len(free) - count, 1, 0])
    places = [free[s : s + count] for s in starts if s >= 0 and s + count <= len(free)]
    if count == 1 and len(free) == 2 and branches(at(result, free[0])) is not None and branches(at(result, free[1])) is None:
        places.reverse()
    inner = [[(*path, key) for key in branches(at(result, path)) or {}] for path in (*free[1:], *free[:1])]
    places += [keys for keys in inner if len(keys) == count]
    for paths in places:
        pairs = list(zip(chosen, paths, strict=True))
        if all(c.takes(at(result, path)) for c, path in pairs):
            yield tuple(_whole(c.name, path) for c, path in pairs)
    yield from _end_by_end(chosen, free, result)


def _end_by_end(chosen: Sequence[Candidate], free: Sequence[Path], result: Any) -> Iterator[tuple[Carried, ...]]:
    """States taken apart otherwise than they are given: all their ends are the ends of the results, in order."""
    for paths in (free[1:], free[:-1]):
        ends = [(*path, *way) for path in paths for way, _ in flat(at(result, path))]
        if len(chosen) == 1 and not branches(chosen[0].begin) and chosen[0].takes(list(paths)) and paths:
            yield (Carried(chosen[0].name, [Slot(path) for path in paths], f"results {_named(paths[0])} to {_named(paths[-1])}"),)
        wanted = [(c, way, end) for c in chosen for way, end in flat(c.begin)]
        if len(wanted) != len(ends) or not ends:
            continue
        if all(fits(end, at(result, path)) for (_, _, end), path in zip(wanted, ends, strict=True)):
            slots = {(c.name, way): path for (c, way, _), path in zip(wanted, ends, strict=True)}
            yield tuple(_alike(c, slots) for c in chosen)


def _alike(candidate: Candidate, slots: Mapping[tuple[str, Path], Path]) -> Carried:
    source = mapped(candidate.begin, lambda way, _: Slot(slots[candidate.name, way]))
    paths = [slots[candidate.name, way] for way, _ in flat(candidate.begin)]
    return Carried(candidate.name, source, f"result {', '.join(map(_path_named, paths))}")


def _whole(name: str, path: Path) -> Carried:
    return Carried(name, Slot(path), f"result {_path_named(path)}")


def _path_named(path: Path) -> str:
    return ".".join(_named((key,)) for key in path)


def _named(path: Path) -> str:
    key = path[0]
    return str(key + 1) if isinstance(key, int) else str(key)


def _by_name(module: nn.Module, result: Any, among: Sequence[Candidate]) -> dict[str, Path]:
    """Arguments whose name a field, a key or the ``return`` statement has, where the form fits."""
    names: dict[str, Path] = {}
    for path, name in _return_names(module):
        names.setdefault(DRESS.sub("", name), path)
    for name, key in fields(result).items():
        names[DRESS.sub("", name)] = (key,)
    found: dict[str, Path] = {}
    for candidate in among:
        place = names.get(candidate.name, names.get(DRESS.sub("", candidate.name)))
        if place is not None and place not in found.values() and _takes(candidate, result, place):
            found[candidate.name] = place
    return found


def _takes(candidate: Candidate, result: Any, path: Path) -> bool:
    """Whether there is anything at a place, and it fits."""
    try:
        return candidate.takes(at(result, path))
    except KeyError:
        return False


def keywords(module: nn.Module, name: str) -> list[str]:
    """The words that ``forward`` looks up in its ``**name``, as far as its source can be had."""
    try:
        source = inspect.getsource(type(module).forward)
    except (OSError, TypeError):
        return []
    found = re.findall(rf"\b{re.escape(name)}(?:\.(?:get|pop)\(|\[)\s*['\"](\w+)['\"]", source)
    return list(dict.fromkeys(found))


def _return_names(module: nn.Module) -> Iterator[tuple[Path, str]]:
    """The variables that ``forward`` returns, and where; nothing where its source cannot be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(type(module).forward)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    for node in reversed(returns):
        assert node.value is not None
        yield from _names_in(node.value, ())


def _names_in(node: ast.expr, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, ast.Name) and path:
        yield path, node.id
    elif isinstance(node, ast.Tuple | ast.List):
        for i, item in enumerate(node.elts):
            yield from _names_in(item, (*path, i))
    elif isinstance(node, ast.Dict):
        for key, item in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield from _names_in(item, (*path, key.value))
