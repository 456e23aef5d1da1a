"""Rewrites of expressions: algebra, numerical stability, movement, constants.

Each function takes output expressions and returns expressions of the same values.
"""
