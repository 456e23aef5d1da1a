"""What became of an expression: its stages, its loops, its machine code, its time."""

import numpy as np

import exprgrad as eg

x = eg.input("x", ("batch", 64))
W = eg.parameter("W", (64, 10), init=eg.init.glorot_uniform())
rate = eg.state("rate", init=0.1)

loss = eg.mean(eg.tanh(x @ W) ** 2)
step = eg.function([x], loss, updates={W: W - rate * eg.grad(loss, W)})

account = eg.explain(step)
print(account)  # the milliseconds of each stage, and the first lines of what it made
assembly = account["assembly"]  # one stage, whole
print(f"\n{len(assembly.splitlines())} lines of assembly")

# The step that was compiled does what was written.
rows = np.random.default_rng(0).normal(size=(32, 64)).astype("float32")
before = float(step(rows))
for _ in range(20):
    after = float(step(rows))
rate.value = 0.0  # a scalar in memory: nothing is compiled again
assert step(rows) < after < before
