"""Which boxes of a population take the same on a core, so that one of them is counted for all.

Along a convolution's map almost every box lies as its neighbours do. Equal answers mean equal demand, never the reverse.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.place.boxes import Box, slices, volume
from snndeploy.place.convolved import ConvFanIn
from snndeploy.place.fan_in import FanIn, Several, SparseFanIn
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

    def line(self, box: Box) -> Hashable:
        """Equal for boxes whose parts take the same, too, one by one: those that differ only in where one axis lies."""
        return box if self.counts else self(box)


def likeness(entering: Sequence[FanIn], configs: Ints) -> Alike:
    """How boxes of a population are known to be alike, from what enters it and its neurons' configurations [*shape]."""
    known = [_known(f.parts if isinstance(f, Several) else (f,)) for f in entering]
    if not _by_channel(configs) or not all(known):
        return Alike(None)
    taps = {t: None for one in known if one for t in one.taps or ()}
    return Alike(tuple(taps), tuple(c for one in known if one for c in one.counts if not _by_channel(c)))


def _known(several: Sequence[FanIn]) -> Alike | None:
    """The same for what comes from one source, whose neurons count once; None where that depends on more."""
    if len(several) == 1 and isinstance(several[0], ConvFanIn):
        return Alike((several[0].taps,))
    single = [f for f in several if isinstance(f, SparseFanIn)]
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
