"""A loss of one's own: written plainly, or given to SymPy, which derives it."""

import numpy as np
import sympy

import exprgrad as eg

# Barron 2019, A general and adaptive robust loss function, with shape alpha = -2.
r = sympy.Symbol("r")
robust = eg.scalar_function(2 * r**2 / (r**2 + 4), r, name="robust")
print(robust.derivative(*robust.symbols), "\n")

# A line through points of which a fifth is nonsense.
rng = np.random.default_rng(0)
t = rng.uniform(-1, 1, 1000).astype("float32")
y_true = 3 * t + 1 + 0.05 * rng.normal(size=1000)
y_true[:200] += rng.uniform(5, 15, 200)
data = {"t": t, "y": y_true.astype("float32")}


def fit(loss_of):
    """Slope and intercept under a loss of the residual."""
    inputs = {name: eg.input(name, ("batch",)) for name in data}
    slope, intercept = eg.parameter("slope"), eg.parameter("intercept")
    residual = slope * inputs["t"] + intercept - inputs["y"]
    trainer = eg.Trainer(loss_of(residual).mean(), eg.optim.Adam(0.02))
    trainer.fit(data, epochs=60, batch_size=50)
    return float(slope.value), float(intercept.value)


def asymmetric(residual):
    """To be too low costs more than to be too high: seven points in ten lie below."""
    return eg.where(residual < 0, -0.7 * residual, 0.3 * residual)


lines = {name: fit(f) for name, f in
         {"squares": eg.square, "robust": robust, "asymmetric": asymmetric}.items()}  # fmt: skip
for name, (slope, intercept) in lines.items():
    print(f"{name:10} {slope:6.3f} t + {intercept:6.3f}")

assert abs(lines["squares"][1] - 1) > 1  # drawn away by the outliers
assert np.allclose(lines["robust"], (3, 1), atol=0.05)
slope, intercept = lines["asymmetric"]
assert abs(np.mean(data["y"] < slope * t + intercept) - 0.7) < 0.03
