"""Every way snndeploy can refuse, in one shape: ``where: what`` and a ``hint:`` that says what to do.

SnnError
├── ModelError           the model file or module cannot be read as a network
│   └── UnsafePickle     a file asks for a global that weights never need
├── DataError            the samples, labels or events do not fit
├── GraphError           a graph that would be invalid is not made
├── Unsupported          understood, but it has no exact meaning here
│   └── Obstacles        several such things at once
├── ProfileError         a hardware profile is unknown, incomplete or wrong
├── QuantizeError        no integers within the chip's registers represent this layer
├── ChipError            a chip network that would be invalid is not made
├── DoesNotFit           the network is larger than the chip
├── OptionError          an option of the command line or the API is wrong
│   └── NoEffect         an option that would change nothing here
└── MissingPackage       an optional package is needed and not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SnnError(Exception):
    """One refusal: ``where`` it happened, ``what`` is wrong, and a ``hint`` that says what to do."""

    def __init__(self, where: str, what: str, hint: str = "") -> None:
        super().__init__(where, what, hint)
        self.where = where
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text}\nhint: {self.hint}" if self.hint else text


class ModelError(SnnError):
    """The model file or module cannot be read as a network."""


class UnsafePickle(ModelError):
    """The file asks for a global that weights never need; it is not run."""


class DataError(SnnError):
    """The samples, labels or events do not fit the network."""


class GraphError(SnnError):
    """The graph would be invalid, so it is not made."""


class Unsupported(SnnError):
    """The construct is understood, but has no exact meaning here."""


class Obstacles(Unsupported):
    """Several constructs have no exact meaning here; it reads as the first.

    ``others`` are all of them, the first included; ``maps`` names the parts beside them that have a meaning.
    """

    def __init__(self, where: str, what: str, hint: str = "", others: tuple[SnnError, ...] = (), maps: tuple[str, ...] = ()) -> None:
        super().__init__(where, what, hint)
        self.others = others
        self.maps = maps

    def __str__(self) -> str:
        text = super().__str__()
        more = [f"{error.where}: {error.what}" for error in self.others[1:]]
        return "\n".join([text, *(f"also: {line}" for line in more)])


class ProfileError(SnnError):
    """The hardware profile is unknown, incomplete or wrong."""


class QuantizeError(SnnError):
    """No integers within the chip's registers represent this layer."""


class ChipError(SnnError):
    """The chip network would be invalid, so it is not made."""


class DoesNotFit(SnnError):
    """The network is larger than the chip."""


class OptionError(SnnError):
    """An option of the command line or of the API is wrong."""


class NoEffect(OptionError):
    """The option would change nothing here, and whoever gives it believes that it does."""


class MissingPackage(SnnError):
    """An optional package is needed and not installed."""

    def __init__(self, where: str, package: str, extra: str) -> None:
        super().__init__(where, f"needs the package {package!r}, which is not installed", f"pip install 'snndeploy[{extra}]'")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the nearest known words, or all of them when none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
