"""Write BatchNorm as the affine diagonal it is after training: (x - mean) scale + shift = scale x + (shift - mean scale).

Threshold-scaled kinds (tdBN) differ in the number ``scale`` only. Nothing is folded here: ``merge`` carries the
diagonal into whatever lies on each path, so a BatchNorm after a convolution becomes part of its weights, one after
an add is distributed over the paths that meet there (its shift counted once, in the neuron's constant), and one on an
identity path stays as a diagonal synapse. Equal over the reals; in floats the products round.
"""

from __future__ import annotations

from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import BatchNorm, Scale


def apply(graph: Graph) -> Graph:
    """The graph with every BatchNorm as a Scale of the same name."""
    return graph.replace({name: Scale(n.scale, n.shift - n.mean * n.scale) for name, n in graph.named(BatchNorm).items()})
