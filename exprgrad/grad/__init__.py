"""The chain rule: from an expression the expressions of its derivatives."""

from exprgrad.grad.check import check_grad
from exprgrad.grad.public import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

__all__ = [
    "grad",
    "value_and_grad",
    "jvp",
    "vjp",
    "jacobian",
    "hessian",
    "hvp",
    "check_grad",
]
