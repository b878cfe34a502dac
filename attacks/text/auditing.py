"""The text suite on anybody's synthetic texts: three sets of texts in, one report out.

The report, its controls, its corrections and its three verdicts are those of the attacks on tables; only what is
scored differs. Each attack is one file of this folder and one line in `TEXT_ATTACKS`. Identifiers are asked by kind;
benchmark items and canaries only if they are given.

>>> words = [f"{a} {b} {c} {d}" for a in "abcde" for b in "fghij" for c in "klmno" for d in "pqrst"]
>>> real, holdout = words[::2], words[1::2]
>>> audit_text(real, real, holdout).verdict      # a release of the training texts
'fail'

Not guaranteed: `real` must be the texts that were trained on and `holdout` texts that were not, split off at random
before training.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attacks.controls import negative_scores, positive_controls
from attacks.errors import AttackInputError, AttackParameterError
from attacks.evidence import look, measure
from attacks.inputs import check_units
from attacks.limits import Limit, Limits, resolve_limits
from attacks.protocol import Endpoint, Roles
from attacks.report import AttackReport, NotApplicable
from attacks.rows import Asked, compose
from attacks.targets import one_row_a_unit
from attacks.text.canaries import TextCanaries, attack_text_canaries
from attacks.text.contamination import LIMIT_ID as CONTAMINATION
from attacks.text.contamination import attack_contamination
from attacks.text.embedding import Embedding
from attacks.text.identifiers import KINDS
from attacks.text.population import TextPopulation, prepare_texts
from attacks.text.reading import Source, texts_of, units_of
from attacks.text.replay import LIMIT_ID as IDENTIFIERS
from attacks.text.replay import attack_identifiers
from attacks.text.view import TextAttack
from attacks.verdict import FAMILY_ALPHA, Measurement

TRIALS = 10
MAX_TARGETS = 10_000
Progress = Callable[[str, int, int, str], None]

TEXT_ATTACKS: Mapping[str, str] = MappingProxyType(
    {
        "text_verbatim": "attacks.text.verbatim:TextVerbatim",
        "text_near_duplicate": "attacks.text.near_duplicate:NearDuplicate",
        "text_ngram": "attacks.text.ngram_membership:NgramMembership",
        "text_overlap": "attacks.text.overlap:CalibratedOverlap",
        "text_embedding": "attacks.text.embedding_membership:EmbeddingMembership",
    }
)


def silent(name: str, done: int, total: int, detail: str) -> None:
    """Progress that says nothing."""


def audit_text(
    real: Source,
    synthetic: Source,
    holdout: Source,
    *,
    column: str | None = None,
    unit: str | None = None,
    benchmarks: Sequence[str] | None = None,
    canaries: TextCanaries | None = None,
    attacks: Sequence[TextAttack] | None = None,
    embedding: Embedding | None = None,
    limits: str | Mapping[str, Limit | float] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> AttackReport:
    """Attacks synthetic texts.

    Args:
        real: texts that the synthesizer was trained on (without canaries): a list, a Series, or a table.
        synthetic: its output.
        holdout: real texts that it never saw.
        column: the text column, if tables are passed.
        unit: column of `real` and `holdout` that says whose text it is, if one person has several.
        benchmarks: items that the release must not hold.
        canaries: if some were planted before training.
        attacks: other attacks than those of `TEXT_ATTACKS`; identifiers are then not asked.
        embedding: sentence encoder for membership by meaning; default one fitted on the release alone.
        limits: tier `public` (default) or `restricted`, or limits by id.
        seed: of folds, plantings and paraphrases.
        progress: receives (name, done, total, detail); never a private figure.

    Raises:
        AttackInputError: something else than texts, none of them, or a holdout that overlaps training.
        AttackParameterError: unknown tier or limit.
    """
    bars = resolve_limits(limits)
    asked = list(attacks) if attacks is not None else _built(embedding)
    members, nonmembers = _people(real, holdout, column, unit, _rng(seed, "units"))
    release = texts_of("synthetic", synthetic, column if hasattr(synthetic, "columns") else None)
    items = None if benchmarks is None else texts_of("benchmark", benchmarks)
    endpoints = {attack: tuple(attack.endpoints(Roles())) for attack in asked}
    named = [e.limit_id for found in endpoints.values() for e in found]
    named += [IDENTIFIERS] * len(KINDS) if attacks is None else []
    named += [CONTAMINATION] * (items is not None) + ["canary.auc"] * (canaries is not None)
    for limit_id in named:
        if limit_id not in bars:
            raise AttackParameterError(f"No limit is given for {limit_id!r}.", "Add it to the limits.")
    family = len(named)
    progress("attacks", 0, len(asked) + 1, "preparing")
    people = prepare_texts(
        release=release, members=members, nonmembers=nonmembers, seed=seed, rng=_rng(seed, "population")
    )
    if not len(people.release.words) or not len(people.members.words) or not len(people.nonmembers.words):
        raise AttackInputError("One of the three sets of texts has no word at all.", "Pass texts with words.")
    rows: list[Asked] = []
    for at, attack in enumerate(asked):
        rows += _attack(attack, endpoints[attack], people, bars, family, seed, progress)
        progress("attacks", at + 1, len(asked) + 1, attack.name)
    absent: list[NotApplicable] = []
    if attacks is None:
        replayed, absent = attack_identifiers(
            release,
            members,
            nonmembers,
            limit=bars[IDENTIFIERS],
            family=family,
            trials=TRIALS,
            rng=_rng(seed, "identifiers"),
        )
        rows += replayed
    if items is not None:
        rows.append(
            attack_contamination(items, people.release, limit=bars[CONTAMINATION], rng=_rng(seed, "contamination"))[0]
        )
    elif attacks is None:
        absent.append(NotApplicable(name="contamination", reason="No benchmark items were given."))
    trace = None
    if canaries is None:
        absent.append(NotApplicable(name="canary", reason="No canaries were planted before training."))
    else:
        trace = attack_text_canaries(
            canaries, people.release, limit=bars["canary.auc"], family=family, trials=TRIALS, rng=_rng(seed, "canary")
        )
    progress("attacks", len(asked) + 1, len(asked) + 1, "decided")
    return compose("text", seed, rows, trace, absent, family=family)


def _built(embedding: Embedding | None = None) -> list[TextAttack]:
    found = []
    for name, path in TEXT_ATTACKS.items():
        module, _, attribute = path.partition(":")
        factory: Any = getattr(import_module(module), attribute)
        found.append(factory(embedding=embedding) if name == "text_embedding" else factory())
    return found


def _people(
    real: Source, holdout: Source, column: str | None, unit: str | None, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Training and holdout texts, one random text of each person if there is a unit column."""
    sides = {"real": real, "holdout": holdout}
    if unit is None:
        members, nonmembers = (texts_of(name, side, column) for name, side in sides.items())
        return members, nonmembers
    import pandas as pd

    units = {name: pd.Series(units_of(name, side, column, unit), name=unit) for name, side in sides.items()}
    check_units(units["real"], units["holdout"])
    chosen: list[list[str]] = []
    for name, side in sides.items():
        texts = texts_of(name, side, column)
        codes: NDArray[np.intp] = pd.factorize(units[name])[0]
        chosen.append([texts[i] for i in one_row_a_unit(codes, rng)])
    return chosen[0], chosen[1]


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _attack(
    attack: TextAttack,
    asked: Sequence[Endpoint],
    people: TextPopulation,
    bars: Limits,
    family: int,
    seed: int,
    progress: Progress,
) -> list[Asked]:
    """Scores, controls and effects of one attack."""
    start, rng = time.perf_counter(), _rng(seed, attack.name)
    cohorts = people.cohorts(min(attack.max_targets or MAX_TARGETS, MAX_TARGETS), rng)
    generic: Any = attack  # evidence and controls read of a view what rows and texts have in common
    scores = [look(generic, c, c.view, [e.score for e in asked], rng) for c in cohorts]
    effects = {e: measure(e, cohorts, scores) for e in asked}
    measured = all(len(c.view.reference) and len(f.unseen) for c, f in zip(cohorts, people.folds, strict=True))
    controls = negative_scores(generic, asked, cohorts, rng) if measured else []
    positive = {}
    if measured:
        positive = positive_controls(
            generic,
            [e for e in asked if effects[e] is not None],
            cohorts,
            people.candidates,  # type: ignore[arg-type]  # texts have what controls use of rows: take and len
            fails=lambda e, effect: effect.lower(FAMILY_ALPHA / family) > bars[e.limit_id].value,
            smallest={e: e.share_to_reach(bars[e.limit_id].value) for e in asked},
            trials=TRIALS,
            rng=rng,
            progress=lambda done, total: progress(attack.name, done, total, "planted leaks"),
        )
    seconds = (time.perf_counter() - start) / max(len(asked), 1)
    rows = []
    for e in asked:
        counts = [c.counts(e.stratum) for c in cohorts]
        measurement = Measurement(
            endpoint=e,
            limit=bars[e.limit_id],
            members=sum(m for m, _ in counts),
            nonmembers=sum(n for _, n in counts),
            effect=effects[e] if measured else None,
            control=measure(e, cohorts, controls) if measured else None,
            positive=positive.get(e),
            drift=people.drift(),
        )
        rows.append(Asked(attack=attack, measurement=measurement, seconds=seconds))
    return rows
