"""What stands in for what was not computed: whoever touches it hears why, with its line."""

from __future__ import annotations

from typing import Any, NoReturn

from snndeploy.errors import SnnError

RISK = "--run-code (run_code=True) runs the whole file, whatever it does: trains, writes, parses"


class Refused(SnnError):
    """Code of the user's needs what no definition gives."""


class Unknown:
    """The value of a name that was not computed; every use of it is a refusal, passing it on is none."""

    def __init__(self, refusal: Refused, heard: list[Refused]) -> None:
        self.__dict__["_refusal"], self.__dict__["_heard"] = refusal, heard

    def __deepcopy__(self, _memo: dict[int, Any]) -> Unknown:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name != "__mro_entries__":
            raise AttributeError(name)
        refuse(self)


def refusal_of(value: Unknown) -> Refused:
    """Why it was not computed."""
    found: Refused = value.__dict__["_refusal"]
    return found


def refuse(value: Unknown, *_args: object, **_named: object) -> NoReturn:
    """Raise, and remember that it was raised: code of the user's may swallow it."""
    value.__dict__["_heard"].append(refusal_of(value))
    raise refusal_of(value)


_USES = (
    *("call", "getitem", "setitem", "delitem", "len", "iter", "next", "contains", "bool", "int", "float", "complex"),
    *("index", "str", "bytes", "enter", "exit", "setattr", "delattr", "lt", "le", "gt", "ge", "eq"),
    *("ne", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod"),
    *("rmod", "pow", "rpow", "matmul", "rmatmul", "and", "rand", "or", "ror", "xor", "rxor", "lshift"),
    *("rlshift", "rshift", "rrshift", "neg", "pos", "abs", "invert", "round", "fspath", "format", "hash"),
)
for _use in _USES:
    setattr(Unknown, f"__{_use}__", refuse)
