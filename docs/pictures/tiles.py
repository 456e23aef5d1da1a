"""Small grey pictures side by side, as one figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent


def tiled(rows: Any, columns: int, side: int = 8) -> Any:
    """Rows of side² numbers as tiles with a gap of one: `columns` tiles a line."""
    lines = -(-len(rows) // columns)
    canvas = np.full((lines * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    for n, row in enumerate(rows):
        top, left = n // columns * (side + 1), n % columns * (side + 1)
        canvas[top : top + side, left : left + side] = row.reshape(side, side)
    return canvas


def show(axes: Any, title: str, rows: Any, columns: int, **kind: Any) -> None:
    """Draw tiles; `kind` are arguments of matplotlib's imshow."""
    axes.imshow(tiled(rows, columns), interpolation="nearest", **{"cmap": "Greys", **kind})
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def require_titles_inside(figure: Figure) -> None:
    """Raise `ValueError` for a title that the edge of the picture cuts off."""
    for axes in figure.axes:
        box = axes.title.get_window_extent()
        if box.x0 < 0 or box.x1 > figure.bbox.width:
            raise ValueError(f"{axes.get_title()!r} is cut off: it is too wide")


def save(figure: Figure, name: str) -> None:
    """Write the picture beside this file and say how large it is."""
    path = FOLDER / name
    if path.suffix == ".svg":
        figure.savefig(path, metadata={"Date": None})
        path.write_text(re.sub(r"(\.\d\d)\d+", r"\1", path.read_text()))  # half the size
    else:
        figure.savefig(path, dpi=110)
    require_titles_inside(figure)
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")
