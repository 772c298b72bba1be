"""Where two runs of what should be one network part: the layer, the step, the neuron, and the change that explains it."""
