"""The gradient is an expression too: it is printed, written as mathematics, derived again."""

import numpy as np

import exprgrad as eg

x = eg.input("x", ("n", 2), dtype="float64")
y = eg.input("y", ("n",), dtype="float64")
w = eg.parameter("w", (2,), init=[0.3, -0.2], dtype="float64")

# Logistic regression as a textbook writes it.
p = 1 / (1 + eg.exp(-(x @ w)))
loss = -(y * eg.log(p) + (1 - y) * eg.log(1 - p)).mean()
(safe,) = eg.simplify([loss])
gradient = eg.grad(loss, w)

print("the loss, as it was written\n", loss, "\n", sep="")
print("the loss, as it is compiled: safe for any x\n", safe, "\n", sep="")
print("its gradient\n", gradient, "\n", sep="")
print("as mathematics\n", eg.to_latex(gradient, "g"), "\n", sep="")

# The gradient's graph for analysis of one's own, and for a picture.
graph = gradient.to_networkx()
print(f"{len(graph)} nodes, {graph.number_of_edges()} edges")

# The rule of the textbook: the mean of (p - y) x.
f = eg.function([x, y], [gradient, eg.hessian(loss, w)])
rng = np.random.default_rng(0)
rows, targets = rng.normal(size=(50, 2)), rng.integers(0, 2, 50).astype("float64")
value, curvature = f(rows, targets)
probability = 1 / (1 + np.exp(-rows @ w.value))
assert np.allclose(value, (probability - targets) @ rows / 50)
weight = probability * (1 - probability)
assert np.allclose(curvature, (rows.T * weight) @ rows / 50)

# Far out, where exp overflows, the value stays right.
assert np.isfinite(f(1e4 * rows, targets)[0]).all()
