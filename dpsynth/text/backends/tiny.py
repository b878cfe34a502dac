"""The embedded default: a small GPT-2 that this machine trains once from public text, and keeps.

    tiny          about 1.1 million parameters, minutes of one core
    tiny-quick    about 0.2 million, seconds: for tests

A model's folder is named after a digest of its recipe, of the versions of the packages whose text it learns, and of the
libraries that train it; so nothing stale is found. It is written beside its place and renamed, which is atomic, and its
fingerprint is checked whenever it is loaded.

>>> folder("tiny-quick").name.startswith("tiny-quick-")
True

Not guaranteed: text that anybody would want to read. It is technical babble; docs/concepts/text-backends.md says what
the model is good for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ModelError
from dpsynth.core.progress import Progress, silent
from dpsynth.sgd.torch_present import require_torch
from dpsynth.text.backends.embedded_text import PUBLIC, SMALL, documents, versions
from dpsynth.text.backends.pretraining import LIBRARIES, QUICK, TINY, Recipe, pretrain

if TYPE_CHECKING:
    from dpsynth.text.backends.hugging_face import HFBackend

RECIPES: dict[str, tuple[Recipe, tuple[str, ...]]] = {"tiny": (TINY, PUBLIC), "tiny-quick": (QUICK, SMALL)}


def cache_folder() -> Path:
    """Where models are kept: `$XDG_CACHE_HOME/dpsynth/models`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dpsynth" / "models"


def folder(name: str) -> Path:
    """Where the model of that name is or will be.

    Raises:
        ParameterError: the extra `text` is not installed.
    """
    require_torch()
    recipe, packages = RECIPES[name]
    made_of = {
        "recipe": asdict(recipe),
        "text": versions(packages),
        "libraries": {library: version(library) for library in LIBRARIES},
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{name}-{digest[:16]}"


def ensured(name: str, *, progress: Progress = silent) -> Path:
    """The model's folder; trained first if this machine has none.

    Args:
        name: of `RECIPES`.
        progress: receives steps and tokens per second.
    """
    place = folder(name)
    if place.is_dir():
        return place
    recipe, packages = RECIPES[name]
    train_into(place, documents(packages), recipe, progress=progress)
    return place


def train_into(place: Path, texts: Sequence[str], recipe: Recipe, *, progress: Progress = silent) -> None:
    """Train, and only then make the folder; nothing is left of a run that was stopped.

    Args:
        place: a folder that is not there yet.
        texts: public.
        recipe: of the model.
        progress: receives steps and tokens per second.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        pretrain(texts, recipe, beside, progress=progress)
        beside.chmod(0o755)
        _take_place(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def trained(place: Path) -> dict[str, Any]:
    """What training wrote about the model in a folder, and the folder.

    Raises:
        ModelError: it says nothing that can be read.
    """
    try:
        told: dict[str, Any] = json.loads((place / "pretraining.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise ModelError(
            f"The model in {place} lacks a readable pretraining.json.", "Delete the folder; it is trained again."
        ) from None
    return {"folder": str(place), **told}


def tiny(name: str = "tiny", *, device: str = "auto", progress: Progress = silent) -> HFBackend:
    """The model of that name.

    Raises:
        ModelError: its files are not what was written.
    """
    from dpsynth.text.backends.hugging_face import HFBackend

    place = ensured(name, progress=progress)
    model = HFBackend.load(place, device=device)
    if model.fingerprint != trained(place).get("fingerprint"):
        raise ModelError(
            f"The model in {place} is not the one that was written there.", "Delete the folder; it is trained again."
        )
    return model


def _take_place(beside: Path, place: Path) -> None:
    """Rename; another process that was sooner wins."""
    try:
        beside.rename(place)
    except OSError:
        if not place.is_dir():
            raise
