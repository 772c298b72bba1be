"""``--arch``: building the module that the weights belong to, from the user's own code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from converters.pt.places import raised_at
from snndeploy.errors import ModelError, OptionError, did_you_mean

HINT = "--arch 'file.py:Net(T=10, channels=128)' or --arch pkg.mod:factory"


def build(arch: str) -> nn.Module:
    """The module ``file.py:Net(T=10)`` or ``pkg.mod:factory`` makes; arguments are literals, and nothing else is evaluated.

    Raises:
        OptionError: the text is not of this form.
        ModelError: no such file, module or name; it raises; it does not return a module.
    """
    place, _, call = arch.partition(".py:") if ".py:" in arch else arch.partition(":")
    if not call:
        raise OptionError("--arch", f"{arch!r} names no class or function", HINT)
    name, args, kwargs = parse(call)
    home = _load_file(Path(place + ".py")) if ".py:" in arch else _import(place)
    if not callable(getattr(home, name, None)):
        known = [n for n in vars(home) if not n.startswith("_")]
        raise ModelError(f"--arch {arch}", f"there is no {name!r} in it", did_you_mean(name, known))
    try:
        module = getattr(home, name)(*args, **kwargs)
    except Exception as error:
        raise ModelError(f"--arch {arch}", f"{name} fails at {raised_at(error)}: {type(error).__name__}: {error}", HINT) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"--arch {arch}", f"{name} gives a {type(module).__name__}, not a torch.nn.Module", HINT)
    return module


def parse(call: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """``Net(3, T=10)`` -> its name and literal arguments. Raises ``OptionError``."""
    try:
        tree = ast.parse(call.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, (), {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and all(k.arg for k in tree.keywords):
            args = tuple(ast.literal_eval(a) for a in tree.args)
            return tree.func.id, args, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise OptionError("--arch", f"{call!r} is not a name with literal arguments", HINT)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ModelError(f"--arch {path}", "there is no such file", did_you_mean(path.name, siblings) if siblings else HINT)
    name = f"snndeploy_arch_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    home = importlib.util.module_from_spec(spec)
    with _importable(path.parent, name, home):
        try:
            spec.loader.exec_module(home)
        except Exception as error:
            raise _failed(f"--arch {path}", error) from error
    return home


@contextmanager
def _importable(folder: Path, name: str, home: ModuleType) -> Iterator[None]:
    """The file's own folder comes first, so that it finds its neighbours."""
    sys.path.insert(0, str(folder.resolve()))
    sys.modules[name] = home
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        hint = "run where the package is, or install it; a file is named file.py:Net"
        raise ModelError(f"--arch {name}", f"cannot be imported: {error}", hint) from error
    except Exception as error:
        raise _failed(f"--arch {name}", error) from error


def _failed(where: str, error: Exception) -> ModelError:
    return ModelError(where, f"fails at {raised_at(error)}: {type(error).__name__}: {error}", "it must import cleanly")
