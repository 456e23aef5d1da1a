"""Training: optimizers, schedules, data, the trainer and its callbacks."""

from exprgrad.train import optim, schedules
from exprgrad.train.callbacks import Callback, EarlyStopping, ProgressBar
from exprgrad.train.greedy import pretrain
from exprgrad.train.history import History
from exprgrad.train.hyper import Hyper
from exprgrad.train.rule import Optimizer
from exprgrad.train.trainer import Trainer

__all__ = [
    "Callback",
    "EarlyStopping",
    "History",
    "Hyper",
    "Optimizer",
    "ProgressBar",
    "Trainer",
    "optim",
    "pretrain",
    "schedules",
]
