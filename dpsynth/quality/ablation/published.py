"""Published ranges of the synthetic share by task; they advise, the measured share decides.

Ranges are those that surveys and model reports of 2023 to 2026 give for training language models; for tables there is
none that deserves the name, so none is here. They are not laws: what a share does depends on how good the synthetic
rows are, which is what the ablation measures.

>>> advise("open_text", 0.25)
'The measured best share, 25 %, is within the published range for open text (10 to 25 %).'
>>> advise("code", 0.0)
'The measured best share, 0 %, is outside the published range for code (50 to 80 %); the measured share wins.'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dpsynth.core.errors import ParameterError

PUBLISHED: Final[Mapping[str, tuple[float, float]]] = {
    "code": (0.5, 0.8),
    "mathematics": (0.5, 0.8),
    "domain_adaptation": (0.2, 0.5),
    "instruction_tuning": (0.1, 0.3),
    "open_text": (0.1, 0.25),
}


def checked_task(task: str | None) -> str | None:
    """The task, if it is known.

    Raises:
        ParameterError: no published range for it.
    """
    if task is not None and task not in PUBLISHED:
        raise ParameterError(f"No published range for the task {task!r}.", f"Known: {', '.join(PUBLISHED)}.")
    return task


def outside(task: str, share: float) -> bool:
    """Whether a share is outside the published range of a task."""
    low, high = PUBLISHED[task]
    return not low <= share <= high


def advise(task: str, share: float) -> str:
    """A sentence about the measured share and the published range.

    Raises:
        ParameterError: no published range for the task.
    """
    checked_task(task)
    low, high = PUBLISHED[task]
    said = f"the published range for {task.replace('_', ' ')} ({100 * low:.0f} to {100 * high:.0f} %)"
    measured = f"The measured best share, {100 * share:.0f} %,"
    if outside(task, share):
        return f"{measured} is outside {said}; the measured share wins."
    return f"{measured} is within {said}."
