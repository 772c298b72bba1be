"""The network as mathematics: graphs, layers, neurons."""
