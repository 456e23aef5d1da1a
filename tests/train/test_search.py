"""Searches: reproducible, resumed, pruned, failing, over one compiled step."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime import compile as compiler
from tests.train.searching import LINE, SPACE, TRAIN, VALID, network, objective, slow

ROOT = Path(__file__).parent.parent.parent


def plain(result):
    """All that does not depend on the clock."""
    return [(r.number, r.state, r.value, r.values, r.seed, r.curve) for r in result.trials]


@pytest.fixture(scope="module")
def found():
    return eg.search(objective, SPACE, trials=8, seed=2)


def test_one_step_is_compiled_for_all_trials_whose_shapes_agree(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPRGRAD_CACHE", "0")
    before = int(compiler.COMPILATIONS)
    result = eg.search(objective, SPACE, trials=12, seed=2)
    assert {record.values["hidden"] for record in result.trials} == {4, 8}
    # a training step and an inference function for each width, and 12 rates and rates of
    # dropout, batches of 5 to 20
    assert int(compiler.COMPILATIONS) - before == 4


def test_a_trial_is_what_its_numbers_give_by_hand():
    """A fresh trainer with the numbers built in comes to the same bits."""
    space = {name: SPACE[name] for name in ("rate", "hidden", "batch")}
    result = eg.search(without_dropout, space, trials=1, seed=2)
    for record in result.trials:
        rate, hidden, batch = record.values.values()
        trainer = network(rate, 0.0, hidden)
        trainer.reset(record.seed)
        trainer.fit(TRAIN, epochs=6, batch_size=batch)
        assert trainer.evaluate(VALID)["loss"] == record.value


def plain_network(rate, hidden):
    return network(rate, 0.0, hidden)


def without_dropout(trial):
    trainer = trial.build(plain_network)
    trainer.fit(TRAIN, epochs=6, batch_size=trial["batch"])
    return trainer.evaluate(VALID)["loss"]


def test_the_best_trial_is_built_again(found):
    best = found.best
    assert best.value == min(record.value for record in found.trials)
    trainer = found.build(network)
    assert trainer.epoch == 0
    trainer.fit(TRAIN, epochs=6, batch_size=best.values["batch"])
    assert trainer.evaluate(VALID)["loss"] == best.value


def test_the_same_search_again_and_in_two_processes(found):
    assert plain(eg.search(objective, SPACE, trials=4, seed=2)) == plain(found)[:4]
    both = eg.search(objective, SPACE, trials=8, seed=2, processes=2)
    assert plain(both) == plain(found)
    assert len(both.study.trials) == 8, "kept when the file of the processes is gone"
    assert plain(eg.search(objective, SPACE, trials=1, seed=3)) != plain(found)[:1]


def bowl(trial):
    return (trial["a"] - 0.3) ** 2 + (trial["b"] + 0.2) ** 2


def test_a_bayesian_search_begins_at_random_and_is_reproducible():
    space = {**LINE, "b": eg.space.uniform(-1, 1)}
    drawn = eg.search(bowl, space, trials=10, seed=2)
    first = eg.search(bowl, space, trials=10, seed=2, method="bayesian")
    assert plain(first)[:6] == plain(drawn)[:6]
    assert plain(first)[6:] != plain(drawn)[6:]
    assert plain(eg.search(bowl, space, 10, seed=2, method="bayesian")) == plain(first)
    assert first.best.value < min(0.01, drawn.best.value)


@pytest.mark.filterwarnings("ignore:trial . failed")
def test_processes_side_by_side_prune_and_die_alone(tmp_path):
    def beside(trial):
        (tmp_path / f"{trial.number} {os.getpid()}").touch()
        if trial.number == 9:
            os._exit(1)
        for epoch in (1, 2, 3):
            trial.report(trial["a"], epoch)
            time.sleep(0.02)
        return trial["a"]

    result = eg.search(beside, LINE, trials=24, pruning="median", processes=2)
    assert len({path.name.split()[1] for path in tmp_path.iterdir()}) >= 3, "two, and a new one"
    states = [record.state for record in result.trials]
    assert len(states) == 24
    assert states[9] == "failed"
    assert states.count("failed") <= 2, "the one that ran beside it too"
    assert result.trials[9].reason.startswith("its process ended:")
    assert states.count("pruned") >= 5


@pytest.mark.parametrize("method", ["random", "bayesian"])
def test_a_search_goes_on_where_it_was(tmp_path, method):
    file = tmp_path / "search"
    eg.search(slow, LINE, trials=3, storage=file, method=method)
    resumed = eg.search(slow, LINE, trials=8, storage=file, method=method)
    assert plain(resumed) == plain(eg.search(slow, LINE, trials=8, method=method))
    assert plain(eg.search(None, LINE, trials=8, storage=file)) == plain(resumed), "all done"


def test_a_killed_search_goes_on_where_it_was(tmp_path):
    """Killed in the midst of a trial, its file torn and locked."""
    file = tmp_path / "search"
    script = subprocess.Popen(
        [sys.executable, "-m", "tests.train.searching", str(file)],
        cwd=ROOT,
    )
    while not (file.exists() and file.read_text().count('"outcome"') >= 5):
        assert script.poll() is None
        time.sleep(0.01)
    script.kill()
    script.wait()
    with file.open("a") as torn:
        torn.write('{"op_code":6,"work')
    lock = Path(f"{file}.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(file)
    before = len([1 for line in file.read_text().splitlines() if '"outcome"' in line])
    ran = []
    result = eg.search(lambda t: ran.append(t) or t["a"], LINE, 40, storage=file, seed=4)
    assert 40 - before <= len(ran) <= 41 - before
    assert plain(result) == plain(eg.search(lambda t: t["a"], LINE, trials=40, seed=4))


def test_a_file_of_another_space_is_refused(tmp_path):
    file = tmp_path / "search"
    eg.search(slow, LINE, trials=1, storage=file)
    with pytest.raises(eg.InputError, match="give it another file"):
        eg.search(slow, {"a": eg.space.uniform(0, 2)}, trials=1, storage=file)
    with pytest.raises(eg.InputError, match="with mode min, this one has max"):
        eg.search(slow, LINE, trials=1, storage=file, mode="max")


@pytest.mark.filterwarnings("ignore:trial . failed")
def test_trials_that_fail_are_recorded_and_the_search_goes_on():
    given = [0.5, math.nan, "no number", ZeroDivisionError("at last"), -1.0]

    def one(trial):
        if isinstance(given[trial.number], Exception):
            raise given[trial.number]
        return given[trial.number]

    result = eg.search(one, LINE, trials=5)
    assert [r.state for r in result.trials] == ["done", *["failed"] * 3, "done"]
    reasons = [r.reason for r in result.trials]
    assert reasons[1] == "the objective gave nan"
    assert reasons[2] == "an objective gives a number, not 'no number'"
    assert reasons[3].startswith("ZeroDivisionError: at last   (")
    assert "test_search.py" in reasons[3]
    assert result.best.number == 4
    np.testing.assert_equal(result.best_so_far(), [0.5, 0.5, 0.5, 0.5, -1.0])


def test_a_failure_warns_at_the_users_line():
    with pytest.warns(UserWarning, match="trial 0 failed: the objective gave inf") as caught:
        result = eg.search(lambda trial: math.inf, LINE, trials=1)
    assert caught[0].filename == __file__
    with pytest.raises(eg.ExprgradError, match="no trial of 1 was done: the objective gave inf"):
        result.best  # noqa: B018


def test_ctrl_c_keeps_what_was_done(tmp_path):
    def interrupted(trial):
        if trial.number == 3:
            raise KeyboardInterrupt
        return trial["a"]

    file = tmp_path / "search"
    result = eg.search(interrupted, LINE, trials=9, storage=file)
    assert result.stop_reason == "stopped by Ctrl-C after 3 of 9 trials"
    assert "stopped by Ctrl-C after 3 of 9" in repr(result)
    resumed = eg.search(slow, LINE, trials=9, storage=file)
    assert plain(resumed) == plain(eg.search(slow, LINE, trials=9))


def test_no_trial_begins_when_time_is_over():
    result = eg.search(slow, LINE, trials=1000, seconds=0.2)
    assert 1 <= len(result.trials) <= 4
    assert result.stop_reason.startswith("out of time after")


@pytest.mark.parametrize("pruning", ["median", "hyperband"])
def test_pruning_ends_trials_that_fall_behind(pruning):
    """Curves that never cross: the best trial is never pruned, bad ones are early."""
    seen = []

    def curve(trial):
        for epoch in range(1, 28):
            seen.append(trial.number)
            trial.report(trial["a"] + 1 / epoch, epoch)
        return trial["a"]

    result = eg.search(curve, LINE, trials=30, pruning=pruning, seed=1)
    states = [record.state for record in result.trials]
    assert states.count("pruned") >= 10
    assert states.count("done") >= 3
    assert len(seen) < 0.8 * 30 * 27
    pruned = [record for record in result.trials if record.state == "pruned"]
    assert all(record.value == list(record.curve.values())[-1] for record in pruned)
    assert result.best.value == min(r.values["a"] for r in result.trials)


def test_max_is_min_of_the_negative():
    def towards(trial):
        return -((trial["a"] - 0.7) ** 2)

    most = eg.search(towards, LINE, trials=9, method="bayesian", mode="max")
    least = eg.search(lambda t: -towards(t), LINE, trials=9, method="bayesian")
    assert [r.values for r in most.trials] == [r.values for r in least.trials]
    assert abs(most.best.values["a"] - 0.7) < 0.01
    assert most.best_so_far() == [-v for v in least.best_so_far()]


def test_a_sampler_of_optunas():
    from optuna.samplers import TPESampler

    sampler = TPESampler(seed=0, n_startup_trials=4)
    result = eg.search(objective, SPACE, trials=6, method=sampler)
    assert len(result.trials) == 6
    assert all(np.float32(r.values["rate"]) == r.values["rate"] for r in result.trials)


def test_the_table_and_its_print(found):
    rows = found.table()
    assert list(rows[0]) == ["number", "state", "value", *SPACE, "seconds", "reason"]
    assert [row["number"] for row in rows] == list(range(8))
    assert rows[found.best.number]["value"] == found.best.value
    head, columns, best, *rest = repr(found).splitlines()
    assert head == "8 trials: 8 done"
    assert columns.split() == ["trial", "value", *SPACE]
    assert best.split()[:2] == [str(found.best.number), f"{found.best.value:.4g}"]
    assert len(rest) == 7


def test_pictures(found):
    pytest.importorskip("matplotlib")
    figure = found.plot()
    assert [axes.get_xlabel() for axes in figure.axes] == ["trial", *SPACE]
    (line,) = figure.axes[0].lines
    assert list(line.get_ydata()) == found.best_so_far()
    assert figure.axes[1].get_xscale() == "log"
    assert [tick.get_text() for tick in figure.axes[3].get_xticklabels()] == ["4", "8"]
    places = {x for x, _ in figure.axes[3].collections[0].get_offsets()}
    assert places == {0, 1}
    (axes,) = found.plot_parallel().axes
    drawn = [line for line in axes.lines if line.get_marker() == "."]
    best = found.best.values
    darkest = drawn[-1].get_ydata()
    assert len(drawn) == 8
    assert list(darkest) == [domain.part(best[name]) for name, domain in SPACE.items()]
    figure.savefig(io.BytesIO(), format="svg")
