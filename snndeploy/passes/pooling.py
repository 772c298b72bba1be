"""Write sum and average pooling as a depthwise convolution with constant weights.

Exact over the reals: both add the window's values, zeros outside, times ``scale``. A scale that depends on the
position (an average that does not count the padding) follows the convolution as a Scale.
"""

from __future__ import annotations

import numpy as np

from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Conv, Scale, SumPool
from snndeploy.passes.linear_map import per_channel


def apply(graph: Graph) -> Graph:
    """The graph without SumPool. Raises ``Unsupported`` for windows over more than two axes."""
    for name, node in graph.named(SumPool).items():
        graph = _replace(graph, name, node)
    return graph


def _replace(graph: Graph, name: str, node: SumPool) -> Graph:
    axes = len(node.kernel)
    if axes > 2:
        raise Unsupported(name, f"pools over {axes} axes", "pool over one or two axes at a time")
    shape = graph.shapes[name]
    scale = per_channel(node.scale, shape)
    factor = np.ones(shape[0]) if scale is None else scale
    weight = np.ones((shape[0], 1, *node.kernel)) * factor.reshape(-1, 1, *(1,) * axes)
    conv = Conv(weight, None, node.stride, node.padding, groups=shape[0])
    if scale is not None:
        return graph.replace({name: conv})
    inner = f"{name}.sum"
    edges = [Edge(e.source, inner, e.delay) if e.target == name else e for e in graph.edges]
    return graph.replace({inner: conv, name: Scale(node.scale)}, [*edges, Edge(inner, name)])
