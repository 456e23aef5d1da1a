"""An optimizer of one's own is the update rule of its paper, written as expressions.

Lion: m ← β₂ m + (1 - β₂) g and θ ← θ - η sign(β₁ m + (1 - β₁) g), both from the old m
(Chen et al. 2023, Symbolic discovery of optimization algorithms).
"""

import numpy as np

import exprgrad as eg


class Lion(eg.optim.Optimizer):
    """Steps of equal length by the sign of an averaged gradient."""

    learning_rate: eg.optim.Hyper = 1e-3
    beta1: eg.optim.Hyper = 0.9
    beta2: eg.optim.Hyper = 0.99

    def update(self, parameter, gradient):
        """Give the new momentum and the new parameter."""
        m = self.state("momentum", like=parameter)
        direction = eg.sign(self.beta1 * m + (1 - self.beta1) * gradient)
        return {
            m: self.beta2 * m + (1 - self.beta2) * gradient,
            parameter: parameter - self.learning_rate * direction,
        }


# A line through noisy points.
rng = np.random.default_rng(0)
points = rng.normal(size=(512, 2)).astype("float32")
targets = points @ np.float32([2, -1]) + 0.5 + 0.01 * rng.normal(size=512)
data = {"x": points, "y": targets.astype("float32")}

x, y = eg.input("x", ("batch", 2)), eg.input("y", ("batch",))
w, b = eg.parameter("w", (2,)), eg.parameter("b")
optimizer = Lion(learning_rate=1e-2)
trainer = eg.Trainer(eg.nn.mse(x @ w + b, y).mean(), optimizer)

trainer.fit(data, epochs=40, batch_size=32)
optimizer.learning_rate = 1e-4  # a number in memory: nothing is compiled again
history = trainer.fit(data, epochs=10, batch_size=32)

print("w", w.value, "b", b.value, "loss", history["loss"][-1])
assert np.allclose(w.value, [2, -1], atol=0.01) and abs(b.value - 0.5) < 0.01
