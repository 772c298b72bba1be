"""Neurons, one file each: equations, step, lowering."""
