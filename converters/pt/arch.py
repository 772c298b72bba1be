"""``--arch``: building the module that the weights belong to, from the user's own code."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from converters.pt.places import raised_at
from snndeploy.errors import ModelError, OptionError, SnnError, did_you_mean
from snndeploy.user_code import Session

HINT = "--arch 'file.py:Net(T=10, channels=128)' or --arch pkg.mod:factory"


def build(arch: str, code: Session) -> nn.Module:
    """The module ``file.py:Net(T=10)`` or ``pkg.mod:factory`` makes; arguments are literals, and nothing else is evaluated.

    Raises:
        OptionError: the text is not of this form.
        ModelError: no such file, module or name; it raises; it does not return a module.
        Refused: it needs what no definition gives.
    """
    place, _, call = arch.partition(".py:") if ".py:" in arch else arch.partition(":")
    if not call:
        raise OptionError("--arch", f"{arch!r} names no class or function", HINT)
    name, args, kwargs = parse(call)
    home = _file(Path(place + ".py"), code) if ".py:" in arch else _package(place, code)
    try:
        made = code.value(home, name)
    except KeyError:
        made = None
    if not callable(made):
        known = code.names(home)
        raise ModelError(f"--arch {arch}", f"there is no {name!r} in it", did_you_mean(name, known) if known else HINT)
    try:
        module = code.given(made(*args, **kwargs))
    except SnnError:
        raise
    except Exception as error:
        raise ModelError(f"--arch {arch}", f"{name} fails at {raised_at(error)}: {type(error).__name__}: {error}", HINT) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"--arch {arch}", f"{name} gives a {type(module).__name__}, not a torch.nn.Module", HINT)
    return module


def source_file(arch: str | None) -> Path | None:
    """The file that ``--arch`` names, where it names one."""
    return Path(arch.partition(".py:")[0] + ".py") if arch is not None and ".py:" in arch else None


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


def _file(path: Path, code: Session) -> ModuleType:
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ModelError(f"--arch {path}", "there is no such file", did_you_mean(path.name, siblings) if siblings else HINT)
    try:
        return code.file(path)
    except SnnError:
        raise
    except Exception as error:
        raise _failed(f"--arch {path}", error) from error


def _package(name: str, code: Session) -> ModuleType:
    try:
        return code.package(name)
    except SnnError:
        raise
    except ImportError as error:
        hint = "run where the package is, or install it; a file is named file.py:Net"
        raise ModelError(f"--arch {name}", f"cannot be imported: {error}", hint) from error
    except Exception as error:
        raise _failed(f"--arch {name}", error) from error


def _failed(where: str, error: Exception) -> ModelError:
    return ModelError(where, f"fails at {raised_at(error)}: {type(error).__name__}: {error}", "it must import cleanly")
