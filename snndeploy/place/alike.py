"""Which boxes of a population take the same on a core, so that one of them is counted for all.

Along a convolution's map almost every box lies as its neighbours do. Equal answers mean equal demand, never the reverse.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.place.boxes import Box, slices, volume
from snndeploy.place.fan_in import ConvFanIn, FanIn, SparseFanIn
from snndeploy.place.taps import Taps


@dataclass(frozen=True, eq=False)
class Alike:
    """Boxes of equal channels and size are alike if they meet their sources through the same taps, and equally many single synapses.

    ``taps``: of the convolutions into the population; None where nothing is known, and only equal boxes are alike.
    ``counts`` [*shape]: entries a neuron of what depends on more than the channel.
    """

    taps: tuple[Taps, ...] | None
    counts: tuple[Ints, ...] = ()

    def __call__(self, box: Box) -> Hashable:
        """Equal for boxes that take the same."""
        if self.taps is None:
            return box
        kinds = [taps.pattern(axis, *ends).kind for taps in self.taps for axis, ends in enumerate(box[1:])]
        return box[0], volume(box), *kinds, *(int(count[slices(box)].sum()) for count in self.counts)


def likeness(entering: Sequence[tuple[str, FanIn]], configs: Ints) -> Alike:
    """How boxes of a population are known to be alike, from what enters it and its neurons' configurations [*shape]."""
    by_source: dict[str, list[FanIn]] = {}
    for source, synapses in entering:
        by_source.setdefault(source, []).append(synapses)
    if not _by_channel(configs):
        return Alike(None)
    known = [_known(several) for several in by_source.values()]
    counts = [count for one in known if one for count in one.counts]
    taps = {t: None for one in known if one and one.taps for t in one.taps}
    return Alike(tuple(taps), tuple(c for c in counts if not _by_channel(c))) if all(known) else Alike(None)


def _known(several: Sequence[FanIn]) -> Alike | None:
    """The same for what comes from one source, whose neurons count once; None where that depends on more."""
    convolutions = [f for f in several if isinstance(f, ConvFanIn)]
    single = [f for f in several if isinstance(f, SparseFanIn)]
    if len(convolutions) == len(several):
        return Alike((convolutions[0].taps,)) if all(f.taps is convolutions[0].taps for f in convolutions) else None
    if len(single) < len(several):
        return None
    if single[0].sources == 1:
        return Alike((), tuple(f.degrees for f in single))
    each = [np.unique(f.targets * f.sources + f.columns) for f in single]
    pairs = np.unique(np.concatenate(each))
    twice = any(own.size < f.columns.size for own, f in zip(each, single, strict=True))
    if twice or np.unique(pairs % single[0].sources).size < pairs.size:
        return None
    together = np.bincount(pairs // single[0].sources, minlength=single[0].degrees.size).reshape(single[0].degrees.shape)
    return Alike((), (*(f.degrees for f in single), together))


def _by_channel(values: Ints) -> bool:
    """Whether all neurons of a channel have the same."""
    rows = values.reshape(len(values), -1)
    return bool((rows == rows[:, :1]).all())
