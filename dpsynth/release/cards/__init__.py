"""Cards for other readers, derived from a verified bundle: Croissant, Hugging Face, plain JSON.

    derive(bundle, key, "croissant")   verify -> signed card, digests, Parquet schema -> bytes

None is a member of the bundle: the list of its files is closed, and a second card could contradict the signed one.
Whoever doubts a derived card derives it again and compares bytes: no clock, name of a machine or argument enters.

Not guaranteed: that a copy which you find somewhere was derived; only the bundle is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from dpsynth.core.errors import ParameterError
from dpsynth.release.cards.facts import CardFacts, read_facts

FORMATS: Final[Mapping[str, str]] = {
    "croissant": "dpsynth.release.cards.croissant:croissant",
    "huggingface": "dpsynth.release.cards.huggingface:huggingface",
    "json": "dpsynth.release.cards.plain:plain",
}


def derive(bundle: str | Path, key: str | Path | bytes, form: str) -> bytes:
    """A card in another form, of a bundle that verifies.

    Args:
        bundle: folder or `.zip`.
        key: the releaser's public key, as `verify` takes it.
        form: one of `FORMATS`.

    Raises:
        VerificationError: the bundle does not verify; nothing is derived from it.
        ParameterError: no such form.
    """
    return derive_with_facts(bundle, key, form)[0]


def derive_with_facts(bundle: str | Path, key: str | Path | bytes, form: str) -> tuple[bytes, CardFacts]:
    """`derive`, and what was verified on the way."""
    made = _form(form)
    facts = read_facts(bundle, key)
    return made(facts), facts


def _form(name: str) -> Callable[[CardFacts], bytes]:
    if name not in FORMATS:
        raise ParameterError(f"There is no card in the form {name!r}.", f"Choose one of {', '.join(FORMATS)}.")
    module, attribute = FORMATS[name].split(":")
    found: Callable[[CardFacts], bytes] = getattr(import_module(module), attribute)
    return found
