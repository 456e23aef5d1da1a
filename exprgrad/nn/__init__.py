"""Networks: first values, layers and losses, which only spell expressions."""

from exprgrad.graph.mode import training
from exprgrad.nn import init
from exprgrad.nn.layers import batch_norm, dense, dropout, inference, layer_norm
from exprgrad.nn.losses import (
    accuracy,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl,
    mae,
    mse,
)

__all__ = [
    "accuracy",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dense",
    "dropout",
    "hinge",
    "huber",
    "inference",
    "init",
    "kl",
    "layer_norm",
    "mae",
    "mse",
    "training",
]
