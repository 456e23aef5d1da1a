"""Networks: first values, layers, losses and models, which only spell expressions."""

from exprgrad.graph.mode import inference, training
from exprgrad.nn import init
from exprgrad.nn.autoencoder import Autoencoder, Stack
from exprgrad.nn.batch import batch_norm, fold_batch_norm
from exprgrad.nn.corruption import gaussian_noise, mask_noise, salt_and_pepper
from exprgrad.nn.drop import dropout, gaussian_dropout, spatial_dropout
from exprgrad.nn.layers import Layers, dense, flatten
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
from exprgrad.nn.norms import group_norm, instance_norm, layer_norm, rms_norm
from exprgrad.nn.penalties import (
    contraction,
    running_sparsity,
    sigmoid_contraction,
    sparsity,
)
from exprgrad.nn.rbm import RBM
from exprgrad.nn.weights import l1, l2, max_norm

__all__ = [
    "Autoencoder",
    "Layers",
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
    "flatten",
    "fold_batch_norm",
    "gaussian_dropout",
    "gaussian_noise",
    "group_norm",
    "hinge",
    "huber",
    "inference",
    "init",
    "instance_norm",
    "kl",
    "l1",
    "l2",
    "layer_norm",
    "mae",
    "mask_noise",
    "max_norm",
    "mse",
    "rms_norm",
    "running_sparsity",
    "salt_and_pepper",
    "sigmoid_contraction",
    "sparsity",
    "spatial_dropout",
    "training",
]
