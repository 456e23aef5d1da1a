"""What batch normalisation does to a deep network: it learns where it did not.

Nine layers of sigmoids, whose gradients fade on the way down (Glorot and Bengio 2010),
on handwritten digits; the same with each layer normalised over the batch (Ioffe and
Szegedy 2015). After training, statistics of the whole data take the running ones' place.
"""

import numpy as np
from sklearn.datasets import load_digits

import exprgrad as eg

seed = 0
digits, labels = load_digits(return_X_y=True)
order = np.random.default_rng(seed).permutation(len(digits))
images, labels = (digits[order] / 16).astype("float32"), labels[order]
train = {"x": images[360:], "y": labels[360:]}
test = {"x": images[:360], "y": labels[:360]}


def trained(normalised, depth=9, width=50):
    """The trainer after ten epochs."""
    net = eg.nn.Layers(seed)
    h, y = eg.input("x", ("batch", 64)), eg.input("y", ("batch",), dtype="int64")
    for _ in range(depth):
        h = net.dense(h, width, eg.init.glorot_uniform())
        h = eg.sigmoid(net.batch_norm(h) if normalised else h)
    logits = net.dense(h, 10, eg.init.glorot_uniform())
    loss = eg.nn.cross_entropy(logits, y).mean()
    right = {"accuracy": eg.nn.accuracy(logits, y)}
    trainer = eg.Trainer(loss, eg.optim.SGD(0.3), right, updates=net.updates, seed=seed)
    trainer.fit(train, epochs=10, validation_data=test)
    return trainer


plain = trained(normalised=False)
norm = trained(normalised=True)
running = norm.evaluate(test)
norm.finalize_batch_norm(train)
whole = norm.evaluate(test)

print(f"plain: test accuracy {plain.evaluate(test)['accuracy']:.3f}")
print(f"normalised, running statistics: {running['accuracy']:.3f}, loss {running['loss']:.4f}")
print(f"normalised, statistics of all data: {whole['accuracy']:.3f}, loss {whole['loss']:.4f}")
# ten seeds: 0.92 to 0.97 beside 0.06 to 0.11, and a loss of 0.73 to 1.01 of the running ones'
assert whole["accuracy"] > 0.9 and plain.evaluate(test)["accuracy"] < 0.2
assert whole["loss"] < 1.05 * running["loss"]
