"""Names that nothing has: each error says which there are."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.errors.wrong import DATA, ROWS, W, X, fails, step, trainer, untouched


def test_an_input_of_a_function():
    with fails(InputError, "has no input y; its inputs are: x, t"):
        step()(ROWS, y=1)


def test_an_input_of_a_trainer():
    machine = trainer()
    with fails(InputError, "the data has z, which is no input; these are: t, x"):
        machine.fit({**DATA, "z": ROWS}, batch_size=2)
    with fails(InputError, "the data has z"):
        machine.predict(X @ W, {"x": ROWS, "z": ROWS})
    assert untouched(machine)


def test_a_metric():
    machine = trainer()
    with fails(InputError, "there is no recall; these are: loss"):
        machine.predict("recall", DATA)
    stop = eg.EarlyStopping("val_loss", patience=1)
    with fails(GraphError, "EarlyStopping monitors val_loss, but an epoch has: loss"):
        machine.fit(DATA, batch_size=2, callbacks=[stop])
    assert untouched(machine)


def test_a_hyper_parameter():
    with fails(GraphError, "SGD: got an unexpected keyword argument 'lr'", "learning_rate"):
        eg.optim.SGD(lr=0.1)
    with fails(GraphError, "SGD has no hyper-parameter rate; it has: learning_rate"):
        eg.optim.SGD(0.1).rate = 0.2


def test_a_quantity_of_the_history():
    history = trainer().history
    with pytest.raises(KeyError, match="the history has no acc; it has: "):
        history["acc"]


def test_a_stage():
    with fails(GraphError, "no one stage is called 'ptx'; there are graph", "assembly"):
        eg.explain(step(), "ptx")
    with fails(GraphError, "explain takes the name of a stage, not dict", "data=..."):
        eg.explain(step(), {"x": np.ones((2, 3))})  # type: ignore[arg-type]


def test_a_name_of_the_package():
    with pytest.raises(AttributeError, match="exprgrad has no 'sofmax'"):
        eg.sofmax  # noqa: B018
