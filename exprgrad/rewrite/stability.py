"""Spellings that overflow or cancel, and the ones that do not."""

from __future__ import annotations

from exprgrad.graph.elementwise import (
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    softplus,
)
from exprgrad.rewrite.match import Row, x

ROWS = [
    Row(exp(x) / (1 + exp(x)), sigmoid(x)),
    Row(1 / (1 + exp(x)), sigmoid(-x)),
    Row(log(sigmoid(x)), -softplus(-x)),
    Row(log(1 - sigmoid(x)), -softplus(x)),
    Row(log1p(-sigmoid(x)), -softplus(x)),
    Row(log(1 + exp(x)), softplus(x)),
    Row(log1p(exp(x)), softplus(x)),
    Row(log(exp(x)), x),
    Row(log(1 + x), log1p(x)),
    Row(exp(x) - 1, expm1(x)),
    Row(1 - exp(x), -expm1(x)),
]
