"""PyTorch is an extra: asked for before anything is spent, by name alone, so that nothing heavy is loaded to ask."""

from __future__ import annotations

from importlib.util import find_spec

from dpsynth.core.errors import ParameterError


def require_torch() -> None:
    """Return if PyTorch can be imported.

    Raises:
        ParameterError: it is not installed.
    """
    if find_spec("torch") is None:
        raise ParameterError(
            "Training a network needs PyTorch, which is not installed.", "Install it: pip install 'dpsynth[dpsgd]'."
        )
