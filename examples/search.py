"""Random against Bayesian search for four hyper-parameters of a network on digits.

All trials share one compiled step: rates and penalties are read when it runs. What is
measured is the loss on held-out images (Bergstra and Bengio 2012; Snoek et al. 2012).
"""

import numpy as np
from sklearn.datasets import load_digits

import exprgrad as eg

TRIALS, EPOCHS, seed = 30, 8, 0
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
images, labels = (images[order] / 16).astype("float32"), labels[order]
parts = zip(np.split(images, [600, 1100]), np.split(labels, [600, 1100]), strict=True)
train, valid, test = ({"x": x, "y": y} for x, y in parts)


def network(learning_rate, momentum, dropout, penalty):
    """A trainer whose hyper-parameters are scalars of the expression."""
    x, y = eg.input("x", ("batch", 64)), eg.input("y", ("batch",), "int64")
    w = eg.parameter("w", (64, 64), init=eg.init.he_normal())
    b = eg.parameter("b", (64,))
    v = eg.parameter("v", (64, 10), init=eg.init.glorot_uniform())
    logits = eg.nn.dropout(eg.relu(x @ w + b), dropout) @ v
    losses = eg.nn.cross_entropy(logits, y)
    loss = losses.mean() + penalty * ((w**2).sum() + (v**2).sum())
    metrics = {"error": losses, "accuracy": eg.nn.accuracy(logits, y)}
    return eg.Trainer(loss, eg.optim.Momentum(learning_rate, momentum), metrics)


def objective(trial):
    """The least loss on the images held out, over a short training."""
    trainer = trial.build(network)
    history = trainer.fit(train, EPOCHS, 32, validation_data=valid)
    return min(history["val_error"])


space = {
    "learning_rate": eg.space.log_uniform(1e-5, 10),
    "momentum": eg.space.uniform(0, 0.99),
    "dropout": eg.space.uniform(0, 0.8),
    "penalty": eg.space.log_uniform(1e-7, 1),
}
last = {}
for method in ("random", "bayesian"):
    result = eg.search(objective, space, TRIALS, method, seed=seed)
    last[method] = np.median([row["value"] or np.inf for row in result.table()[-10:]])
    print(f"{method}, the median of the last ten trials {last[method]:.3f}\n{result}\n")

trainer = result.build(network)
trainer.fit(train, 3 * EPOCHS, 32)
accuracy = trainer.evaluate(test)["accuracy"]
print(f"test accuracy {accuracy:.3f}")
assert last["bayesian"] < last["random"] / 2 and accuracy >= 0.93, (last, accuracy)
