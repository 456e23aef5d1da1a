"""The symbolic language: what a user writes, and what every later stage reads."""

from exprgrad.graph import (
    activations,
    creation,
    elementwise,
    indexing,
    movement,
    numpy_protocol,
    reduction,
    show,
    special,
)
from exprgrad.graph.tensor import FUNCTIONS

FUNCTIONS.update(
    {
        name: function
        for module in (elementwise, movement, reduction, activations, creation, special)
        for name, function in vars(module).items()
        if callable(function) and not name.startswith("_")
    }
)
FUNCTIONS["getitem"] = indexing.getitem
FUNCTIONS["show"] = show.show  # type: ignore[assignment]  # the one that gives text
FUNCTIONS["ufunc"] = numpy_protocol.ufunc
FUNCTIONS["array_function"] = numpy_protocol.array_function
