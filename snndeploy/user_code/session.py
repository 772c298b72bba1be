"""While a user's code is opened: where it finds its neighbours, what it may print to, and what is put back afterwards."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import random
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from snndeploy.errors import SnnError
from snndeploy.user_code.folders import dotted_name, is_checkout, of_python, on_python_path
from snndeploy.user_code.opening import Book, Opened, failed, public_names
from snndeploy.user_code.refused import Refused, Unknown, refusal_of

PREFIX = "user_code_"


class Session:
    """The user's files that are open, and the finder that opens their neighbours.

    Attributes:
        whole: modules are run, as Python runs them, instead of opened.
        files: the user's files, as their code names them.
        heard: refusals that were raised; one that the user's code passed over is still one.
    """

    def __init__(self, whole: bool) -> None:
        self.whole = whole
        self.files: set[str] = set()
        self.heard: list[Refused] = []
        self.folders: list[Path] = [Path.cwd(), *on_python_path()]
        self.before = list(sys.path)
        self.books: list[Book] = []
        self.anyone = False

    def file(self, path: Path) -> ModuleType:
        """The module in a file. Raises ``Refused``, or what it raises where it is run whole."""
        home = path.resolve().parent
        sys.argv[:] = [str(path)]
        self.folders.insert(0, home)
        sys.path.insert(0, str(home))
        name, top = dotted_name(path.resolve())
        if top != home:
            self.folders.insert(0, top)
            sys.path.insert(0, str(top))
            return self.package(name)
        spec = importlib.util.spec_from_file_location(PREFIX + path.stem, path.resolve(), loader=None if self.whole else _Loader(self))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        self.files.add(str(path.resolve()))
        sys.modules[spec.name] = module  # dataclasses and pickles look their module up
        if path.stem not in sys.modules and not self._taken(path):
            sys.modules[path.stem] = module  # a neighbour that imports it gets the same
        spec.loader.exec_module(module)
        return module

    def _taken(self, path: Path) -> bool:
        """Whether another module has the file's name."""
        spec = PathFinder.find_spec(path.stem, self.before)
        return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != path.resolve())

    def package(self, name: str) -> ModuleType:
        """The module of that dotted name: opened where it is a file of the user's, else imported."""
        if not self.whole and self.locate(name.partition(".")[0], None) is None and name not in sys.modules:
            self._look_on_path(name.partition(".")[0])
        with self.for_anyone():
            return importlib.import_module(name)

    def value(self, module: ModuleType, name: str) -> Any:
        """What a name of a module holds. Raises ``KeyError``: there is none; ``Refused``: it was not computed."""
        book = next((book for book in self.books if book.space is vars(module)), None)
        if book is not None:
            return book.value(name)
        found = getattr(module, name, book)
        if found is None and not hasattr(module, name):
            raise KeyError(name)
        return found

    def given(self, result: Any) -> Any:
        """What the user's code returned. Raises ``Refused`` where that was not computed."""
        if isinstance(result, Unknown):
            raise refusal_of(result)
        return result

    def names(self, module: ModuleType) -> list[str]:
        """The public names of a module."""
        return [n for n, held in vars(module).items() if not n.startswith("_") and not isinstance(held, ModuleType)]

    def left_out(self) -> tuple[str, ...]:
        """What did not run though it may have changed what was made."""
        return tuple(said for book in self.books for said in book.left_out())

    @contextmanager
    def for_anyone(self, *folders: Path) -> Iterator[None]:
        """Whoever imports meanwhile, and not the user's code alone, finds the user's files; those in ``folders``, too."""
        before, self.anyone = self.anyone, True
        self.folders += [folder.resolve() for folder in folders]
        try:
            yield
        finally:
            self.anyone = before

    # -- what a book asks ----------------------------------------------------------------------------------------

    def is_users(self, name: str, package: str | None, level: int) -> str | None:
        """The absolute name of an import where it is a file of the user's, else None."""
        if level:
            try:
                return importlib.util.resolve_name("." * level + name, package)
            except (ImportError, ValueError):
                return None
        first = name.partition(".")[0]
        held = sys.modules.get(first)
        return name if isinstance(held, Opened) or (held is None and self.locate(first, None)) else None

    def public(self, name: str) -> frozenset[str]:
        """The names that ``from name import *`` gives."""
        parent = name.rpartition(".")[0]
        path = getattr(importlib.import_module(parent), "__path__", None) if parent else None
        file = self.locate(name, path)
        return frozenset() if file is None else public_names(file)

    def locate(self, name: str, path: Sequence[str] | None) -> Path | None:
        """The user's file of a module: in the file's folder, the current one, or one that the user's code put on the path."""
        added = [Path(p) for p in sys.path if p not in self.before]
        folders = [*self.folders, *added] if path is None else [Path(p) for p in path]
        last = name.rpartition(".")[2]
        for folder in folders:
            for file in (folder / last / "__init__.py", folder / f"{last}.py"):
                if file.is_file():
                    foreign = path is None and (is_checkout(file) or self._installed(last, file))
                    return None if foreign else file.resolve()
        return None

    def _installed(self, name: str, file: Path) -> bool:
        """Whether Python finds that very file without the user's folders: it is a package that was installed from here."""
        own = {str(folder) for folder in self.folders} | {"", "."}
        spec = PathFinder.find_spec(name, [p for p in self.before if p not in own])
        return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file.resolve()

    def _look_on_path(self, top: str) -> None:
        """A package beside which the user set the path (PYTHONPATH), and that is not installed, is the user's."""
        spec = PathFinder.find_spec(top, self.before)
        origin = Path(spec.origin) if spec is not None and spec.origin else None
        if origin is not None and not of_python(origin):
            self.folders.append(origin.parent.parent if origin.name == "__init__.py" else origin.parent)
            self.before = [p for p in self.before if Path(p or ".").resolve() != self.folders[-1].resolve()]

    def asked_by_user(self) -> bool:
        """Whether the import that is looked for stands in the user's code."""
        if self.anyone:
            return True
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if not name.startswith("<frozen importlib") and name not in (importlib.__file__, importlib.util.__file__, __file__):
                return name in self.files or name.startswith(str(Path(__file__).parent))
            frame = frame.f_back
        return False


class _Finder(MetaPathFinder):
    """Finds the neighbours of the user's files, for these alone."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if path is not None and not isinstance(parent, Opened) and getattr(parent, "__file__", None) is not None:
            return None
        if path is None and not self.session.asked_by_user():
            return None
        file = self.session.locate(fullname, path)
        if file is None:
            return None
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(self.session), submodule_search_locations=inside)


class _Loader(Loader):
    """Opens a module instead of running it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Opened(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        assert isinstance(module, Opened)
        file = Path(str(module.__file__))
        self.session.files.add(str(file))
        book = Book(module, file, self.session)
        self.session.books.append(book)
        book.start()


@contextmanager
def session(kind: type[SnnError], where: str, *, whole: bool = False) -> Iterator[Session]:
    """Open the user's code meanwhile; what it prints goes to standard error, and the interpreter is as before afterwards.

    ``whole``: the code is run as Python runs it, which the user asked for.

    Raises:
        kind: code of the user's needs what no definition gives, raises, or ends the program; file and line are said.
    """
    opened = Session(whole)
    with _as_before(opened), redirect_stdout(sys.stderr), _default_dtype(), _own_draws(), _in_words(opened, kind, where):
        yield opened


@contextmanager
def _as_before(opened: Session) -> Iterator[None]:
    """The interpreter finds the user's files meanwhile, and nothing of them afterwards."""
    arguments, path, modules, folder = list(sys.argv), list(sys.path), set(sys.modules), Path.cwd()
    finder = _Finder(opened)
    if opened.whole:
        sys.path.insert(0, str(Path.cwd()))
    else:
        sys.path.append(str(Path.cwd()))  # folders without __init__.py are found there, behind what is installed
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.argv[:], sys.path[:] = arguments, path
        with suppress(OSError):
            os.chdir(folder)
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        _forget(modules, opened.folders)


@contextmanager
def _in_words(opened: Session, kind: type[SnnError], where: str) -> Iterator[None]:
    """Whatever the user's code raises becomes one refusal, also one that it passed over itself."""
    try:
        yield
    except Refused as error:
        raise _as(kind, error) from error
    except SnnError as error:
        if opened.heard and not isinstance(error, kind):
            raise _as(kind, opened.heard[0]) from error
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, Exception) and not _in_users(error, opened.files):
            raise
        raise _as(kind, failed(error, Path(where), opened.files)) from error
    if opened.heard:
        raise _as(kind, opened.heard[0])


def _as(kind: type[SnnError], refusal: Refused) -> SnnError:
    return kind(refusal.where, refusal.what, refusal.hint)


def _in_users(error: BaseException, files: set[str]) -> bool:
    """Whether an error was raised by the user's code, or by what it called, and not by us."""
    ours = Path(__file__).resolve().parents[1]
    own = str(ours) + os.sep, str(ours.parent / "converters") + os.sep
    frames = [f.filename for f in traceback.extract_tb(error.__traceback__)]
    last = max((i for i, name in enumerate(frames) if name in files), default=-1)
    return last >= 0 and not any(name.startswith(own) for name in frames[last:])


def _forget(known: Iterable[str], folders: Iterable[Path]) -> None:
    """Take what was opened out of Python's table: who imports it later is to get the whole."""
    kept, inside = set(known), tuple(str(folder.resolve()) for folder in folders)
    gone = [name for name, module in list(sys.modules.items()) if name not in kept and _opened(module, inside)]
    for name in gone:  # the path of a folder without __init__.py is known only while its parent is in the table
        del sys.modules[name]


def _opened(module: ModuleType, inside: tuple[str, ...]) -> bool:
    """Whether a module is one that a session made: opened, run, or a folder without ``__init__.py``."""
    space = getattr(module, "__dict__", {})
    folder = space.get("__file__") is None and any(str(p).startswith(inside) for p in space.get("__path__", ()))
    return isinstance(module, Opened) or folder or str(space.get("__name__")).startswith(PREFIX)


@contextmanager
def _default_dtype() -> Iterator[None]:
    """A number type that the user's code sets for all that follows ends with its session."""
    held = getattr(sys.modules.get("torch"), "get_default_dtype", lambda: None)()
    try:
        yield
    finally:
        setter = getattr(sys.modules.get("torch"), "set_default_dtype", None)
        if setter is not None and held is not None:
            setter(held)


@contextmanager
def _own_draws() -> Iterator[None]:
    """A seed that the user's code sets is for what it draws: who draws afterwards goes on where he was."""
    torch, python = sys.modules.get("torch"), random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002 - it is what the code of users may seed
    drawn = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(drawn)


@contextmanager
def unchanged(*files: Path | None) -> Iterator[None]:
    """Hold that the files given are the same afterwards.

    Raises:
        SnnError: one was changed or removed meanwhile, by the user's code or by another program.
    """
    before = {path: (path.resolve(), digest(path)) for path in files if path is not None and path.is_file()}
    yield
    for path, (held, was) in before.items():  # code that is run may change the folder, and what a name then means
        now = digest(held) if held.is_file() else "removed"
        if now != was:
            what = f"was changed while this ran (sha256 {was[:12]} before, {now[:12]} after); what was read may be neither"
            raise SnnError(str(path), what, "restore it from a copy; code that is run, or another program, wrote it")


def digest(path: Path) -> str:
    """The sha256 of a file."""
    held = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            held.update(block)
    return held.hexdigest()
