"""Switches: read at call time, parsed strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprgrad import config
from exprgrad.errors import ExprgradError


def test_read_at_call_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPRGRAD_THREADS", raising=False)
    assert config.THREADS() == 0
    monkeypatch.setenv("EXPRGRAD_THREADS", "2")
    assert config.THREADS() == 2


@pytest.mark.parametrize(
    ("text", "value"), [("0", None), ("off", None), ("/x", Path("/x"))]
)
def test_cache(text: str, value: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_CACHE", text)
    assert config.CACHE() == value


@pytest.mark.parametrize("switch", config.SWITCHES, ids=lambda switch: switch.name)
def test_default_is_valid(
    switch: config.Switch[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(switch.name, raising=False)
    assert switch.name.startswith("EXPRGRAD_")
    switch()


@pytest.mark.parametrize(
    "name",
    ["EXPRGRAD_THREADS", "EXPRGRAD_CHECK", "EXPRGRAD_LOG", "EXPRGRAD_CACHE_SIZE"],
)
def test_nonsense(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "many")
    switch = next(switch for switch in config.SWITCHES if switch.name == name)
    with pytest.raises(ExprgradError, match=f"{name}.*'many'"):
        switch()
