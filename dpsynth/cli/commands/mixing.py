"""What `evaluate --ablation` and `--later` ask for, and how the answer reads in a terminal.

A learner is named by a word (`boosting`, `linear`) or as `module:attribute`, a scikit-learn estimator that a Python
module of the user's holds. Importing it runs that module: it is the user's own code on the user's own machine, named on
the command line and never by a bundle, a policy or a run file; and it is said.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal


def ablation_options(terminal: Terminal, learners: Sequence[str], task: str | None) -> dict[str, Any]:
    """Options of `dpsynth.quality.ablation.ablate`.

    Raises:
        ParameterError: no such learner or published range, or its module cannot be imported.
    """
    from dpsynth.quality.ablation.published import checked_task
    from dpsynth.quality.learners import named

    found = [_own(terminal, name) if ":" in name else name for name in learners]
    for one in found:
        named(one)  # before a row is read
    options: dict[str, Any] = {"task": checked_task(task)}
    return options | ({"learners": tuple(found)} if found else {})


def _own(terminal: Terminal, name: str) -> Any:
    module, _, attribute = name.partition(":")
    terminal.warn(f"Running your code: {attribute} of module {module}; it sees the real rows.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, so that a file in this folder is found
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(
            f"There is no {attribute!r} in a module {module!r} that can be imported from here.",
            "Name a scikit-learn estimator as module:attribute, module being a file of this folder or installed.",
        ) from error


def show_ablation(terminal: Terminal, found: Mapping[str, Any]) -> None:
    """The answer, the best shares, and the primary score of every mix."""
    for answer in found["answers"]:
        p = "unknown" if answer["p_value"] is None else f"{answer['p_value']:.2g}"
        said = "yes" if answer["beats_real"] else "no"
        where = "" if answer["share"] is None else f" ({answer['learner']}, {answer['mode']}, {answer['share']:.0%})"
        terminal.say(
            f"Do synthetic rows beat none at all, on the {answer['test']} rows? {said}{where}; p = {p}, adjusted for "
            "all mixes and learners."
        )
    for best in found["best"]:
        others = ", ".join(f"{share:.0%}" for share in best["plausible"])
        which = f"{best['learner']}, {best['mode']}, {best['test']}"
        terminal.say(f"Best share, {which}: {best['share']:.0%} (as good, for all that is known: {others})")
    for note in found["notes"]:
        terminal.say(note)
    rows = [m for m in found["mixes"] if m["score"] == found["primary"]]
    terminal.table(
        f"{found['primary']} over the share of synthetic rows (internal: computed from private rows)",
        ["test", "learner", "mode", ">share", ">score", ">gain", ">95 % low", ">high", ">p adjusted"],
        [
            [m["test"], m["learner"], m["mode"], f"{m['share']:.0%}",
             *("–" if m[key] is None else f"{m[key]:.4f}"
               for key in ("value", "gain", "gain_low", "gain_high", "p_adjusted"))]
            for m in rows
        ],
    )  # fmt: skip
