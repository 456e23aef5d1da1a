"""What encodes rows and decodes them again, and how far the result is from the rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from exprgrad.errors import DTypeError, GraphError, ShapeError
from exprgrad.graph.activations import relu
from exprgrad.graph.elementwise import as_tensor, sigmoid, softplus, tanh
from exprgrad.graph.movement import permute_dims
from exprgrad.graph.reduction import matmul, sum
from exprgrad.graph.tensor import Operand, Tensor

Unary = Callable[[Tensor], Tensor]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Output:
    """What output units make of their input z, and their error beside rows x."""

    mean: Unary
    error: Callable[[Tensor, Tensor], Tensor]  # z, x -> [batch]


def half_squares(difference: Tensor) -> Tensor:
    """½‖d‖² of each row."""
    return 0.5 * sum(difference * difference, -1)


def _squared(mean: Unary) -> Output:
    return Output(mean, lambda z, x: half_squares(x - mean(z)))


# -Σ x log s + (1 - x) log(1 - s) = Σ softplus(z) - x z for s = sigmoid(z)
OUTPUTS = {
    "sigmoid": Output(sigmoid, lambda z, x: sum(softplus(z) - x * z, -1)),
    "linear": _squared(lambda z: z),
    "relu": _squared(relu),
    "tanh": _squared(tanh),
}


class Coder(ABC):
    """Base of the models that encode rows `x[batch, visible]` as `h[batch, hidden]`."""

    @abstractmethod
    def encode(self, x: Operand) -> Tensor:
        """The code of each row, `[batch, hidden]`."""

    @abstractmethod
    def decode(self, h: Operand) -> Tensor:
        """The rows that codes stand for, `[batch, visible]`."""

    @abstractmethod
    def error(self, h: Operand, x: Operand) -> Tensor:
        """How far what `h` stands for is from `x`, summed over the units, `[batch]`.

        The cross-entropy of binary and sigmoid outputs, taken of their inputs and so
        finite where they saturate; half the squared error of the others.
        """

    def reconstruction_error(self, x: Operand, seen: Operand | None = None) -> Tensor:
        """`error` of the code of x, or of `seen`, which is what is encoded of x."""
        return self.error(self.encode(x if seen is None else seen), x)


class Pair(Coder):
    """Base of one layer: a weight `[visible, hidden]` and the biases of both sides."""

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    @property
    @abstractmethod
    def outputs(self) -> Output:
        """The kind of the visible units."""

    @property
    def decoder(self) -> Tensor:
        """The weight of the way back, `[hidden, visible]`: the transpose, as if tied."""
        return permute_dims(self.weight, (1, 0))

    def decode(self, h: Operand) -> Tensor:
        """E[x | h], `[batch, visible]`."""
        return self.outputs.mean(self._output_input(h))

    def error(self, h: Operand, x: Operand) -> Tensor:
        """-log p(x | h) without its constant, `[batch]`."""
        return self.outputs.error(self._output_input(h), self.rows(x))

    def rows(self, x: Operand) -> Tensor:
        """`x[batch, visible]` as it has to be, else a `ShapeError` or `DTypeError`."""
        rows = as_tensor(x, self.weight)
        name, visible = type(self).__name__, self.weight.shape[0]
        if rows.ndim != 2 or rows.shape[1] != visible:
            raise ShapeError(
                f"{name} of {visible} visible units takes rows [batch, {visible}], not "
                f"{rows.type}"
            )
        if rows.dtype.kind != "f":
            raise DTypeError(f"{name} takes floating-point rows, not {rows.type}")
        return rows

    def _code_input(self, x: Operand) -> Tensor:
        return matmul(self.rows(x), self.weight) + self.hidden_bias

    def _output_input(self, h: Operand) -> Tensor:
        return matmul(h, self.decoder) + self.visible_bias

    def _require_shapes(self) -> None:
        """Raise unless weight and biases are expressions that belong together."""
        for leaf in (self.weight, self.visible_bias, self.hidden_bias):
            if not isinstance(leaf, Tensor):
                raise GraphError(
                    f"{type(self).__name__} is made of parameters, such as "
                    f"eg.parameter('W', (64, 100)), not of {type(leaf).__name__}"
                )
        shape = self.weight.shape
        biases = (self.visible_bias.shape, self.hidden_bias.shape)
        if len(shape) != 2 or biases != (shape[:1], shape[1:]):
            raise ShapeError(
                f"{type(self).__name__}: weight[visible, hidden], visible_bias[visible] "
                f"and hidden_bias[hidden] belong together, not {self.weight.type}, "
                f"{self.visible_bias.type} and {self.hidden_bias.type}"
            )


def row_of(table: dict[str, Row], what: str, name: str) -> Row:
    """The row of a table. Raises `GraphError` for a name that it does not have."""
    if name not in table:
        raise GraphError(f"{what} is one of {', '.join(table)}, not {name!r}")
    return table[name]
