"""Layers that make parameters of their own: a network is written in a line for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from exprgrad.errors import ShapeError
from exprgrad.graph.convolution import Padding, conv2d
from exprgrad.graph.dims import count
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.leaves import parameter, state
from exprgrad.graph.movement import reshape
from exprgrad.graph.reduction import matmul
from exprgrad.graph.state import Initializer
from exprgrad.graph.tensor import Operand, Tensor
from exprgrad.nn.batch import batch_norm
from exprgrad.nn.init import he_normal, ones, zeros
from exprgrad.nn.norms import group_norm, instance_norm, layer_norm, rms_norm


def dense(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """x @ weight + bias: `x[batch, in]`, `weight[in, out]`, `bias[out]`."""
    product = matmul(x, weight)
    return product if bias is None else product + bias


def flatten(x: Operand) -> Tensor:
    """`x[batch, ...]` with all axes but the first as one, `[batch, features]`.

    >>> import exprgrad as eg
    >>> flatten(eg.input("x", ("batch", 16, 5, 5))).shape
    (batch, 400)
    """
    x = as_tensor(x)
    return reshape(x, (x.shape[0], count(x.shape[1:])))


class Layers:
    """Makes layers: each call gives an expression, whose leaves are named and kept.

    `net["dense1.weight"]` is a leaf by its name, `net.leaves` are all of them, and
    `net.updates` what a trainer has to update besides its parameters. Weights begin
    at He et al.'s values, for rectifiers, unless `init` is given; they depend on `seed`
    and name alone.

    >>> import exprgrad as eg
    >>> net, x = Layers(), eg.input("x", ("batch", 1, 28, 28))
    >>> h = eg.max_pool2d(eg.relu(net.conv2d(x, 6, 5, padding=2)), 2)
    >>> net.dense(flatten(h), 10).shape
    (batch, 10)
    >>> list(net.leaves)
    ['conv1.weight', 'conv1.bias', 'dense1.weight', 'dense1.bias']
    """

    def __init__(self, seed: int = 0, dtype: object = "float32") -> None:
        self.seed = seed
        self.dtype = dtype
        self.leaves: dict[str, Tensor] = {}
        self.updates: dict[Tensor, Tensor] = {}
        self._counts: dict[str, int] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.leaves:
            raise KeyError(f"no leaf is called {name}; there are: {', '.join(self.leaves)}")
        return self.leaves[name]

    def dense(
        self, x: Operand, units: int, init: Initializer | None = None, bias: bool = True
    ) -> Tensor:
        """x @ weight + bias: `x[batch, in]` becomes `[batch, units]`."""
        x = as_tensor(x)
        if x.ndim < 2:
            raise ShapeError(f"a dense layer takes x[batch, in], not {x.type}")
        make = self._maker("dense")
        weight = make("weight", (x.shape[-1], units), init or he_normal())
        return dense(x, weight, make("bias", (units,), zeros()) if bias else None)

    def conv2d(
        self,
        x: Operand,
        channels: int,
        window: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = "valid",
        groups: int = 1,
        init: Initializer | None = None,
        bias: bool = True,
    ) -> Tensor:
        """`eg.conv2d` of `x[batch, in, h, w]`, plus a bias for each of `channels`."""
        x = as_tensor(x)
        if x.ndim != 4:
            raise ShapeError(f"an image is x[batch, channel, h, w], not {x.type}")
        height, width = (window, window) if isinstance(window, int) else window
        make = self._maker("conv")
        shape = (channels, x.shape[1] // groups, height, width)
        weight = make("weight", shape, init or he_normal())
        y = conv2d(x, weight, stride, padding, groups=groups)
        if not bias:
            return y
        return y + reshape(make("bias", (channels,), zeros()), (channels, 1, 1))

    def batch_norm(self, x: Operand, variant: str = "pytorch") -> Tensor:
        """Batch normalisation of the features, axis 1: `[batch, features]` or images."""
        x = as_tensor(x)
        shape = self._features("batch_norm", x)
        make = self._maker("batch_norm")
        gamma, beta = make("gamma", shape, ones()), make("beta", shape, zeros())
        mean = make("mean", shape, zeros(), state)
        var = make("var", shape, ones(), state)
        axes = tuple(a for a in range(x.ndim) if a != 1)
        y, updates = batch_norm(x, gamma, beta, mean, var, axis=axes, variant=variant)
        self.updates.update(updates)
        return y

    def layer_norm(self, x: Operand) -> Tensor:
        """Layer normalisation over the last axis."""
        x = as_tensor(x)
        make = self._maker("layer_norm")
        shape = x.shape[-1:]
        return layer_norm(x, make("gamma", shape, ones()), make("beta", shape, zeros()))

    def group_norm(self, x: Operand, groups: int) -> Tensor:
        """Group normalisation of the channels, axis 1."""
        x = as_tensor(x)
        shape = self._features("group_norm", x)
        make = self._maker("group_norm")
        gamma, beta = make("gamma", shape, ones()), make("beta", shape, zeros())
        return group_norm(x, groups, gamma, beta)

    def instance_norm(self, x: Operand) -> Tensor:
        """Normalisation of the pixels of each channel, axis 1, of each row."""
        x = as_tensor(x)
        shape = self._features("instance_norm", x)
        make = self._maker("instance_norm")
        gamma, beta = make("gamma", shape, ones()), make("beta", shape, zeros())
        return instance_norm(x, gamma, beta)

    def rms_norm(self, x: Operand) -> Tensor:
        """Normalisation by the root mean square over the last axis."""
        x = as_tensor(x)
        return rms_norm(x, self._maker("rms_norm")("gamma", x.shape[-1:], ones()))

    def _features(self, name: str, x: Tensor) -> Any:
        if x.ndim < 2:
            raise ShapeError(f"{name} takes x[batch, features, ...], not {x.type}")
        return x.shape[1:2]

    def _maker(self, kind: str) -> Callable[..., Tensor]:
        """What makes the leaves of the next layer of this kind."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        layer = f"{kind}{self._counts[kind]}"

        def make(
            name: str, shape: Any, init: Initializer, leaf: Callable[..., Tensor] = parameter
        ) -> Tensor:
            full = f"{layer}.{name}"
            self.leaves[full] = leaf(full, shape, init, self.dtype, self.seed)
            return self.leaves[full]

        return make
