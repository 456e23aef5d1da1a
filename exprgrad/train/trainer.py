"""The trainer: epochs over data, validation, history, callbacks, prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, InputError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph import leaves
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.leaves import state
from exprgrad.graph.mode import in_mode, replaced
from exprgrad.graph.node import walk
from exprgrad.graph.precision import checked_precision
from exprgrad.graph.random import numbered
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.arguments import plain_name
from exprgrad.runtime.footprint import Footprint
from exprgrad.runtime.function import Function, function
from exprgrad.train.callbacks import Callback, ProgressBar
from exprgrad.train.data import (
    Batches,
    Data,
    Table,
    as_table,
    batches,
    inference_rows,
    read,
)
from exprgrad.train.history import History
from exprgrad.train.order import Order, arranged
from exprgrad.train.parts import is_by_rows
from exprgrad.train.plan import Plan, planned
from exprgrad.train.population import Population, population
from exprgrad.train.program import (
    Means,
    Pace,
    Program,
    Total,
    inference_program,
    run,
    scalars,
    training_program,
    whole,
)
from exprgrad.train.rule import Optimizer, parameters_of

Array = NDArray[Any]
Snapshot = dict[Tensor, Array]


class Trainer:
    """Trains the parameters of a loss.

    `loss` is a scalar, the mean over a batch; each of `metrics` is a scalar or one
    number a row. `parameters` are all of the loss when not given; `updates` are states
    that each step changes besides, such as running statistics. `seed` decides the order
    of the rows and the random numbers; the same program gives the same bits. With
    `precision` "bfloat16" loss, gradient, metrics and predictions multiply numbers
    rounded to bfloat16 and add them in float32; parameters and updates stay float32.

    The step is compiled at the first `fit`, and not again: not for the smaller last
    batch, not for another learning rate. Raises `GraphError` for a loss that is not a
    scalar or has no parameter.

    >>> import exprgrad as eg
    >>> x, y = eg.input("x", ("batch",)), eg.input("y", ("batch",))
    >>> w = eg.parameter("w")
    >>> trainer = Trainer(((w * x - y) ** 2).mean(), eg.optim.SGD(0.1))
    >>> history = trainer.fit({"x": [1, 2], "y": [2, 4]}, epochs=50, batch_size=2)
    >>> round(float(w.value), 4)
    2.0
    """

    def __init__(
        self,
        loss: Tensor,
        optimizer: Optimizer,
        metrics: Mapping[str, Tensor] | None = None,
        parameters: Sequence[Tensor] | None = None,
        updates: Mapping[Tensor, Tensor] | None = None,
        seed: int = 0,
        precision: str = "float32",
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise GraphError(
                f"the optimizer is one of eg.optim or your own, made by a call as "
                f"Adam(1e-3), not {optimizer!r}"
            )
        self.outputs = scalars(loss, metrics or {})
        self.loss = loss
        self.optimizer = optimizer
        self.updates = {s: as_tensor(new) for s, new in (updates or {}).items()}
        self.parameters = tuple(parameters or parameters_of(loss))
        self.seed = seed
        self.precision = checked_precision(precision)
        self._counters = {
            leaves.step: optimizer.count,
            leaves.epoch: state("epoch", dtype=dtypes.int64, init=0),
            leaves.seed: state("seed", dtype=dtypes.int64, init=seed),
        }
        self.history = History()
        self._metrics = dict(metrics or {})
        self._training: Program | None = None
        self._inference: Program | None = None
        self._population: Population | None = None
        self._predictions: dict[Tensor, tuple[Function, bool]] = {}
        self._pace, self._inference_pace = Pace(), Pace()
        self._stopped: str | None = None

    def fit(
        self,
        data: Data | Batches,
        epochs: int = 1,
        batch_size: int | None = 32,
        validation_data: Data | Batches | None = None,
        validation_split: float = 0.0,
        shuffle: bool | Order = True,
        callbacks: Sequence[Callback] | Callback = (),
        progress: bool | None = None,
        check_finite: bool = False,
    ) -> History:
        """Train for `epochs` more epochs and give what happened in them.

        `data` maps input names to arrays with one row for each example (used in place,
        memory-mapped ones too), or is an iterable of such mappings, one for each batch,
        or a function that makes one for each epoch. `batch_size` None takes all rows at
        once, as one larger than their number does; 1 trains online. `validation_split`
        holds out that part of the rows, drawn by the seed. `shuffle` True takes the rows in
        a new order each epoch, False as they stand; `eg.order` has others. `progress` is
        shown on a terminal unless given.

        Raises `InputError` for data that do not fit, `NonFiniteError` with
        `check_finite`; after any error all values are as before the call. Ctrl-C
        leaves the training done so far, and `history`.
        """
        program = self._training_program()
        listed = callbacks if isinstance(callbacks, Iterable) else [callbacks]
        plan = planned(
            program,
            self._input_names(),
            data,
            validation_data=validation_data,
            held_out=(validation_split, self.seed),
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            callbacks=(ProgressBar(progress), *listed),
            check_finite=check_finite,
            searches=self.optimizer.searches,
        )
        before = {s: s.value.copy() for s in program.changeable}
        epoch = self.epoch
        try:
            return self._fit(program, plan)
        except Exception:
            self.restore(before)
            self.epoch = epoch
            raise

    def evaluate(self, data: Data | Batches, batch_size: int | None = None) -> Means:
        """Loss and metrics on `data`, in inference mode, nothing updated.

        Where all of them are means over rows, 1,024 rows are taken at a time and weigh by
        their number (each part has the same random numbers); else, as for the root of a
        mean, a maximum or a batch's own statistics, all rows of arrays at once, or of each
        batch of an iterable. With `batch_size` so many are taken, and what is no mean is
        that of each part, then averaged.
        """
        program = self._inference_program()
        source = read(program.inputs, data, "the data", also=self._input_names())
        return self._means(program, source, batch_size)

    def predict(
        self, what: Tensor | str, data: Data, batch_size: int | None = None
    ) -> Array:
        """The value of an expression, or of "loss" or a metric by name, for all rows.

        Of `data` only the inputs that the expression depends on are needed. Where each row's
        value depends on that row alone, parts of `batch_size` rows, 1,024 unless given, are
        computed one after another; else, as for a softmax over rows or random numbers, all
        rows at once.
        """
        expression = self._named(what) if isinstance(what, str) else as_tensor(what)
        call, in_parts = self._prediction(expression)
        if not call.inputs:
            return np.asarray(call())
        table = as_table(call.inputs, data, "the data", also=self._input_names())
        size = inference_rows(table, batch_size)
        if not in_parts:
            return np.asarray(call(**table.arrays))
        parts = [
            call(**{name: array[i : i + size] for name, array in table.arrays.items()})
            for i in range(0, len(table), size)
        ]
        return np.concatenate(parts)

    def finalize_batch_norm(
        self, data: Data | Batches, batch_size: int | None = None
    ) -> None:
        """After training: running means and variances become those of all rows.

        Exact, with 1/n, whatever `batch_size` is; layer by layer, those below being at
        inference already, by two passes over the data for each. It is for statistics
        that are means over rows, as those of `eg.nn.batch_norm` are. Raises
        `GraphError` where there are none; see `train/population.py`.
        """
        if self._population is None:
            self._population = population(
                self.outputs, self.updates, self._counters, self.precision
            )
        program = self._population.program
        source = read(program.inputs, data, "the data", also=self._input_names())
        self._population.settle(lambda: self._means(program, source, batch_size))

    @property
    def program(self) -> Program:
        """The compiled training step, which `eg.explain` asks for its stages."""
        return self._training_program()

    @property
    def epoch(self) -> int:
        """How many epochs are done: `eg.epoch` of this trainer."""
        return int(self._counters[leaves.epoch].value)

    @epoch.setter
    def epoch(self, done: int) -> None:
        self._counters[leaves.epoch].value = done

    def memory(self) -> Footprint:
        """The bytes that `fit` holds besides the data, as formulas of the batch; known
        before training: `trainer.memory().bytes(batch=64)`. Values before fit are a
        copy of what it changes, for the case of an error.
        """
        return self._training_program().memory()

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End training after the present epoch; for callbacks. All reasons are kept."""
        self._stopped = f"{self._stopped}; {reason}" if self._stopped else reason

    def snapshot(self) -> Snapshot:
        """Copies of what inference depends on: parameters and the states of `updates`."""
        return {s: s.value.copy() for s in (*self.parameters, *self.updates)}

    def restore(self, snapshot: Mapping[Tensor, Array]) -> None:
        """Give states and parameters the values of a snapshot."""
        for node, value in snapshot.items():
            node.value = value

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: parameters, slots and counters get first values; nothing is compiled.

        With `seed` it decides those values and all that the trainer's seed does. Numbers
        that were set, such as a learning rate, stay.
        """
        if seed is not None:
            self.seed = self._counters[leaves.seed].value = seed
        changed = self._training.updates if self._training else self.updates
        for node in dict.fromkeys([*self.parameters, *changed]):
            node.cell.reset(seed)
        self.epoch, self.history = 0, History()

    # The course of a fit

    def _fit(self, program: Program, plan: Plan) -> History:
        self._stopped = None
        self.history = history = History()
        try:
            for callback in plan.callbacks:
                callback.on_fit_begin(self, plan.epochs)
            for _ in range(plan.epochs):
                history.append(self._one_epoch(program, plan))
                self.epoch += 1
                if self._stopped is not None:
                    history.stop_reason, history.stop_epoch = self._stopped, self.epoch
                    break
        finally:
            for callback in plan.callbacks:
                callback.on_fit_end(self)
        return history

    def _one_epoch(self, program: Program, plan: Plan) -> Means:
        logs: Means = {"epoch": self.epoch + 1}
        for callback in plan.callbacks:
            callback.on_epoch_begin(self, logs)

        def progress(done: int, steps: int, means: Means) -> None:
            for callback in plan.callbacks:
                callback.on_steps_end(
                    self, {**logs, **means, "step": done, "steps": steps}
                )

        means = self._train(program, plan, progress)
        logs = {**logs, **means}
        if plan.validation is not None:
            found = self._means(self._inference_program(), plan.validation, None)
            logs.update({f"val_{name}": value for name, value in found.items()})
        for callback in plan.callbacks:
            callback.on_epoch_end(self, logs)
        return logs

    def _train(self, program: Program, plan: Plan, progress: Any) -> Means:
        finite = plan.check_finite
        if isinstance(plan.data, Table):
            size = plan.batch_size
            order = arranged(plan.order, plan.data, self.epoch, size, self.seed)
            program.require_sizes(plan.data, order.size, size)
            return run(program, plan.data, order, size, self._pace, progress, finite)
        total = Total()
        tables = batches(program.inputs, plan.data, self.epoch + 1, finite)
        for number, table in enumerate(tables):
            program.require_sizes(table, len(table), len(table))
            total.add(whole(program, table, finite), len(table))
            progress(number + 1, 0, total.means())
        return total.means()

    # Running programs

    def _means(
        self, program: Program, data: Table | Batches, batch_size: int | None
    ) -> Means:
        tables: Iterator[Table] | list[Table]
        if isinstance(data, Table):
            tables = [data]
        else:
            also = self._input_names()
            tables = batches(program.inputs, data, self.epoch + 1, False, also)
        total = Total()
        for table in tables:
            size = program.rows_at_a_time(table, batch_size)
            program.require_sizes(table, len(table), size)
            pace = self._inference_pace
            found = run(program, table, table.rows, size, pace, lambda *_: None)
            total.add(found, len(table))
        return total.means()

    def _training_program(self) -> Program:
        if self._training is None:
            self._training = training_program(
                self.outputs,
                self.optimizer,
                self.parameters,
                self.updates,
                self._counters,
                self.precision,
            )
        return self._training

    def _inference_program(self) -> Program:
        if self._inference is None:
            self._inference = inference_program(
                self.outputs, self._counters, self.precision
            )
        return self._inference

    def _prediction(self, expression: Tensor) -> tuple[Function, bool]:
        """What computes an expression, and whether it may take the rows in parts."""
        if expression not in self._predictions:
            # What `evaluate` draws is drawn here, too: by the same counters and numbers.
            roots = [*self.outputs.values(), expression]
            decided = in_mode(roots, False)
            own = replaced([decided[root] for root in roots], self._counters)
            image = numbered([own[decided[root]] for root in roots])
            shown = image[own[decided[expression]]]
            inputs = [node for node in walk([shown]) if node.op == "input"]
            names = {plain_name(n.shape[0]) if n.ndim else None for n in inputs}
            (rows, *others) = names or {None}
            in_parts = rows is not None and not others and is_by_rows(shown, rows)
            call = function(inputs, shown, training=False, precision=self.precision)
            self._predictions[expression] = call, in_parts
        return self._predictions[expression]

    def _named(self, name: str) -> Tensor:
        known = {"loss": self.loss, **self._metrics}
        if name not in known:
            raise InputError(f"there is no {name}; these are: {', '.join(known)}")
        return known[name]

    def _input_names(self) -> frozenset[str]:
        roots = [*self.outputs.values(), *self.updates.values()]
        return frozenset(node.name for node in walk(roots) if node.op == "input")

    def __repr__(self) -> str:
        named = ", ".join(node.name for node in self.parameters)
        return f"<trainer of {named} with {self.optimizer}, {self.epoch} epochs done>"
