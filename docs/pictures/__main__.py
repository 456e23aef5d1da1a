"""Draws every picture of the pages: python docs/pictures

Needs matplotlib and scikit-learn; each script that it runs draws those of one page.
"""

from __future__ import annotations

import runpy
from pathlib import Path

if __name__ == "__main__":
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name not in ("__main__.py", "tiles.py"):
            runpy.run_path(str(script), run_name="__main__")
