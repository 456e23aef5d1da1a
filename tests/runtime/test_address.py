"""Where NumPy keeps an array's elements, read without NumPy's help."""

from __future__ import annotations

import numpy as np
import pytest

from exprgrad.runtime.program import address

BASE = np.arange(24.0).reshape(4, 6)
LOCKED = np.arange(3)
LOCKED.flags.writeable = False


@pytest.mark.parametrize(
    "array",
    [
        BASE,
        BASE[1:, 2:],
        BASE[::-1],
        BASE.T,
        np.zeros(()),
        np.zeros((0, 3)),
        np.zeros(3, bool),
        LOCKED,
        np.frombuffer(b"12345678", np.int64),
        BASE.view(np.recarray),
    ],
    ids=["whole", "part", "reversed", "turned", "scalar", "empty", "bools", "read-only",
         "foreign", "subclass"],
)  # fmt: skip
def test_it_is_what_numpy_says(array: np.ndarray) -> None:
    assert address(array) == array.ctypes.data
