"""Why modules of torch.nn and functions have no exact meaning, class by class; none of it names a way that is refused as well."""

from __future__ import annotations

from collections.abc import Mapping

GATES = "its gates multiply two signals, which no synapse does"
REAL = "it gives real numbers, and what runs between neurons are spikes; a spiking neuron in its place, trained, is one that converts"
BY_INDEX = "an embedding has no node: it looks rows up by an index; one-hot vectors into nn.Linear(bias=False) give the same numbers"
AT_RUN_TIME = "its mean and variance are computed from the data at run time, not after training"
ATTENDS = "attention multiplies two signals, which no synapse does"
LOGITS = "it is not needed to find the largest output; return the logits"
STATEFUL = "it hands a real state from step to step through tanh or relu, which no spike carries; a recurrent spiking neuron converts"
VOLUME = "it works on three axes of space, and layers here have one or two"

_REAL = (
    *("Sigmoid", "Tanh", "GELU", "SiLU", "ELU", "SELU", "CELU", "Mish", "LeakyReLU", "PReLU", "RReLU", "Softplus", "Softsign"),
    *("Hardtanh", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "Tanhshrink", "LogSigmoid", "Threshold"),
)
MODULES: Mapping[str, str] = {
    "ConvTranspose2d": "transposed convolution has no node yet",
    "ConvTranspose1d": "transposed convolution has no node yet",
    "MaxUnpool2d": "un-pooling needs the positions of maxima, which spikes do not carry",
    "LayerNorm": AT_RUN_TIME,
    "GroupNorm": AT_RUN_TIME,
    "RMSNorm": "its mean square is computed from the data at run time, not after training",
    **dict.fromkeys(["InstanceNorm1d", "InstanceNorm2d"], AT_RUN_TIME),
    "LocalResponseNorm": "it divides by what its neighbours hold at run time, which no synapse does",
    **dict.fromkeys(["Softmax", "LogSoftmax", "Softmin", "Softmax2d"], LOGITS),
    **dict.fromkeys(["MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerDecoder"], ATTENDS),
    **dict.fromkeys(["TransformerEncoderLayer", "TransformerDecoderLayer"], ATTENDS),
    **dict.fromkeys(["LSTM", "GRU", "LSTMCell", "GRUCell", "GLU"], GATES),
    **dict.fromkeys(["RNN", "RNNCell"], STATEFUL),
    **dict.fromkeys(["Embedding", "EmbeddingBag"], BY_INDEX),
    "Bilinear": "it multiplies two signals, which no synapse does",
    **dict.fromkeys(["CosineSimilarity", "PairwiseDistance"], "it compares two signals by their products, which no synapse does"),
    **dict.fromkeys(["Conv3d", "ConvTranspose3d", "BatchNorm3d", "AvgPool3d", "MaxPool3d", "AdaptiveAvgPool3d"], VOLUME),
    **dict.fromkeys(_REAL, REAL),
}
"""torch.nn's classes -> why, or what to do instead."""
OTHERWISE = "docs/support.md lists the layers that convert; a module of your own can state itself with to_node(), step_mode and reset()"

_FUNCTIONS: Mapping[str, str] = {
    **dict.fromkeys(
        [
            *("sigmoid", "tanh", "exp", "gelu", "silu", "elu", "selu", "celu", "mish", "leaky_relu", "prelu", "softplus", "softsign"),
            *("hardtanh", "hardsigmoid", "hardswish", "logsigmoid", "log", "sqrt", "rsqrt", "sin", "cos", "erf", "log1p", "expm1"),
        ],
        REAL,
    ),
    **dict.fromkeys(["softmax", "log_softmax", "softmin"], LOGITS),
    **dict.fromkeys(["embedding", "embedding_bag", "one_hot"], BY_INDEX),
    **dict.fromkeys(["layer_norm", "group_norm", "instance_norm"], AT_RUN_TIME),
    "scaled_dot_product_attention": ATTENDS,
    "glu": GATES,
    **dict.fromkeys(["lstm", "gru", "lstm_cell", "gru_cell"], GATES),
    **dict.fromkeys(["topk", "sort", "argsort", "kthvalue"], "it compares neurons with each other, which no synapse does"),
}
FUNCTIONS: Mapping[str, tuple[str, str]] = {
    name: (f"{name}() in forward has no exact meaning as a node", why) for name, why in _FUNCTIONS.items()
}
"""Functions that have no meaning wherever they stand -> what is said of them, and why."""
STATE = "the state "
"""What a tensor is called that is a module's state, read as its attribute."""
INSTEAD = "use what the neuron gives; a neuron without a threshold (LI of snndeploy.nn) gives its potential"
