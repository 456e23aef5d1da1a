"""The operations of the models as each library spells them best, a module for each.

Shapes: dense layers take x[rows, in] (or more axes in front) and W[in, out]; images are
x[rows, channels, height, width]; tokens are x[rows, places]. `u(i, shape)` are uniform
numbers.
"""
