"""Training: optimizers, schedules, orders of data, the trainer and its callbacks."""

from exprgrad.train import optim, order, schedules
from exprgrad.train.callbacks import Callback, ProgressBar
from exprgrad.train.greedy import pretrain
from exprgrad.train.history import History
from exprgrad.train.hyper import Hyper
from exprgrad.train.reactive import BoldDriver, ReduceOnPlateau
from exprgrad.train.rule import Optimizer
from exprgrad.train.stopping import (
    EarlyStopping,
    GeneralizationLoss,
    ProgressQuotient,
    Stopping,
    SuccessiveRises,
)
from exprgrad.train.trainer import Trainer

__all__ = [
    "BoldDriver",
    "Callback",
    "EarlyStopping",
    "GeneralizationLoss",
    "History",
    "Hyper",
    "Optimizer",
    "ProgressBar",
    "ProgressQuotient",
    "ReduceOnPlateau",
    "Stopping",
    "SuccessiveRises",
    "Trainer",
    "optim",
    "order",
    "pretrain",
    "schedules",
]
