"""Which boxes of a population take the same on a core, so that one of them is counted for all.

Along a convolution's map almost every box lies as its neighbours do. Equal answers mean equal demand, never the reverse.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

from snndeploy.arrays import Ints
from snndeploy.place.boxes import Box, slices, volume
from snndeploy.place.convolved import ConvFanIn
from snndeploy.place.fan_in import FanIn, Singles
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


def likeness(entering: Collection[FanIn], configs: Ints) -> Alike:
    """How boxes of a population are known to be alike, from what enters it and its neurons' configurations [*shape]."""
    convolutions = [f for f in entering if isinstance(f, ConvFanIn)]
    single = [f for f in entering if isinstance(f, Singles)]
    if not _by_channel(configs) or len(convolutions) + len(single) < len(entering):
        return Alike(None)
    counts = (count for f in single for count in (*f.degrees, f.sources))
    return Alike(tuple(dict.fromkeys(f.taps for f in convolutions)), tuple(c for c in counts if not _by_channel(c)))


def _by_channel(values: Ints) -> bool:
    """Whether all neurons of a channel have the same."""
    rows = values.reshape(len(values), -1)
    return bool((rows == rows[:, :1]).all())
