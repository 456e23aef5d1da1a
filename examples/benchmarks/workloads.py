"""The workloads: which model, on how many rows, by which rule.

Those whose names begin with W are the ones that `docs/speed.md` compares first; the
others show sizes and kinds of model that they leave out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SGD = {"lr": 0.01}
MOMENTUM = {"lr": 0.001, "mu": 0.9}
ADAM = {"lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
RMSPROP = {"lr": 1e-4, "rho": 0.99, "eps": 1e-8}


@dataclass(frozen=True)
class Workload:
    """A model with its sizes, and how it is trained. `rows` is 0 where each step takes
    all data; `steps` steps make an epoch, which is what is timed.
    """

    name: str
    title: str
    model: str
    sizes: tuple[int, ...]
    batch: int
    steps: int
    rule: str
    hyper: dict[str, float]
    rows: int = 0
    dtype: str = "float32"
    noise: tuple[tuple[int, ...], ...] = ()  # shapes of the numbers drawn in a step
    extra: dict[str, float] = field(default_factory=dict)


AUTOENCODER = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)
NORMED = {"momentum": 0.1, "epsilon": 1e-5, "rate": 0.5}

WORKLOADS = {
    w.name: w
    for w in (
        Workload("W1", "logistic regression, 30 features, SGD", "logistic",
                 (30, 1), 32, 17, "sgd", {"lr": 0.1}, rows=569),
        Workload("W2", "MLP 784-256-128-10, Adam", "mlp",
                 (784, 256, 128, 10), 64, 100, "adam", ADAM, rows=6400),
        Workload("W3", "autoencoder 784-1000-500-250-30-..., Nesterov", "autoencoder",
                 AUTOENCODER, 128, 50, "nesterov", MOMENTUM, rows=6400),
        Workload("W4", "RBM 784x500, CD-1, momentum", "rbm",
                 (784, 500), 64, 100, "momentum", {"lr": 0.05, "mu": 0.5}, rows=6400,
                 noise=((64, 500), (64, 784))),
        Workload("W5", "LeNet 28x28, momentum", "lenet",
                 (400, 120, 84, 10), 64, 100, "momentum", MOMENTUM, rows=6400),
        Workload("W6", "MLP 784-512-512-10, batch norm, dropout, RMSprop", "normed_mlp",
                 (784, 512, 512, 10), 128, 50, "rmsprop", RMSPROP, rows=6400,
                 noise=((128, 512), (128, 512)), extra=NORMED),
        Workload("W7", "Adam's update of 10 million parameters", "update",
                 (10_000_000,), 0, 10, "adam", ADAM),
        Workload("wide", "MLP 784-2048-2048-10, Adam", "mlp",
                 (784, 2048, 2048, 10), 128, 8, "adam", {**ADAM, "lr": 1e-4}, rows=1024),
        Workload("narrow", "MLP 16-(16 x 12)-4, SGD", "mlp",
                 (16,) * 13 + (4,), 32, 100, "sgd", SGD, rows=3200),
        Workload("odd", "MLP 77-101-53-13, batch 33, Adam", "mlp",
                 (77, 101, 53, 13), 33, 100, "adam", ADAM, rows=3300),
        Workload("float64", "MLP 784-256-128-10 in float64, Adam", "mlp",
                 (784, 256, 128, 10), 64, 50, "adam", ADAM, rows=3200, dtype="float64"),
        Workload("online", "MLP 64-32-10, a row a step, SGD", "mlp",
                 (64, 32, 10), 1, 500, "sgd", SGD, rows=500),
        Workload("deep", "MLP 256-(256 x 19)-10, momentum", "mlp",
                 (256,) * 20 + (10,), 64, 20, "momentum", MOMENTUM, rows=1280),
        Workload("conv64", "two 3x3 convolutions of 64 channels on 16x16, SGD", "conv64",
                 (64, 64, 10), 16, 5, "sgd", SGD, rows=80),
        Workload("embedding", "mean of 30 of 10,000 vectors of 64, softmax, SGD", "embedding",
                 (10_000, 64, 10), 64, 50, "sgd", {"lr": 0.1}, rows=3200),
        Workload("elementwise", "robust loss over 10 million values, SGD", "elementwise",
                 (10_000_000,), 0, 2, "sgd", {"lr": 0.1}),
        Workload("attention", "transformer block, 16 x 64 places of 128, 4 heads, Adam",
                 "attention", (64, 128, 4, 512), 16, 5, "adam", ADAM, rows=80),
        Workload("layernorm", "MLP 256-512-512-10, layer norm, GELU, Adam", "layer_mlp",
                 (256, 512, 512, 10), 64, 50, "adam", ADAM, rows=3200),
        Workload("lasso", "linear regression of 200 features, L1, SGD", "lasso",
                 (200, 1), 50, 100, "sgd", SGD, rows=5000),
        Workload("classes", "softmax over 10,000 classes of 128 features, SGD", "mlp",
                 (128, 10_000), 64, 10, "sgd", SGD, rows=640),
    )
}  # fmt: skip
