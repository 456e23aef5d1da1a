"""PyTorch and Keras still make of the layers what is recorded of them."""

from __future__ import annotations

import pytest

from tests.nn.record_peers import CASES, computed, recorded
from tests.nn.values import assert_equal


@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str) -> None:
    pytest.importorskip("keras" if name == "keras" else "torch")
    assert_equal(computed(name), recorded(name))
