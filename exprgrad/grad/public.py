"""The derivatives as users get them: of the stable form of what they wrote, simplified.

    loss --stabilize--> loss --sweep--> derivative --simplify--> derivative

`sweep.py` applies the chain rule to an expression as it stands. Written plainly, a loss
such as -log(1 / (1 + exp(-x))) has a gradient that overflows though the loss of equal
value, softplus(-x), has not; so the loss is put into its stable form first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprgrad.grad import sweep
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.simplify import simplify, stabilize


def grad(loss: Tensor, wrt: Any) -> Any:
    """The gradient of a scalar: for each tensor of `wrt` one of the same shape.

    `wrt` is a tensor, a sequence or a mapping of tensors, at any place of the
    expression; the result is a tensor, a list or a dict. What the loss does not depend
    on has a gradient of zeros. Raises `GraphError` when `loss` is not a floating-point
    scalar. Reverse accumulation: Griewank and Walther, Evaluating Derivatives, ch. 3.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> eg.grad((x * x).sum(), x)
    x + x
    """
    return _derived(sweep.grad, loss, wrt)


def value_and_grad(loss: Tensor, wrt: Any) -> tuple[Tensor, Any]:
    """The loss in its stable form and `grad(loss, wrt)`: they share what they can.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ())
    >>> eg.value_and_grad(eg.log(1 + eg.exp(x)), x)
    (softplus(x), sigmoid(x))
    """
    safe = _stable(loss, wrt)
    return safe, _simplified(sweep.grad(safe, wrt))


def vjp(outputs: Any, wrt: Any, cotangents: Any) -> Any:
    """The sum over all outputs of cotangent times Jacobian, for each of `wrt`.

    `cotangents` has the structure and the shapes of `outputs`. The result has the
    structure of `wrt`. Raises `GraphError` where they differ or are not floating-point.

    >>> import exprgrad as eg
    >>> x, c = eg.input("x", (3,)), eg.input("c", (3,))
    >>> eg.vjp(eg.sin(x), x, c)
    c * cos(x)
    """
    return _derived(sweep.vjp, outputs, wrt, cotangents)


def jvp(outputs: Any, wrt: Any, tangents: Any) -> Any:
    """The Jacobian times the tangents: how outputs change when `wrt` moves along them.

    `tangents` has the structure and the shapes of `wrt`. The result has the structure
    of `outputs`.

    >>> import exprgrad as eg
    >>> x, t = eg.input("x", (3,)), eg.input("t", (3,))
    >>> eg.jvp(eg.sin(x), x, t)
    t * cos(x)
    """
    return _derived(sweep.jvp, outputs, wrt, tangents)


def hvp(loss: Tensor, wrt: Any, vectors: Any) -> Any:
    """The Hessian of a scalar times `vectors`, at the cost of a few gradients.

    Forward over reverse: Pearlmutter 1994, Fast exact multiplication by the Hessian.

    >>> import exprgrad as eg
    >>> x, v = eg.input("x", (3,)), eg.input("v", (3,))
    >>> eg.hvp((x * x).sum(), x, v)
    v + v
    """
    return _derived(sweep.hvp, loss, wrt, vectors)


def jacobian(y: Tensor, x: Tensor) -> Tensor:
    """All derivatives of y by x, of shape `y.shape + x.shape`; sizes may be named.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> eg.jacobian(eg.stack([x[0] * x[1], x[2]]), x).shape
    (2, 3)
    """
    result: Tensor = _derived(sweep.jacobian, y, x)
    return result


def hessian(loss: Tensor, x: Tensor) -> Tensor:
    """All second derivatives of a scalar, of shape `x.shape + x.shape`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> eg.hessian((x * x * x).sum(), x).shape
    (3, 3)
    """
    result: Tensor = _derived(sweep.hessian, loss, x)
    return result


def _derived(rule: Callable[..., Any], outputs: Any, wrt: Any, *more: Any) -> Any:
    return _simplified(rule(_stable(outputs, wrt), wrt, *more))


def _stable(outputs: Any, wrt: Any) -> Any:
    """`outputs` in a form that is safe to differentiate by the nodes `wrt`."""
    given, starts = sweep.flat(outputs), sweep.flat(wrt)
    if not all(isinstance(node, Tensor) for node in (*given, *starts)):
        return outputs  # the rule that is asked next has the words for it
    return sweep.like_structure(outputs, stabilize(given, starts))


def _simplified(results: Any) -> Any:
    return sweep.like_structure(results, simplify(sweep.flat(results)))
