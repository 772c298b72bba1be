"""A network under construction, one layer behind the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from converters import Fact, LayerSource
from converters.pt.neuron import Neuron
from converters.pt.saying import Place
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError
from snndeploy.ir.graph import Edge, Node

MISSING = "is a stride, a padding or a pooling layer missing? --layer 'conv1: Conv2d(padding=2), AvgPool2d(2)'"


@dataclass(eq=False)
class Chained:
    """The network so far: one layer behind the other.

    Attributes:
        shape: what leaves the last node.
        meant: the neurons, by node; ``asked``: the name under which the user can say more of each.
        delay: how many steps later the last node's output arrives at the next.
        places: where each neuron stands, so that another can be said in its place.
        heard: the libraries of the neurons, and "reset" where ``--reset`` decided one.
        by_keys: the neurons whose class was known by their keys, as the user names them: class, and classes with the same keys.
        read: the settings that were asked for of each neuron of the file, also of one that is left out of the network.
    """

    shape: Shape
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    semantics: list[LayerSource] = field(default_factory=list)
    meant: dict[str, Neuron] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    last: str = "input"
    delay: int = 0
    heard: set[str] = field(default_factory=set)
    by_keys: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    read: dict[str, set[str]] = field(default_factory=dict)

    def append(self, name: str, nodes: Chain, was: str, said: tuple[Fact, ...]) -> None:
        """Nodes behind the last one. Raises ``ModelError`` where the shape does not fit."""
        for i, node in enumerate(nodes):
            own = self.free(name if i == 0 else f"{name}.{type(node).__name__.lower()}")
            try:
                self.shape = node.out_shape((self.shape,))
            except ValueError as misfit:
                hint = MISSING if len(self.shape) > 1 else "the order of the layers is in your code: --arch 'file.py:Net(T=10)'"
                raise ModelError(own, f"{misfit}, which no layer in front of it gives", hint) from None
            self.nodes[own] = node
            self.edges.append(Edge(self.last, own, self.delay))
            self.semantics.append(LayerSource(own, str(node), was, said if i == 0 else ()))
            self.last, self.delay = own, 0

    def entering(self, name: str) -> Edge:
        """The one edge into a node."""
        return next(edge for edge in self.edges if edge.target == name)

    def free(self, name: str) -> str:
        """The name, numbered if it is taken."""
        taken = next((f"{name}_{k}" for k in range(2, 10_000) if f"{name}_{k}" not in self.nodes), name)
        return taken if name in self.nodes else name
