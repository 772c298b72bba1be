"""Why an operator of a foreign ONNX graph is refused, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

RETRAIN = "train with ReLU (or spiking neurons), or leave the layer out"
QUANTIZED = "export the float model: snndeploy quantizes weights, thresholds and biases together"
STATE = "export one step, with every state as an input and an output (x, mem -> spk, mem_out), or save the network as .pt or .nir"

_GROUPS: Mapping[str, tuple[str, str]] = {
    "Sigmoid HardSigmoid Tanh Softplus Softsign Elu Selu Celu Gelu Mish HardSwish Erf Softmax LogSoftmax": (
        "is a smooth activation inside the network, which no spike rate follows", RETRAIN,
    ),
    "LeakyRelu PRelu ThresholdedRelu": ("is a rectifier that lets negative values pass, and a spike rate has no sign", RETRAIN),
    "LayerNormalization InstanceNormalization GroupNormalization LpNormalization MeanVarianceNormalization LRN RMSNormalization": (
        "normalizes with statistics of the data at run time", "train with BatchNormalization, whose statistics are fixed",
    ),
    "QuantizeLinear DequantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger DynamicQuantizeLinear": (
        "quantizes the activations, which the chip's own integers would quantize again", QUANTIZED,
    ),
    "LSTM GRU RNN": ("has gates that multiply two signals, which no synapse does", "train a recurrent spiking network"),
    "Scan Loop If": ("holds a graph of its own that is run step by step or under a condition", STATE),
    "Greater GreaterOrEqual Less LessOrEqual Where Sign Heaviside And Or Not": (
        "compares values as with a threshold, but the file has no state for a neuron: it is unrolled over its steps, or forgets each",
        STATE,
    ),
    "ConvTranspose": ("is a transposed convolution, which has no node yet", "use a strided or plain convolution"),
    "Resize Upsample": ("repeats or mixes values at other places, which no node expresses yet", "use a strided or plain convolution"),
    "Attention MultiHeadAttention Einsum": ("multiplies two signals, which no synapse does", RETRAIN),
    "ArgMax TopK": ("chooses a class in the middle of the network", "end the network in its logits"),
    "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial": (
        "draws random numbers", "export the model in evaluation mode: model.eval()",
    ),
}  # fmt: skip
_REASONS = {op: words for ops, words in _GROUPS.items() for op in ops.split()}


def reason(op: str) -> str:
    """What is wrong with the operator, in words."""
    return _REASONS.get(op, ("has no meaning as a layer or neuron here", ""))[0]


def hint_for(op: str) -> str:
    """What to do instead."""
    return _REASONS.get(op, ("", "leave it out of the exported model, or use Conv, Gemm, ReLU, pooling, sums and concatenation"))[1]
