"""A network trained on scikit-learn's 1797 handwritten digits, 8 by 8 pixels each."""

import numpy as np
from sklearn.datasets import load_digits

import exprgrad as eg

# A fifth of the images is held out for the test at the end.
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
images = (images[order] / 16).astype("float32")
labels = labels[order].astype("int64")
held_out = len(images) // 5
train = {"x": images[held_out:], "y": labels[held_out:]}
test = {"x": images[:held_out], "y": labels[:held_out]}

# The network is an expression; "batch" is a size that is known when it runs.
x = eg.input("x", ("batch", 64))
y = eg.input("y", ("batch",), dtype="int64")
W1 = eg.parameter("W1", (64, 128), init=eg.init.he_normal())
b1 = eg.parameter("b1", (128,))
W2 = eg.parameter("W2", (128, 10), init=eg.init.glorot_uniform())
b2 = eg.parameter("b2", (10,))

logits = eg.relu(x @ W1 + b1) @ W2 + b2
loss = eg.nn.cross_entropy(logits, y).mean()

print("loss\n", loss, sep="")
print("\ngradient of the loss by b2\n", eg.grad(loss, b2), "\n", sep="")

trainer = eg.Trainer(
    loss,
    optimizer=eg.optim.Adam(3e-3),
    metrics={"accuracy": eg.nn.accuracy(logits, y)},
)
history = trainer.fit(train, epochs=30, batch_size=32, progress=True)
print(f"loss {history['loss'][0]:.3f} after one epoch, {history['loss'][-1]:.4f} after 30")

accuracy = trainer.evaluate(test)["accuracy"]
assert accuracy >= 0.97, accuracy
print(f"test accuracy {accuracy:.3f}")
