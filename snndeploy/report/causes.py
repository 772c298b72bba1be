"""The classes of what parts two networks: meaning, why it matters, what to do, and where that is not ours its source."""

from __future__ import annotations

from collections.abc import Mapping

LAVA = "lava-nc 0.10.0, select_tag='fixed_pt'"

CAUSES: Mapping[str, tuple[str, ...]] = {
    "rounding": (
        "numbers were rounded to the chip's registers",
        "A weight, threshold or decay of the float network has no exact integer.",
        "Expected between float and chip: judge it by fidelity. More weight bits or another scale make it smaller.",
    ),
    "truncation": (
        "a decay's fraction was cut off otherwise",
        "Lava divides by 4096 toward zero; floor differs for every negative value.",
        "Divide toward zero: sign(x) floor(|x| keep / 4096).",
        LAVA,
    ),
    "clipping": (
        "a weight beyond the synapse's range was set to its end",
        "A synapse holds 8 bits; the quantizer may clip few large weights so that all others keep finer steps.",
        "Judge it by fidelity; a larger scale for this layer, or smaller weights in training, avoid it.",
    ),
    "wrap": (
        "u left its 24 bits and was not treated alike",
        "u wraps around once; clipping it, or not, gives another current.",
        "Wrap u as the chip does; better, keep sums within 24 bits (L013).",
        LAVA,
    ),
    "saturation": (
        "v left its range and was not treated alike",
        "v is clipped to +-(2^23 - 1), never wrapped.",
        "Clip v; better, scale the layer down.",
        LAVA,
    ),
    "tie": (
        "v met the threshold exactly, and >= was read for > or the reverse",
        "Integers meet their threshold often. The chip fires at v > threshold only.",
        "Compare strictly; for a neuron that fires at >=, lower the threshold by one unit of v.",
        LAVA,
    ),
    "threshold": ("the thresholds differ", "One unit of the mantissa is 64 units of v.", "Compare the scale of weights and threshold."),
    "reset-kind": (
        "the reset goes elsewhere",
        "To zero, to a value, less the threshold, or not at all: each gives other spikes.",
        "State the reset (--reset, or the neuron's argument); only a reset to 0 is in the silicon.",
    ),
    "reset-u": ("the reset clears the current too", "On the chip u outlives the spike.", "Clear v alone.", LAVA),
    "reset-late": (
        "the reset acts one step late",
        "Some libraries reset inside the next update, so that its input is lost or kept.",
        "State the timing of the reset (--reset late-zero, or the neuron's own argument).",
    ),
    "timed-reset": (
        "the clock's reset of u and v comes at another step, or not",
        "It separates one sample from the next.",
        "Compare reset_interval and reset_offset; steps count from 1.",
    ),
    "delay": (
        "a delay was dropped, or one was added",
        "Spikes arrive at another step.",
        "Compare the delays of edge and synapse; a projection takes one step by itself.",
    ),
    "bias": (
        "a bias is lost, or another",
        "It enters at every step.",
        "Look where it was folded: batch norm, the constant input, the host.",
    ),
    "order": (
        "the same weights in another order",
        "An image was flattened channel last where the weights expect channel first, or the like.",
        "Flatten as in training: channel, row, column.",
    ),
    "channels": (
        "channels or neurons are exchanged",
        "Every weight is there, at the neighbour's place.",
        "Compare the channel order of both sides.",
    ),
    "kernel": (
        "kernels are flipped or transposed",
        "Torch correlates; a convolution flips its kernel (Lava's Conv does).",
        "Flip or transpose the kernel once, not twice.",
    ),
    "padding": (
        "the padding lies on another side",
        "The total is the same, so the shapes fit and nothing complains.",
        "Compare (before, after) of every axis; 'same' padding of an even kernel is not symmetric.",
    ),
    "sign-mode": (
        "weights were forced on the grid of a sign mode",
        "A matrix of both signs holds even weights only; odd ones lose their last bit.",
        "Quantize to even weights where the signs are mixed, or split the signs.",
        "lava-nc 0.10.0 utils/weightutils.py",
    ),
    "decay": (
        "the decays differ",
        "One off in 4096 moves a spike sooner or later. Lava adds 1 to du, and nothing to dv.",
        "Compare du and dv; du 4095 forgets at once, dv 0 never.",
        LAVA,
    ),
    "exponent": (
        "a power of two, or another factor",
        "All sums are scaled alike.",
        "Compare the exponents of weights and bias, and the input's gain.",
    ),
    "duplicate": ("synapses are there twice", "The two sums add up.", "Remove one; check that files are not loaded over each other."),
    "lost": ("synapses are missing", "Nothing arrives where it should.", "Compare the projections of both sides."),
    "force": (
        "what keeps a decoupled burst neuron's banks in step is lost or another",
        "Ping-pong forces the idle bank at every step; look-ahead forces and kicks by its parity counter.",
        "Compare the synapses between the members, the drive and the counter; `snndeploy verify FILE --prove` refutes it with a run.",
    ),
    "lateral": (
        "a lateral synapse of a decoupled burst neuron is lost or another",
        "It takes off what another rung's spike means for the shared potential: decay times the rung's amount.",
        "Compare the synapses between the members N1..NK; `snndeploy verify FILE --prove` refutes it with a run.",
    ),
    "relay": (
        "a relay of a decoupled burst neuron is lost or another",
        "A relay fires where two spikes arrive in one step, and remembers nothing: vth 1, du and dv 4095, weights of 1.",
        "Compare the members R1..RK and the synapses into them.",
    ),
    "level": (
        "a rung of a decoupled burst neuron counts for another level",
        "Downstream weights are multiplied by each rung's step in level; here they stand to each other otherwise.",
        "Compare the projections that leave the members of the layer.",
    ),
    "graded": (
        "the payload multiplies on one side only",
        "A graded spike counts as its number, a plain one as 1.",
        "Mark the projection as graded on both sides.",
    ),
    "start": ("the state before the first step differs", "u and v need not start at 0.", "Compare v_init, u and v."),
    "stale-state": (
        "state of an earlier sample is left over",
        "The sample alone is equal; after others it is not.",
        "Clear u, v and what is under way between samples.",
    ),
    "window": (
        "the same run, read at other steps",
        "A layer of depth n answers n steps late; the read-out must wait for it.",
        "Read steps shift .. shift + T - 1 of the layer.",
    ),
    "input": ("the inputs themselves differ", "Unit, rounding or encoding of the data.", "Compare --encode, --seed and --input-unit."),
    "weights": (
        "the weights differ, in no known way",
        "They are other numbers.",
        "Compare the two files: were they made from the same weights?",
    ),
    "structure": (
        "the layer is another one",
        "Its neurons or synapses are of another kind or shape.",
        "Compare `snndeploy show` of both files.",
    ),
    "unknown": (
        "nothing that was tried reproduces the difference; of a proof: neither proved nor refuted in its time",
        "The search covers known mistakes only.",
        "Read u and v around the first difference; two mistakes in one layer hide each other.",
    ),
}
