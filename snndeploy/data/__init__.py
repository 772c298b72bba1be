"""VERB data: samples from files, events or a user's factory; encoders for static data; decoders of what comes out.

Axes are [N, T, *shape] or [N, *shape] here; what a run records is [T, B, *shape].
"""

from __future__ import annotations

from snndeploy.data.decoders import Decoding, accuracy, decode, predict
from snndeploy.data.encoders import Encoding, encode, over_time
from snndeploy.data.files import read
from snndeploy.data.samples import Samples, fit, part

__all__ = ["Decoding", "Encoding", "Samples", "accuracy", "decode", "encode", "fit", "over_time", "part", "predict", "read"]
