"""When training has gone on long enough: patience, and the criteria of Prechelt.

Lutz Prechelt 1998, Early stopping - but when?, section 2. E_va is what is monitored, an
error on data that are not trained on; E_opt(t) is its least value up to epoch t.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from exprgrad.errors import InputError
from exprgrad.train.callbacks import Callback, Logs
from exprgrad.train.monitor import Monitor

if TYPE_CHECKING:
    from exprgrad.train.trainer import Trainer


class Stopping(Callback):
    """Base of rules that end training: override `verdict`.

    With `restore_best` the parameters and running statistics of the best epoch come
    back when training ends, for whatever reason. Afterwards `best`, `best_epoch`,
    `stopped_epoch` and `reason` say what happened, and the history has `stop_reason`
    and `stop_epoch`. Optimizers' slots and counters are those of the last epoch.

    >>> class Enough(Stopping):
    ...     def verdict(self, value, logs):
    ...         return "which is enough" if value < 0.1 else None
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str | None = None,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        self.watched = Monitor(type(self).__name__, monitor, mode, min_delta)
        self.restore_best = restore_best
        self.forget()

    def forget(self) -> None:
        """Begin anew; a rule that remembers more forgets that too."""
        self.watched.forget()
        self.stopped_epoch: int | None = None
        self.reason: str | None = None
        self._snapshot: Any = None

    def verdict(self, value: float, logs: Logs) -> str | None:
        """Why training ends after this epoch, in which `value` was seen; None to go on."""
        raise NotImplementedError(f"{type(self).__name__} needs a verdict")

    @property
    def best(self) -> float:
        """The best value, NaN before there is one."""
        return self.watched.best

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best value, counted from 1."""
        return self.watched.best_epoch or None

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Forget an earlier fit."""
        self.forget()

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Keep the best epoch, and stop where the verdict is so."""
        if self.watched.improves(logs) and self.restore_best:
            self._snapshot = trainer.snapshot()
        value, epoch = self.watched.read(logs), int(logs["epoch"])
        why = self.verdict(value, logs)
        if why is not None:
            self.stopped_epoch = epoch
            self.reason = f"{self.watched.name} was {value:.6g} in epoch {epoch}, {why}"
            trainer.stop(self.reason)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Bring the best epoch back."""
        if self._snapshot is not None:
            trainer.restore(self._snapshot)
            self._snapshot = None

    def _least(self) -> str:
        return (
            f"{self.best:.6g} of epoch {self.best_epoch}" if self.best_epoch else "NaN"
        )


class EarlyStopping(Stopping):
    """Ends training when `monitor` has not improved for `patience` epochs in a row.

    An improvement is a fall (mode "min") or a rise (mode "max") by more than
    `min_delta`; the mode is "max" for names that end in "accuracy" unless given. Raises
    `InputError` for a patience below 1.

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch",)), eg.parameter("w")
    >>> trainer = eg.Trainer(((w - x) ** 2).mean(), eg.optim.SGD(0.5))
    >>> data = {"x": [1.0, 1.0]}
    >>> stopping = EarlyStopping(patience=2)
    >>> trainer.fit(data, 9, validation_data=data, batch_size=2, callbacks=stopping)
    <history of 3 epochs: loss=0, val_loss=0>
    >>> stopping.reason
    'val_loss was 0 in epoch 3, no improvement on 0 of epoch 1 for 2 epochs'
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        self.patience = _from_one("patience", patience)
        super().__init__(monitor, mode, min_delta, restore_best)

    def verdict(self, value: float, logs: Logs) -> str | None:
        """As many epochs without improvement as there is patience."""
        waited = self.watched.waited
        if waited < self.patience:
            return None
        least = self.watched.min_delta
        by = f" by more than {least:g}" if least else ""
        return f"no improvement on {self._least()}{by} for {waited} epochs"


class GeneralizationLoss(Stopping):
    """GL_alpha: ends training when E_va is more than `alpha` percent above its least.

    GL(t) = 100 (E_va(t) / E_opt(t) - 1) > alpha; Prechelt 1998, section 2.1, who tries
    alpha from 1 to 5. `monitor` is an error, from 0. A NaN counts as infinite.

    >>> rule = GeneralizationLoss(alpha=5.0)
    >>> rule.watched.best = 2.0
    >>> rule.loss(2.5)
    25.0
    """

    def __init__(
        self, alpha: float = 5.0, monitor: str = "val_loss", restore_best: bool = True
    ) -> None:
        if monitor.endswith("accuracy"):
            raise InputError(
                f"Prechelt's GL and PQ are of errors, which fall, not of {monitor}"
            )
        self.alpha = _above_zero("alpha", alpha)
        super().__init__(monitor, "min", restore_best=restore_best)

    def loss(self, value: float) -> float:
        """GL, in percent, where E_va is `value`."""
        _require_error(self.watched.name, value)
        if math.isnan(value):
            return math.inf
        return max(_over(100 * value, self.best) - 100, 0.0)

    def verdict(self, value: float, logs: Logs) -> str | None:
        """GL(t) > alpha"""
        loss = self.loss(value)
        if loss <= self.alpha:
            return None
        return f"{loss:.4g}% above {self._least()}: GL > {self.alpha:g}"


class ProgressQuotient(GeneralizationLoss):
    """PQ_alpha: ends training when the generalisation loss outweighs the progress.

    PQ = GL(t) / P_k(t) > alpha after a strip of k epochs, where P_k(t) = 1000 (mean of
    E_tr over the strip / least E_tr in it - 1); Prechelt 1998, section 2.1, who has k =
    5 and tries alpha from 0.5 to 3. E_tr is `training` in the logs, the epoch's mean.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        strip: int = 5,
        monitor: str = "val_loss",
        training: str = "loss",
        restore_best: bool = True,
    ) -> None:
        self.strip = _from_one("strip", strip)
        self.training = training
        super().__init__(alpha, monitor, restore_best)

    def forget(self) -> None:
        """Begin a strip."""
        super().forget()
        self._strip: list[float] = []

    @property
    def progress(self) -> float:
        """P_k of the strip so far, in thousandths."""
        mean = sum(self._strip) / len(self._strip)
        return _over(1000 * mean, min(self._strip)) - 1000

    def verdict(self, value: float, logs: Logs) -> str | None:
        """GL(t) / P_k(t) > alpha at the end of a strip"""
        error = self.watched.read(logs, self.training)
        _require_error(self.training, error)
        self._strip.append(error)
        if len(self._strip) < self.strip:
            return None
        loss, progress = self.loss(value), self.progress
        self._strip = []
        quotient = _over(loss, progress)
        if quotient <= self.alpha:
            return None
        return (
            f"{loss:.4g}% above {self._least()} with a training progress of "
            f"{progress:.4g} thousandths: PQ {quotient:.4g} > {self.alpha:g}"
        )


class SuccessiveRises(Stopping):
    """UP_s: ends training when E_va has risen in `rises` successive strips.

    It rises in a strip of k epochs when E_va(t) > E_va(t - k) at its end; Prechelt 1998,
    section 2.1, who has k = 5 and tries s from 2 to 8. `mode` "max" counts falls.
    """

    def __init__(
        self,
        rises: int = 2,
        strip: int = 5,
        monitor: str = "val_loss",
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        self.rises = _from_one("rises", rises)
        self.strip = _from_one("strip", strip)
        super().__init__(monitor, mode, restore_best=restore_best)

    def forget(self) -> None:
        """Begin a strip."""
        super().forget()
        self._epochs = self._risen = 0
        self._before = math.nan

    def verdict(self, value: float, logs: Logs) -> str | None:
        """E_va(t) > E_va(t - k) > ... > E_va(t - s k)"""
        self._epochs += 1
        if self._epochs % self.strip:
            return None
        rise = (
            value - self._before if self.watched.mode == "min" else self._before - value
        )
        worse = rise > 0 or (math.isnan(value) and not math.isnan(self._before))
        self._risen = self._risen + 1 if worse else 0
        self._before = value
        if self._risen < self.rises:
            return None
        return (
            f"worse in {self._risen} successive strips of {self.strip} epochs, the best "
            f"being {self._least()}"
        )


def _over(a: float, b: float) -> float:
    """A quotient of numbers from 0, infinite where `b` is 0 and `a` is not."""
    if b:
        return a / b
    return math.inf if a else 0.0


def _require_error(name: str, value: float) -> None:
    if value < 0:
        raise InputError(
            f"Prechelt's criteria are for errors, which are 0 or above, but {name} is "
            f"{value:.6g}"
        )


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise InputError(f"{name} is above 0, not {value}")
    return value


def _from_one(name: str, n: int) -> int:
    if not isinstance(n, int) or n < 1:
        raise InputError(f"{name} is 1 at least, a whole number, not {n}")
    return n
