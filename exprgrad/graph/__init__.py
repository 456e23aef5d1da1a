"""The symbolic language: what a user writes, and what every later stage reads."""

from exprgrad.graph import elementwise, indexing, movement, reduction, show
from exprgrad.graph.tensor import FUNCTIONS

FUNCTIONS.update(
    {
        name: function
        for module in (elementwise, movement, reduction)
        for name, function in vars(module).items()
        if callable(function) and not name.startswith("_")
    }
)
FUNCTIONS["getitem"] = indexing.getitem
FUNCTIONS["show"] = show.show
