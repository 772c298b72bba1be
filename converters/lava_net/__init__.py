"""lava-dl's ``.net`` (HDF5) in and out, without Lava: layers that are integers already, read as those integers.

``load`` gives the chip network that lava-dl's own reader (netx) would build: a CUBA or LOIHI neuron is the fixed LIF with
vth = vThMant, du = iDecay - 1, dv = vDecay and biases with exponent 6; SDNN is SigmaDelta with six bits each of spike and
state exponent; RF is the resonator; weights are as stored. ``save`` writes the networks that have this form.

Time: on the chip each connection takes a step. lava-dl's slayer trains CUBA and RF blocks with that step (``delay_shift``), so
all layers keep the time of the first one, whose input comes a step late where it comes through synapses (``shift`` 1). LOIHI
files (the SLAYER before Lava) and SDNN were trained without: layer l runs ``shift`` = l steps late. Fixed LIF layers with a
shift are cleared when their first input comes, once a sample, if a bias would have moved them before (netx's
``reset_interval``). ``--source bootstrap`` reads a CUBA file as trained without the step, ``--source slayer`` any file as
trained with it.

Two of netx's errors are not copied: it corrupts a matrix without positive weights whose least weight is a negative power
of two, and resets a dense first layer a step early. Where netx drops what a file says (refractory delays, exponents of the
normalization, graded spikes of LIF neurons, delays of convolutions), this module keeps it or refuses.

Sources: lava-dl 0.6 ``netx/hdf5.py``, ``netx/utils.py``, ``slayer/block/base.py``, ``slayer/synapse/layer.py``.
"""

from __future__ import annotations

from pathlib import Path

from converters import Options
from converters.lava_net import files, reading, registers, writing
from snndeploy.chip.instead import refuse_programs
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.options import same_shape

SUFFIXES = (".net",)


def load(path: str | Path, options: Options | None = None) -> ChipNetwork:
    """The chip network in a file; its input is called "input", its layers by type and number, such as "conv1".

    ``options.timesteps`` outranks the file's tSample / Ts; ``options.input_shape`` is needed where a convolution comes first
    and no input layer says its shape; ``options.input_unit`` is the real value of one unit of an analog input (without it
    the inputs are spikes); ``options.source`` is "slayer" or "bootstrap" (see above).

    Raises:
        ModelError: not HDF5, cut off, another layout, something missing or not whole; it names layer and field.
        Unsupported: understood, but without an exact meaning here. OptionError: an option that must be given.
        ChipError: a value outside its register. MissingPackage: h5py is not installed.
    """
    file, chosen = Path(path), options or Options()
    chosen.only("a .net file, which holds integers and says them itself", "input_shape", "input_unit", "source")
    network = reading.network(files.read(file), chosen)
    same_shape(chosen.input_shape, {reading.INPUT: network.populations[reading.INPUT].shape}, file.name)
    return network


def save(noun: ChipNetwork | Graph, path: str | Path, lossy: bool = False) -> tuple[str, ...]:
    """Write a chip network whose every part has a place in the format; the same integers come back from ``load``.

    Biases that the conversion drives are written as bias registers (``registers``). With ``lossy`` also what readers take
    otherwise: returns what, and how much.

    Raises:
        Unsupported: what has no place, by name. ModelError: the file cannot be written. MissingPackage: no h5py.
    """
    if isinstance(noun, Graph):
        raise Unsupported(str(path), "a .net file holds integers, and this is a float graph", "convert it, and save the chip network")
    refuse_programs(noun, "a .net file")
    writing.check_rate(noun)
    made = registers.moved(noun, lossy=lossy)
    layers, steps = writing.layers_of(made.network)
    lost = (*made.lost, *writing.dropped(layers))
    if lost and not lossy:
        raise Unsupported(str(path), "; ".join(lost), "--lossy writes it all the same: our own reader keeps it")
    files.write(Path(path), layers, steps)
    return lost
