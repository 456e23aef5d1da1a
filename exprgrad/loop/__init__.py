"""Kernels: loops over scalars, lowered from tensors, fused, ordered, scheduled."""
