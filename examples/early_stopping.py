"""A network that learns 300 digits by heart, wrong labels too, unless it is stopped."""

import numpy as np
from sklearn.datasets import load_digits

import exprgrad as eg

SEED = 0
images, labels = load_digits(return_X_y=True)
rng = np.random.default_rng(SEED)
order = rng.permutation(len(images))
images, labels = images[order] / 16, labels[order]

# One training label in three is drawn at random; the held-out ones are right.
given = labels[:300].copy()
given[::3] = rng.integers(0, 10, 100)
train = {"x": images[:300], "y": given}
held_out = {"x": images[300:600], "y": labels[300:600]}
test = {"x": images[600:], "y": labels[600:]}

x = eg.input("x", ("batch", 64))
y = eg.input("y", ("batch",), dtype="int64")
W1 = eg.parameter("W1", (64, 128), init=eg.init.he_normal())
b1 = eg.parameter("b1", (128,))
W2 = eg.parameter("W2", (128, 10), init=eg.init.glorot_uniform())
b2 = eg.parameter("b2", (10,))
logits = eg.relu(x @ W1 + b1) @ W2 + b2

# The rate rises for 50 updates and falls for 1950; rows come in balanced batches.
fall = eg.schedules.cosine(0.005, steps=1950)
rate = eg.schedules.sequence({0: eg.schedules.warmup(0.005, 50), 50: fall})
trainer = eg.Trainer(
    eg.nn.cross_entropy(logits, y).mean(),
    eg.optim.Adam(rate),
    metrics={"accuracy": eg.nn.accuracy(logits, y)},
)

rules = {
    "all epochs": (),
    "patience": eg.EarlyStopping(patience=10),
    "GL": eg.GeneralizationLoss(alpha=5),
    "PQ": eg.ProgressQuotient(alpha=1),
    "UP": eg.SuccessiveRises(2),
}
found = {}
print("rule        test loss, accuracy, why it ended")
for name, rule in rules.items():
    trainer.reset(SEED)  # the same step, compiled once, begins anew
    history = trainer.fit(
        train, 200, 30, held_out, shuffle=eg.order.Stratified(given), callbacks=rule
    )
    found[name] = trainer.evaluate(test)
    print(f"{name:10}  {found[name]['loss']:.3f}  {found[name]['accuracy']:.3f}", end="  ")
    print(history.stop_reason)

# Over seeds 0 to 9 the worst were 0.70 of the loss, and 0.06 more of the digits read.
without = found.pop("all epochs")
assert max(means["loss"] for means in found.values()) < 0.8 * without["loss"]
assert min(means["accuracy"] for means in found.values()) > 0.03 + without["accuracy"]
