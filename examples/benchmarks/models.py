"""The models, each written once.

`o` has the operations as a library spells them best (see `ops/`), `w` the workload, `p`
the parameters by name, `u(i)` the i-th uniform numbers of the step; then come a step's
inputs. A loss is given alone, or with new values of running statistics.
"""

from __future__ import annotations

from typing import Any


def hidden(o: Any, p: Any, x: Any, n: int, activation: Any) -> Any:
    for i in range(1, n):
        x = activation(o.dense(x, p[f"W{i}"], p[f"b{i}"]))
    return o.dense(x, p[f"W{n}"], p[f"b{n}"])


def mlp(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    return o.cross_entropy(hidden(o, p, x, len(w.sizes) - 1, o.relu), y)


def autoencoder(o: Any, w: Any, p: Any, u: Any, x: Any) -> Any:
    return o.bernoulli(hidden(o, p, x, len(w.sizes) - 1, o.sigmoid), x) / w.batch


def logistic(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    return o.bernoulli(x @ p["w"] + p["b"], y) / w.batch


def lasso(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    return o.mean(o.abs(x @ p["w"] + p["b"] - y)) + 0.01 * o.sum(o.abs(p["w"]))


def lenet(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    x = o.max_pool(o.relu(o.conv(x, p["K1"], p["c1"], 2)))
    x = o.max_pool(o.relu(o.conv(x, p["K2"], p["c2"], 0)))
    return o.cross_entropy(hidden(o, p, o.pixels_flat(x), 3, o.relu), y)


def conv64(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    for i in (1, 2):
        x = o.relu(o.conv(x, p[f"K{i}"], p[f"c{i}"], 1))
    return o.cross_entropy(o.dense(o.pixels_mean(x), p["W1"], p["b1"]), y)


def normed_mlp(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    changes: dict[str, Any] = {}
    for i in (1, 2):
        names = f"g{i}", f"s{i}", f"rm{i}", f"rv{i}"
        x = o.dense(x, p[f"W{i}"])
        x, new = o.batch_norm(x, *(p[name] for name in names), w.extra)
        changes |= dict(zip(names[2:], new, strict=True))
        x = o.dropout(o.relu(x), w.extra["rate"], u, i - 1)
    return o.cross_entropy(o.dense(x, p["W3"], p["b3"]), y), changes


def layer_mlp(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    for i in (1, 2):
        x = o.dense(x, p[f"W{i}"], p[f"b{i}"])
        x = o.gelu(o.layer_norm(x, p[f"g{i}"], p[f"s{i}"]))
    return o.cross_entropy(o.dense(x, p["W3"], p["b3"]), y)


def embedding(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    return o.cross_entropy(o.dense(o.embedded_mean(p["E"], x), p["W1"], p["b1"]), y)


def elementwise(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    residual = x * p["a"] + p["b"] - y
    return o.mean(o.sqrt(1 + residual * residual) - 1)


def attention(o: Any, w: Any, p: Any, u: Any, x: Any, y: Any) -> Any:
    """A block with its norms first (Xiong et al. 2020), trained to shift its places."""
    inner = o.layer_norm(x, p["g1"], p["s1"])
    q, k, v = (o.heads(o.dense(inner, p["W" + n], p["b" + n]), w.sizes[2]) for n in "qkv")
    x = x + o.dense(o.joined(o.attention(q, k, v)), p["Wo"], p["bo"])
    inner = o.dense(o.layer_norm(x, p["g2"], p["s2"]), p["W1"], p["b1"])
    x = x + o.dense(o.gelu(inner), p["W2"], p["b2"])
    return o.mean((x - y) * (x - y))


LOSSES = {
    f.__name__: f
    for f in (
        mlp, autoencoder, logistic, lasso, lenet, conv64, normed_mlp, layer_mlp,
        embedding, elementwise, attention,
    )
}  # fmt: skip


# Models whose gradient is not that of a loss: they give the loss to show, if any, and the
# gradients by name.


def rbm(o: Any, w: Any, p: Any, u: Any, v: Any) -> Any:
    """Contrastive divergence with one step (Hinton 2002); the loss is the reconstruction's."""
    probable = o.sigmoid(v @ p["M"] + p["b"])
    z = o.drawn(probable, u, 0) @ p["M"].T + p["a"]
    sample = o.drawn(o.sigmoid(z), u, 1)
    later = o.sigmoid(sample @ p["M"] + p["b"])
    gradients = {
        "M": (sample.T @ later - v.T @ probable) / w.batch,
        "a": o.mean_rows(sample - v),
        "b": o.mean_rows(later - probable),
    }
    return o.bernoulli(z, v) / w.batch, gradients


def update(o: Any, w: Any, p: Any, u: Any, gradient: Any) -> Any:
    return None, {"w": gradient}


GRADIENTS = {"rbm": rbm, "update": update}


def trained(names: Any) -> list[str]:
    """The parameters among `names`; running statistics begin with r."""
    return [name for name in names if not name.startswith("r")]
