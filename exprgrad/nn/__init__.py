"""Networks: first values, layers and losses, which only spell expressions."""

from exprgrad.graph.mode import training
from exprgrad.nn import init
from exprgrad.nn.autoencoder import Autoencoder, Stack
from exprgrad.nn.corruption import gaussian_noise, mask_noise, salt_and_pepper
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
from exprgrad.nn.penalties import (
    contraction,
    running_sparsity,
    sigmoid_contraction,
    sparsity,
)
from exprgrad.nn.rbm import RBM

__all__ = [
    "Autoencoder",
    "RBM",
    "Stack",
    "accuracy",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "contraction",
    "cross_entropy",
    "dense",
    "dropout",
    "gaussian_noise",
    "hinge",
    "huber",
    "inference",
    "init",
    "kl",
    "layer_norm",
    "mae",
    "mask_noise",
    "mse",
    "running_sparsity",
    "salt_and_pepper",
    "sigmoid_contraction",
    "sparsity",
    "training",
]
