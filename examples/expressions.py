"""Expressions: tensors that have a shape, a type and a meaning before they have a value."""

import numpy as np

import exprgrad as eg

# "n" is a size that is known when the compiled function is called.
x = eg.input("x", ("n", 3))
w = eg.parameter("w", (3,), init=[1.0, -2.0, 0.5])

# Operators, NumPy's functions and the names of the array API make expressions.
score = np.tanh(x @ w) + 0.5
probability = eg.softmax(score, axis=0)
print(probability)
print("shape", probability.shape, "dtype", probability.dtype)

# A mistake is an error at the line that makes it, not at the line that runs it.
try:
    x @ eg.input("v", (4,))
except eg.ShapeError as error:
    print(f"\n{error}\n")

# One compiled function serves every n; results are NumPy arrays.
f = eg.function([x], [score, probability])
for n in (2, 5):
    rows = np.random.default_rng(n).normal(size=(n, 3)).astype("float32")
    score_value, probability_value = f(rows)
    expected = np.tanh(rows @ w.value) + 0.5
    assert np.allclose(score_value, expected, atol=1e-6)
    print(n, "rows:", probability_value)

# A parameter is memory: what is written there is what the next call reads.
w.value = np.zeros(3)
assert np.allclose(f(rows)[1], 1 / 5)
