"""Autoencoders: one layer, and several of them stacked into a deep one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.elementwise import sigmoid
from exprgrad.graph.reduction import mean
from exprgrad.graph.tensor import Operand, Tensor
from exprgrad.nn.coder import OUTPUTS, Coder, Output, Pair, Unary, row_of


@dataclass(frozen=True, eq=False)
class Autoencoder(Pair):
    """h = s(xW + c), z = hW' + b and the reconstruction s'(z).

    W' is Wᵀ (tied weights, whose gradient sums both uses) unless `untied[hidden,
    visible]` is given. `activation` is s; `output` names s' and with it the error:
    "sigmoid" has the cross-entropy, "linear", "relu" and "tanh" half the squared error.
    First values: `init.glorot_uniform()` (Glorot and Bengio 2010), biases of 0.

    Raises `ShapeError` for shapes that do not fit, `GraphError` for another `output`.

    Vincent et al. 2010, Stacked denoising autoencoders, section 2.2.

    >>> import exprgrad as eg
    >>> W = eg.parameter("W", (64, 30), init=eg.init.glorot_uniform())
    >>> layer = Autoencoder(W, eg.parameter("b", (64,)), eg.parameter("c", (30,)))
    >>> x = eg.input("x", ("batch", 64))
    >>> plain = layer.objective(x)
    >>> denoising = layer.objective(x, seen=eg.nn.mask_noise(x, 0.3))
    >>> contractive = plain + 0.1 * eg.nn.sigmoid_contraction(layer.encode(x), W).mean()
    >>> sparse = plain + 3 * eg.nn.sparsity(layer.encode(x), 0.05)
    >>> layer.decode(layer.encode(x)).shape
    (batch, 64)
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    untied: Tensor | None = None
    activation: Unary = sigmoid
    output: str = "sigmoid"

    def __post_init__(self) -> None:
        self._require_shapes()
        row_of(OUTPUTS, "the output of an autoencoder", self.output)
        if self.untied is not None and self.untied.shape != self.weight.shape[::-1]:
            raise ShapeError(
                f"Autoencoder: the weight {self.weight.type} leads back by one of "
                f"{self.weight.shape[::-1]}, not by {self.untied.type}"
            )

    @property
    def outputs(self) -> Output:
        """The row of the table that `output` names."""
        return OUTPUTS[self.output]

    @property
    def decoder(self) -> Tensor:
        """W', `[hidden, visible]`."""
        return super().decoder if self.untied is None else self.untied

    def encode(self, x: Operand) -> Tensor:
        """h = s(xW + c), `[batch, hidden]`."""
        return self.activation(self._code_input(x))

    def objective(self, x: Operand, seen: Operand | None = None) -> Tensor:
        """The mean reconstruction error over the batch; `seen` is x with noise on it."""
        return mean(self.reconstruction_error(x, seen))


@dataclass(frozen=True, eq=False)
class Stack(Coder):
    """A deep autoencoder: layers from the rows up to the code, and down again.

    Each layer is an `Autoencoder` or an `RBM` whose visible units are the hidden ones
    of the layer below; `eg.train.pretrain` trains them one by one. Raises `ShapeError`
    where two layers do not fit.

    Hinton and Salakhutdinov 2006, Reducing the dimensionality of data with neural
    networks; Bengio et al. 2007, Greedy layer-wise training of deep networks.

    >>> import exprgrad as eg
    >>> sizes = {"1": (64, 30), "2": (30, 8)}
    >>> W1, W2 = (eg.parameter("W" + n, s) for n, s in sizes.items())
    >>> b1, b2 = (eg.parameter("b" + n, s[:1]) for n, s in sizes.items())
    >>> c1, c2 = (eg.parameter("c" + n, s[1:]) for n, s in sizes.items())
    >>> deep = Stack([Autoencoder(W1, b1, c1), Autoencoder(W2, b2, c2)])
    >>> deep.encode(eg.input("x", ("batch", 64))).shape
    (batch, 8)
    """

    layers: Sequence[Pair]

    def __post_init__(self) -> None:
        if not self.layers:
            raise GraphError("a stack has one layer or more")
        for below, above in pairwise(self.layers):
            if below.weight.shape[1] != above.weight.shape[0]:
                raise ShapeError(
                    f"a layer's visible units are the hidden ones of the layer below, "
                    f"but {above.weight.type} stands on {below.weight.type}"
                )

    def encode(self, x: Operand) -> Tensor:
        """The code of the topmost layer, `[batch, hidden]`."""
        h = self.layers[0].encode(x)
        for layer in self.layers[1:]:
            h = layer.encode(h)
        return h

    def decode(self, h: Operand) -> Tensor:
        """The rows that codes of the topmost layer stand for, `[batch, visible]`."""
        return self.layers[0].decode(self._lowest_code(h))

    def error(self, h: Operand, x: Operand) -> Tensor:
        """The lowest layer's error, summed over the units, `[batch]`."""
        return self.layers[0].error(self._lowest_code(h), x)

    def objective(self, x: Operand, seen: Operand | None = None) -> Tensor:
        """The mean reconstruction error over the batch, for training all layers."""
        return mean(self.reconstruction_error(x, seen))

    def _lowest_code(self, h: Operand) -> Operand:
        for layer in reversed(self.layers[1:]):
            h = layer.decode(h)
        return h
