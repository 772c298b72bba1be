"""What a pickle would import, without running it; what a zip claims to hold, without inflating it."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from converters.pt.nesting import Nesting
from snndeploy.errors import ModelError

HARMLESS = frozenset(["collections.OrderedDict", "torch.Size", "torch.device", "torch.Tensor", "torch.nn.parameter.Parameter"])
HARMLESS_STARTS = ("torch._utils._rebuild_", "torch.storage.", "torch._tensor._rebuild_")
DTYPE = re.compile(r"(b?float|u?int|complex|q?u?int)[0-9]+(_e\dm\d\w*)?|bool|half|double|long")
MOST_BYTES = 64 * 2**30
MOST_RATIO = 100
"""torch stores weights uncompressed; a file compressed once more shrinks a few times, never a hundred."""


def globals_named(file: IO[bytes]) -> tuple[str, ...]:
    """Every global the pickles in a stream name, in order, once each. Reads opcodes only; nothing is imported.

    Raises ``ValueError`` where the stream is not a pickle.
    """
    found: dict[str, None] = {}
    while True:
        found |= dict.fromkeys(_globals(file))
        if not file.read(1):
            return tuple(found)
        file.seek(-1, 1)
        if not _pickle_follows(file):
            return tuple(found)


def _pickle_follows(file: IO[bytes]) -> bool:
    """A legacy file is several pickles and then raw storages."""
    ahead = file.read(2)
    file.seek(-len(ahead), 1)
    return len(ahead) == 2 and ahead[0] == 0x80 and ahead[1] <= 5


def _globals(file: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: dict[int, str] = {}
    nesting = Nesting()
    for opcode, argument, _ in pickletools.genops(file):
        nesting.step(opcode, argument)
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[len(memo) if argument is None else int(str(argument))] = strings[-1] if strings else "?"
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            strings.append(memo.get(int(str(argument)), "?"))
        elif isinstance(argument, str):
            strings.append(argument)


def suspicious(names: tuple[str, ...]) -> tuple[str, ...]:
    """The globals that weights do not need."""
    return tuple(n for n in names if n not in HARMLESS and not n.startswith(HARMLESS_STARTS) and not _torch_type(n))


def _torch_type(name: str) -> bool:
    """A torch storage or dtype, such as torch.FloatStorage or torch.float32."""
    owner, _, word = name.rpartition(".")
    return owner == "torch" and (word.endswith("Storage") or DTYPE.fullmatch(word) is not None)


def check_claims(path: Path) -> tuple[str, ...]:
    """The names in a zip, if its claims are believable.

    Raises:
        ModelError: not a whole zip, or it claims more than ``MOST_RATIO`` times its size or ``MOST_BYTES`` in all.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelError(str(path), f"begins like a zip, but is damaged or cut short ({error})", "copy or download it again") from None
    claimed, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if claimed > MOST_BYTES or claimed > MOST_RATIO * size or packed > size:
        what = f"claims to hold {claimed:,} bytes in a file of {size:,}; nothing was unpacked"
        raise ModelError(str(path), what, "this is not how torch saves weights; get the file from where it was made")
    return tuple(e.filename for e in entries)
