"""How many steps of a sum stand in a round of its loop: of a large tile of long sums
several, where counting would take time from the products.
"""

from __future__ import annotations

from exprgrad.backend.target import Target
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Scalar

# The fewest sums side by side, and the fewest steps of each. Of a length known at run time
# alone the steps that are left over are written once more, for large tiles only.
TILE, LARGE = 16, 20
LONG = 32


def steps_of_round(node: Scalar, sums: int, target: Target | None) -> int:
    """The steps of the last axis of `node`, of which so many sums stand side by side."""
    extent = node.params[1][-1].extent
    large = sums >= (TILE if isinstance(extent, int) else LARGE) and typical(extent) >= LONG
    return target.steps if target is not None and large else 1
