"""Networks run on data: the float64 definition and the chip's integers, bit for bit."""
