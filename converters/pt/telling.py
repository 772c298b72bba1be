"""Data for which a lost state shows: a run in which every state that is handed back changes what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from converters.pt.calling import Calling
from converters.pt.carrying import stepped
from converters.pt.trees import flat

TRIED = ((3, 1.0), (10, 1.0), (10, 8.0), (10, 64.0))
"""Steps, and factors on the example: its own numbers first; powers of two, which round nothing."""


def telling(module: nn.Module, calling: Calling, most: int | None) -> tuple[Calling, int]:
    """The loop on such data, and for how many steps; as it is where there is no state, or none shows.

    ``most``: steps that the model can run.
    """
    first = min(TRIED[0][0], most or TRIED[0][0])
    for steps, factor in TRIED if calling.carried else ():
        louder = calling.on({name: x * factor for name, x in calling.inputs.items()})
        count = min(steps, most or steps)
        if _shows(module, louder, count):
            return louder, count
    return calling, first


def _shows(module: nn.Module, calling: Calling, steps: int) -> bool:
    """Whether a run without any one of the states gives other outputs, or none."""
    whole = _run(module, calling, steps)
    lost = (tuple(s for s in calling.carried if s is not state) for state in calling.carried)
    return whole is not None and all(whole != _run(module, replace(calling, carried=rest), steps, calling) for rest in lost)


def _run(module: nn.Module, calling: Calling, steps: int, whole: Calling | None = None) -> list[list[bytes]] | None:
    """What comes out beside the states of ``whole``, as bytes; None where a step fails."""
    try:
        return [list(_bytes((whole or calling).outputs(result))) for result in stepped(module, calling, steps)]
    except Exception:  # noqa: BLE001 - the user's own code, without a state that it is used to
        return None


def _bytes(result: Any) -> Iterator[bytes]:
    return (end.detach().cpu().numpy().tobytes() for _, end in flat(result) if isinstance(end, Tensor))
