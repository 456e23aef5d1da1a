"""Optimizers, each its paper's update in the user's own language, and what joins them."""

from exprgrad.train.hyper import Amount, Fading, Hyper, Option
from exprgrad.train.optim.adam import Adam, Adamax, AdamW, Nadam
from exprgrad.train.optim.adaptive import Adadelta, Adagrad, RMSprop
from exprgrad.train.optim.average import EMA, PolyakAverage
from exprgrad.train.optim.bound import MaxNorm
from exprgrad.train.optim.compose import Chain, Frozen, Groups
from exprgrad.train.optim.decay import L2, WeightDecay
from exprgrad.train.optim.descent import SGD, Momentum, Nesterov
from exprgrad.train.optim.gradients import ClipByNorm, ClipByValue, GradientNoise
from exprgrad.train.optim.lbfgs import LBFGS
from exprgrad.train.optim.lion import Lion
from exprgrad.train.rule import Optimizer
from exprgrad.train.transform import GradientTransform, ParameterTransform

__all__ = [
    "SGD",
    "Momentum",
    "Nesterov",
    "Adagrad",
    "Adadelta",
    "RMSprop",
    "Adam",
    "AdamW",
    "Nadam",
    "Adamax",
    "Lion",
    "LBFGS",
    "Chain",
    "Groups",
    "Frozen",
    "L2",
    "ClipByValue",
    "ClipByNorm",
    "GradientNoise",
    "WeightDecay",
    "MaxNorm",
    "EMA",
    "PolyakAverage",
    "Optimizer",
    "GradientTransform",
    "ParameterTransform",
    "Hyper",
    "Amount",
    "Fading",
    "Option",
]
