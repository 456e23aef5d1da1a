"""Draws every picture of the pages: python docs/pictures

Needs matplotlib and scikit-learn; each script draws those of one page, in a process of
its own, so that none changes another's random numbers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name not in ("__main__.py", "tiles.py"):
            subprocess.run([sys.executable, str(script)], check=True)
