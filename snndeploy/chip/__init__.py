"""The network as the chip holds it: integers within registers."""
