"""The pages as a site: sphinx-build docs docs/_build

The pictures are drawn first, which trains the networks that they show and takes some
minutes; `-D draw_pictures=0` takes them as they are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

project = "exprgrad"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "pictures"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"secondary_sidebar_items": ["page-toc"]}


def setup(app: Sphinx) -> None:
    app.add_config_value("draw_pictures", True, "html", bool)
    app.connect("builder-inited", draw)


def draw(app: Sphinx) -> None:
    """Every picture of the pages, by the scripts that stand beside them."""
    if app.config.draw_pictures:
        subprocess.run([sys.executable, str(Path(app.srcdir) / "pictures")], check=True)
