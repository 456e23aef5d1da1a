"""The seven workloads of the peers' benchmark in exprgrad: one native call an epoch.

Variants: one thread, two threads, and as many as the program chooses while it runs.
"""

import os

import numpy as np

import exprgrad as eg
from exprgrad.runtime.step import Epoch

from ..workloads import Shuffle

VARIANTS = {"eg1": 1, "eg2": 2, "eg": 2}

OPTIMIZERS = {
    "sgd": lambda h: eg.optim.SGD(h["lr"]),
    "momentum": lambda h: eg.optim.Momentum(h["lr"], h["mu"]),
    "nesterov": lambda h: eg.optim.Nesterov(h["lr"], h["mu"]),
    "adam": lambda h: eg.optim.Adam(h["lr"], h["b1"], h["b2"], h["eps"]),
    "rmsprop": lambda h: eg.optim.RMSprop(h["lr"], h["rho"], h["eps"]),
}


class Model:
    """The parameters of a workload and the expressions that each of its kinds spells."""

    def __init__(self, spec, arrays):
        self.spec, self.h = spec, spec.hyper
        self.p = {k: eg.parameter(k, v.shape, init=v) for k, v in arrays["params"].items()}
        self.trained = [p for k, p in self.p.items() if spec.kind != "bnmlp" or k[0] != "r"]
        self.x = None if spec.full else eg.input("x", ("batch", *arrays["X"].shape[1:]))
        y = arrays.get("Y")
        kind = None if y is None else str(y.dtype)
        self.y = None if y is None else eg.input("y", ("batch",), dtype=kind)
        given = enumerate(arrays.get("noise", []))
        self.noise = [eg.input(f"u{i}", ("batch", *u.shape[2:])) for i, u in given]
        self.more = {}
        self.loss = getattr(self, spec.kind)(arrays)

    def uniform(self, i, shape):
        return self.noise[i] if self.noise else eg.random.uniform(shape)

    def dense(self, i, x):
        return x @ self.p[f"W{i}"] + self.p[f"b{i}"]

    def cross_entropy(self, logits):
        return eg.nn.cross_entropy(logits, self.y).mean()

    def logreg(self, arrays):
        z = self.x @ self.p["w"] + self.p["b"]
        return eg.nn.binary_cross_entropy_with_logits(z, self.y).mean()

    def mlp(self, arrays):
        x, n = self.x, len(self.spec.sizes) - 1
        for i in range(1, n):
            x = eg.relu(self.dense(i, x))
        return self.cross_entropy(self.dense(n, x))

    def autoenc(self, arrays):
        z, n = self.x, len(self.spec.sizes) - 1
        for i in range(1, n):
            z = eg.sigmoid(self.dense(i, z))
        z = self.dense(n, z)
        return (eg.softplus(z) - self.x * z).sum() / self.spec.batch

    def lenet(self, arrays):
        p = self.p
        x = eg.conv2d(self.x, p["K1"], padding=2) + p["c1"][:, None, None]
        x = eg.max_pool2d(eg.relu(x), 2)
        x = eg.conv2d(x, p["K2"]) + p["c2"][:, None, None]
        x = eg.max_pool2d(eg.relu(x), 2).reshape(-1, 400)
        return self.cross_entropy(self.dense(3, eg.relu(self.dense(2, eg.relu(self.dense(1, x))))))

    def bnmlp(self, arrays):
        x, p, h = self.x, self.p, self.h
        for i in (1, 2):
            x, changes = eg.nn.batch_norm(
                x @ p[f"W{i}"], p[f"g{i}"], p[f"s{i}"], p[f"rm{i}"], p[f"rv{i}"],
                momentum=h["bn_mom"], epsilon=h["bn_eps"],
            )
            self.more |= changes
            x = eg.relu(x)
            kept = self.uniform(i - 1, x.shape) >= h["p"]
            x = eg.where(kept, x / (1 - h["p"]), 0.0)
        return self.cross_entropy(self.dense(3, x))

    def rbm(self, arrays):
        """CD-1: the gradient of the difference of free energies of data and sample."""
        p, v = self.p, self.x
        hidden = eg.sigmoid(v @ p["W"] + p["bh"])
        h = (self.uniform(0, hidden.shape) < hidden).astype("float32")
        z = h @ p["W"].T + p["bv"]
        sample = (self.uniform(1, v.shape) < eg.sigmoid(z)).astype("float32")
        self.objective = self.energy(v).mean() - self.energy(eg.stop_gradient(sample)).mean()
        return (eg.softplus(z) - v * z).sum() / v.shape[0]

    def energy(self, v):
        return -(v @ self.p["bv"]) - eg.softplus(v @ self.p["W"] + self.p["bh"]).sum(axis=1)

    def optonly(self, arrays):
        self.x = eg.input("g", arrays["G"].shape)
        return (self.p["w"] * self.x).sum()


class Peer:
    def __init__(self, spec, arrays):
        threads = 0 if spec.variant == "eg" else spec.threads
        os.environ["EXPRGRAD_THREADS"] = str(threads)
        os.environ["EXPRGRAD_CACHE"] = "0"
        self.spec, self.shuffle = spec, Shuffle(spec)
        model = Model(spec, arrays)
        self.p = model.p
        objective = getattr(model, "objective", model.loss)
        updates = OPTIMIZERS[spec.opt](spec.hyper).updates(objective, model.trained)
        updates |= {**model.more, eg.step: eg.step + 1}
        outputs = {} if spec.full else {"loss": model.loss}
        inputs = [t for t in (model.x, model.y, *model.noise) if t is not None]
        training = eg.graph.mode.in_mode([*outputs.values(), *updates.values()], True)
        outputs = {k: training[v] for k, v in outputs.items()}
        updates = {k: training[v] for k, v in updates.items()}
        self.step = Epoch(inputs, outputs, updates, "batch")
        self.data = {"x": arrays.get("X"), "y": arrays.get("Y"), "g": arrays.get("G")}
        self.given = [u.reshape(-1, *u.shape[2:]) for u in arrays.get("noise", [])]

    def epoch(self):
        s = self.spec
        if s.full:
            self.step.run(self.data, np.arange(s.steps), 1, 0, s.steps)
            return np.zeros(0)
        order, data = self.shuffle.next().reshape(-1), self.data
        if self.given:  # the noise belongs to places, so the rows are put in order first
            data = {k: a[order] for k, a in data.items() if a is not None}
            data |= {f"u{i}": u for i, u in enumerate(self.given)}
            order = np.arange(len(order))
        return self.step.run(data, order, s.batch, 0, s.steps)["loss"]

    def params(self):
        return {k: np.array(p.value) for k, p in self.p.items()}


setup = Peer
