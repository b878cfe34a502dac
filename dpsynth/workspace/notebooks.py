"""In a notebook, what people meet is shown as rich cells; elsewhere nothing happens and nothing is imported."""

from __future__ import annotations

import sys


def draw_in_notebooks() -> None:
    """Give the objects of this package their cells, if a notebook is running."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        from dpsynth.report.cells import load_ipython_extension

        load_ipython_extension(shell)
