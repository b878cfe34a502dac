"""The limits that verdicts are measured against: policy, not science.

No regulator publishes a limit for an AUC or a true positive rate. The two tiers below are proposals to be argued with
and overridden in a policy file. Each limit names the share of people whose planted copies the endpoint must catch
before it may pass at all (`planted`): a test that would have missed that much has no say.

>>> DEFAULT_LIMITS["public"]["membership.nearest.auc"].value
0.55

Not guaranteed: that a release within the limits is anonymous in the sense of any law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from attacks.errors import AttackParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Largest tolerated effect, and the planted share of people that the endpoint must be able to catch."""

    value: float
    planted: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.value < 1.0:
            raise AttackParameterError(f"Expected a limit in [0, 1), got {self.value}.")
        if not 0.0 < self.planted <= 1.0:
            raise AttackParameterError(f"Expected a planted share in (0, 1], got {self.planted}.")


Limits = Mapping[str, Limit]

_PUBLIC = {
    "membership.verbatim.all": Limit(value=0.05, planted=0.20),
    "membership.verbatim.isolated": Limit(value=0.006, planted=0.20),
    "membership.verbatim.tail": Limit(value=0.05, planted=0.20),
    "membership.verbatim.rare": Limit(value=0.05, planted=0.20),
    "membership.verbatim.group": Limit(value=0.05, planted=0.20),
    "membership.nearest.auc": Limit(value=0.55, planted=0.35),
    "membership.nearest.tpr": Limit(value=0.015, planted=0.10),
    "membership.nearest.tail": Limit(value=0.10, planted=0.35),
    "membership.nearest.rare": Limit(value=0.10, planted=0.35),
    "membership.nearest.group": Limit(value=0.10, planted=0.35),
    "membership.subspace.auc": Limit(value=0.55, planted=0.35),
    "membership.subspace.tpr": Limit(value=0.015, planted=0.10),
    "membership.subspace.tail": Limit(value=0.10, planted=0.35),
    "membership.subspace.rare": Limit(value=0.10, planted=0.35),
    "membership.subspace.group": Limit(value=0.10, planted=0.35),
    "linkage.singling_out.all": Limit(value=0.02, planted=0.20),
    "linkage.singling_out.tail": Limit(value=0.05, planted=0.35),
    "linkage.record.all": Limit(value=0.02, planted=0.35),
    "linkage.record.tail": Limit(value=0.05, planted=0.35),
    "linkage.linkability.all": Limit(value=0.015, planted=0.10),
    "linkage.linkability.tail": Limit(value=0.10, planted=0.35),
    "linkage.linkability.rare": Limit(value=0.10, planted=0.35),
    "linkage.linkability.group": Limit(value=0.10, planted=0.35),
    "inference.attribute": Limit(value=0.05, planted=0.50),
    "inference.attribute.tail": Limit(value=0.10, planted=0.75),
    "inference.attribute.rare": Limit(value=0.10, planted=0.75),
    "inference.attribute.group": Limit(value=0.10, planted=0.75),
    "inference.attribute.scarce": Limit(value=0.10, planted=0.75),
    "inference.forest.all": Limit(value=0.05, planted=0.75),
    "inference.forest.group": Limit(value=0.10, planted=0.75),
    "inference.reconstruction": Limit(value=0.05, planted=0.75),
    "text.verbatim.gram8": Limit(value=0.05, planted=0.20),
    "text.verbatim.gram13": Limit(value=0.02, planted=0.20),
    "text.verbatim.run": Limit(value=0.015, planted=0.10),
    "text.near_duplicate": Limit(value=0.03, planted=0.20),
    "text.ngram.auc": Limit(value=0.55, planted=0.35),
    "text.ngram.tpr": Limit(value=0.015, planted=0.10),
    "text.ngram.tail": Limit(value=0.10, planted=0.35),
    "text.overlap.auc": Limit(value=0.55, planted=0.35),
    "text.overlap.tpr": Limit(value=0.015, planted=0.10),
    "text.embedding.auc": Limit(value=0.55, planted=0.35),
    "text.embedding.tpr": Limit(value=0.015, planted=0.20),
    "text.embedding.tail": Limit(value=0.10, planted=0.35),
    "text.identifiers": Limit(value=0.05, planted=0.35),
    "text.contamination": Limit(value=0.01, planted=1.00),
    "shadow.auc": Limit(value=0.60, planted=0.50),
    "shadow.tpr": Limit(value=0.10, planted=0.50),
    "likelihood.auc": Limit(value=0.55, planted=0.35),
    "likelihood.tpr": Limit(value=0.015, planted=0.10),
    "likelihood.tail": Limit(value=0.10, planted=0.35),
    "canary.auc": Limit(value=0.75, planted=1.00),
}
_RESTRICTED = {
    "membership.verbatim.all": Limit(value=0.10, planted=0.35),
    "membership.verbatim.isolated": Limit(value=0.012, planted=0.35),
    "membership.verbatim.tail": Limit(value=0.10, planted=0.35),
    "membership.verbatim.rare": Limit(value=0.10, planted=0.35),
    "membership.verbatim.group": Limit(value=0.10, planted=0.35),
    "membership.nearest.auc": Limit(value=0.60, planted=0.50),
    "membership.nearest.tpr": Limit(value=0.04, planted=0.20),
    "membership.nearest.tail": Limit(value=0.20, planted=0.50),
    "membership.nearest.rare": Limit(value=0.20, planted=0.50),
    "membership.nearest.group": Limit(value=0.20, planted=0.50),
    "membership.subspace.auc": Limit(value=0.60, planted=0.50),
    "membership.subspace.tpr": Limit(value=0.04, planted=0.20),
    "membership.subspace.tail": Limit(value=0.20, planted=0.50),
    "membership.subspace.rare": Limit(value=0.20, planted=0.50),
    "membership.subspace.group": Limit(value=0.20, planted=0.50),
    "linkage.singling_out.all": Limit(value=0.05, planted=0.35),
    "linkage.singling_out.tail": Limit(value=0.10, planted=0.50),
    "linkage.record.all": Limit(value=0.05, planted=0.50),
    "linkage.record.tail": Limit(value=0.09, planted=0.50),
    "linkage.linkability.all": Limit(value=0.04, planted=0.20),
    "linkage.linkability.tail": Limit(value=0.20, planted=0.50),
    "linkage.linkability.rare": Limit(value=0.20, planted=0.50),
    "linkage.linkability.group": Limit(value=0.20, planted=0.50),
    "inference.attribute": Limit(value=0.10, planted=0.75),
    "inference.attribute.tail": Limit(value=0.20, planted=0.75),
    "inference.attribute.rare": Limit(value=0.20, planted=0.75),
    "inference.attribute.group": Limit(value=0.20, planted=0.75),
    "inference.attribute.scarce": Limit(value=0.20, planted=0.75),
    "inference.forest.all": Limit(value=0.10, planted=0.75),
    "inference.forest.group": Limit(value=0.20, planted=0.75),
    "inference.reconstruction": Limit(value=0.10, planted=0.75),
    "text.verbatim.gram8": Limit(value=0.10, planted=0.35),
    "text.verbatim.gram13": Limit(value=0.04, planted=0.35),
    "text.verbatim.run": Limit(value=0.04, planted=0.20),
    "text.near_duplicate": Limit(value=0.06, planted=0.35),
    "text.ngram.auc": Limit(value=0.60, planted=0.50),
    "text.ngram.tpr": Limit(value=0.04, planted=0.20),
    "text.ngram.tail": Limit(value=0.20, planted=0.50),
    "text.overlap.auc": Limit(value=0.60, planted=0.50),
    "text.overlap.tpr": Limit(value=0.04, planted=0.20),
    "text.embedding.auc": Limit(value=0.60, planted=0.50),
    "text.embedding.tpr": Limit(value=0.04, planted=0.35),
    "text.embedding.tail": Limit(value=0.20, planted=0.50),
    "text.identifiers": Limit(value=0.10, planted=0.50),
    "text.contamination": Limit(value=0.05, planted=1.00),
    "shadow.auc": Limit(value=0.65, planted=0.75),
    "shadow.tpr": Limit(value=0.20, planted=0.75),
    "likelihood.auc": Limit(value=0.60, planted=0.50),
    "likelihood.tpr": Limit(value=0.04, planted=0.20),
    "likelihood.tail": Limit(value=0.20, planted=0.50),
    "canary.auc": Limit(value=0.80, planted=1.00),
}
DEFAULT_LIMITS: Mapping[str, Limits] = MappingProxyType(
    {"public": MappingProxyType(_PUBLIC), "restricted": MappingProxyType(_RESTRICTED)}
)


def resolve_limits(limits: str | Mapping[str, Limit | float] | None) -> Limits:
    """A tier's name or a mapping by limit id; a bare number keeps the default planted share of that id.

    Raises:
        AttackParameterError: the tier or an id is unknown, or a value is out of range.
    """
    if limits is None or isinstance(limits, str):
        tier = limits or "public"
        if tier not in DEFAULT_LIMITS:
            raise AttackParameterError(f"There is no tier {tier!r}.", f"Use one of {', '.join(DEFAULT_LIMITS)}.")
        return DEFAULT_LIMITS[tier]
    resolved = {}
    for key, value in limits.items():
        if key not in _PUBLIC:
            raise AttackParameterError(f"There is no limit called {key!r}.", f"Use one of {', '.join(_PUBLIC)}.")
        resolved[key] = value if isinstance(value, Limit) else Limit(value=float(value), planted=_PUBLIC[key].planted)
    return MappingProxyType(resolved)
