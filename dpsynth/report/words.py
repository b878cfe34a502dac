"""The words of the report: what a figure is called and means, and what no reader must believe.

Text only, no figures. Names of metrics, rules and endpoints that are not listed are shown as they are
written.

>>> metric_words("tvd2_mean").title
'Pairs of columns, mean'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dpsynth.report.text_words import text_metric_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What something is called and what it means."""

    title: str
    meaning: str = ""


def _spaced(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() if name.isidentifier() else name


_METRICS: Final[Mapping[str, Words]] = {
    "tvd1_mean": Words(title="Single columns, mean", meaning="distance of shares; 0 is identical, 1 is disjoint"),
    "tvd1_max": Words(title="Single columns, worst", meaning="distance in the column that fits worst"),
    "tvd2_mean": Words(title="Pairs of columns, mean", meaning="distance of shares of all two-column tables"),
    "tvd2_max": Words(title="Pairs of columns, worst", meaning="distance in the pair that fits worst"),
    "tvd2_excess": Words(
        title="Pairs of columns, worst excess", meaning="distance beyond what real rows show in the same pair"
    ),
    "missing_gap_max": Words(title="Missing values, worst", meaning="largest difference in a column's missing rate"),
    "invented_mass": Words(
        title="Invented combinations", meaning="share of rows in pairs of values that no real row has"
    ),
    "tvd3_mean": Words(title="Triples of columns, mean", meaning="distance of shares of three-column tables"),
    "tvd3_max": Words(title="Triples of columns, worst", meaning="distance in the triple that fits worst"),
    "missing_patterns": Words(title="Patterns of missing cells", meaning="distance between which cells miss together"),
    "association_mean": Words(
        title="Associations, mean error", meaning="of Pearson's r, correlation ratio, Cramer's V"
    ),
    "association_max": Words(
        title="Associations, worst error", meaning="in the pair whose association is furthest off"
    ),
    "conditional_mean": Words(title="Given a value, mean", meaning="distance of other columns among rows with a value"),
    "conditional_max": Words(
        title="Given a value, worst", meaning="distance in the worst column, given the worst value"
    ),
    "conditional_excess": Words(
        title="Given a value, worst excess", meaning="beyond what real rows show, times the root of the rows"
    ),
    "lost_mass_max": Words(
        title="Lost values, worst", meaning="share of real rows whose value does not occur any more"
    ),
    "invented1_mass": Words(title="Invented values", meaning="share of cells with a value that no real row has"),
    "invented3_mass": Words(title="Invented triples", meaning="share of rows in triples that no real row has"),
    "group_share_excess": Words(title="Sizes of small groups", meaning="error in its standard errors; 1 is chance"),
    "group_tvd_mean": Words(title="Within small groups, mean", meaning="distance of the other columns"),
    "group_tvd_max": Words(title="Within small groups, worst", meaning="distance of the other columns"),
    "group_target_excess": Words(
        title="Target within small groups",
        meaning="worst distance beyond what real rows show, times the root of the rows",
    ),
    "quantile_error_mean": Words(title="Extreme quantiles, mean error", meaning="in interquartile ranges"),
    "quantile_error_max": Words(title="Extreme quantiles, worst error", meaning="in interquartile ranges"),
    "beyond_quantile": Words(title="Beyond extreme quantiles", meaning="relative error of the share of rows there"),
    "extreme_share_excess": Words(
        title="Sizes of tails", meaning="error of the share of rows in them, in its standard errors; 1 is chance"
    ),
    "precision": Words(title="Precision", meaning="share of synthetic rows near a real one"),
    "recall": Words(title="Recall", meaning="share of real rows near a synthetic one"),
    "density": Words(title="Density", meaning="how many real rows' surroundings hold a synthetic row; real is about 1"),
    "coverage": Words(title="Coverage", meaning="share of real rows whose surroundings hold a synthetic one"),
    "vendi": Words(title="Effective number of kinds of rows", meaning="Vendi score"),
    "nearest_spread": Words(title="Distance to the nearest other row", meaning="1 - cosine, mean"),
    "repeated_rows": Words(title="Repeated rows", meaning="share of rows that another row equals"),
    "detection_auc": Words(title="Detection", meaning="ROC AUC of a model that tells real from synthetic; 0.5 cannot"),
    "rows_per_person_tvd": Words(title="Rows per person", meaning="distance of shares of people with 1, 2, 3, … rows"),
    "rows_per_person_mean_error": Words(title="Rows per person, mean", meaning="relative error of the mean"),
    "transition_tvd_mean": Words(
        title="Transitions, mean", meaning="distance of tables of a cell and the same person's next one"
    ),
    "transition_tvd_max": Words(title="Transitions, worst", meaning="in the column that fits worst"),
    "constant_kept": Words(title="Constant columns kept", meaning="share of people in whom none of them changes"),
    "constraint_violations": Words(
        title="Rows that break a constraint",
        meaning="share of rows; none of a sample, by design",
    ),
    "tstr": Words(title="Prediction", meaning="model trained on synthetic rows, tested on real ones"),
    "tstr_auc": Words(title="Prediction, ROC AUC", meaning="model trained on synthetic rows, tested on real ones"),
    "tstr_average_precision": Words(title="Prediction, average precision", meaning="of the rarer class, on real rows"),
    "tstr_accuracy": Words(title="Prediction, accuracy", meaning="on real rows"),
    "tstr_r2": Words(title="Prediction, R\u00b2", meaning="share of variance explained on real rows"),
    "tstr_mean_absolute_error": Words(
        title="Prediction, mean absolute error", meaning="on real rows, in the target's unit"
    ),
}


QUALITY_SOLD: Final = {
    "columns": "Columns: mean distance of fitted from released rows",
    "pairs": "Pairs: mean distance of fitted from released rows",
    "unseen": "Values that the release never shows, mean share of fitted rows",
}
_CELLS: Final = {"tail": "Combinations", "tail1": "Values", "tail3": "Triples"}


def metric_words(name: str) -> Words:
    """Words for a metric of the quality report."""
    if name in _METRICS:
        return _METRICS[name]
    if (of_text := text_metric_words(name)) is not None:
        return Words(title=of_text[0], meaning=of_text[1])
    if name.startswith("tstr_") and name.endswith("_gap"):
        return Words(
            title=f"{metric_words(name.removesuffix('_gap')).title}: loss",
            meaning="what training on synthetic instead of real rows costs",
        )
    if name.startswith("later_"):
        same = metric_words(name.removeprefix("later_"))
        return Words(title=f"Later: {same.title}", meaning=same.meaning)
    parts = name.split("_")
    if parts[0] in _CELLS and len(parts) == 4:
        what = {
            "kept": ("kept", "share of such combinations that occur at all"),
            "overlap": ("in place", "share of their mass that is in the right place"),
        }.get(parts[1], (parts[1], ""))
        return Words(title=f"{_CELLS[parts[0]]} of {parts[2]}\u2013{parts[3]} rows, {what[0]}", meaning=what[1])
    return Words(title=_spaced(name))


_ATTACKS: Final[Mapping[str, Words]] = {
    "verbatim": Words(
        title="Membership by exact copies", meaning="Are members' rows repeated more often than others'?"
    ),
    "nearest_neighbour": Words(
        title="Membership by nearness",
        meaning="Do members lie nearer to the release than people who were not in the data?",
    ),
    "subspace": Words(
        title="Membership by half a record",
        meaning="Do members lie nearer to the release in some of the columns than people who were not in the data?",
    ),
    "text_verbatim": Words(
        title="Wordings repeated",
        meaning="Does the release repeat stretches of members' texts more often than of others'?",
    ),
    "text_near_duplicate": Words(
        title="Edited copies of texts", meaning="Is a text of the release an edited text of a member?"
    ),
    "text_ngram": Words(
        title="Membership by word pairs",
        meaning="Would a model of the release rather have written members' texts than others'?",
    ),
    "text_overlap": Words(
        title="Membership by shared phrases",
        meaning="Does the release hold phrases of members that the population lacks?",
    ),
    "text_embedding": Words(
        title="Membership by meaning",
        meaning="Are members' texts nearer in meaning to the release than others' are?",
    ),
    "text_identifiers": Words(
        title="Identifiers replayed",
        meaning="Does the release hold card numbers, accounts, addresses or phones of members?",
    ),
    "contamination": Words(
        title="Benchmark items", meaning="Does the release hold items that a model will be tested on?"
    ),
    "attribute_inference": Words(
        title="Attribute inference",
        meaning="Does the release betray a member's secret beyond what it says of everybody?",
    ),
    "attribute_forest": Words(
        title="Attribute inference by trees",
        meaning="Do a few columns of a member betray the secret beyond what they say of everybody?",
    ),
    "reconstruction": Words(
        title="Reconstruction from counts",
        meaning="Do the release's tables of counts determine members' secrets beyond what they say of everybody?",
    ),
    "canary": Words(
        title="Canary audit", meaning="Can planted random rows be told from random rows that were left out?"
    ),
    "linkability": Words(title="Linkability", meaning="Can two halves of a record be joined through the release?"),
    "singling_out": Words(title="Singling out", meaning="Does the release describe exactly one person?"),
    "record_linkage": Words(
        title="Record linkage", meaning="Do a member's quasi-identifiers lead to that member's own row in the release?"
    ),
}


def attack_words(name: str) -> Words:
    """Words for an attack; `attribute_inference[income]` and the like keep the column."""
    if name in _ATTACKS:
        return _ATTACKS[name]
    base = re.split(r"[^a-z_]", name, maxsplit=1)[0]
    if base in _ATTACKS and base != name:
        column = name[len(base) :].strip(" :[]()/.")
        return Words(title=f"{_ATTACKS[base].title}: {column}", meaning=_ATTACKS[base].meaning)
    return Words(title=_spaced(name))


_STRATA: Final[Mapping[str, str]] = {
    "all": "all records",
    "tail": "most isolated tenth",
    "rare": "tenth with the rarest combinations",
    "group": "tenth in the smallest groups",
    "canaries": "canaries",
}


def stratum_words(name: str) -> str:
    """Who is attacked."""
    return _STRATA.get(name, name)


_ENDPOINTS: Final[Mapping[str, str]] = {
    "auc": "ROC AUC; 0.5 is chance",
    "tpr_excess": "members found beyond chance",
    "match_excess": "copies of members beyond those of others",
    "success_gap": "right guesses beyond those for others",
    "link_excess": "members' halves joined beyond chance",
    "singled_excess": "members described alone beyond others, of all descriptions",
    "at_risk_excess": "members linked to their own row beyond others",
}


def endpoint_words(name: str) -> str:
    """What an attack's value is: `tpr_excess@fpr=0.01` is "members found beyond chance, at 1 % false alarms"."""
    base, _, among = name.partition("@")
    label = _ENDPOINTS.get(base, base.replace("_", " "))
    if among == "scarce":
        return f"{label}, where the secret is scarce"
    if base == "at_risk_excess":
        return f"{label}, at a risk above {among}"
    rate = among.removeprefix("fpr=")
    try:
        return f"{label}, at {100 * float(rate):.3g} % false alarms" if rate else label
    except ValueError:
        return f"{label} ({rate})"


_RULES: Final[Mapping[str, str]] = {
    "evidence_complete": "All evidence is there",
    "documents_bound": "The reports belong to this draft",
    "policy_reserved": "The policy is the one in force when the budget was reserved",
    "guarantee_recorded": "The guarantee is the one in the ledger",
    "relation_and_unit": "Relation and unit are accepted",
    "noise_exact": "The noise is exact and from the operating system",
    "epsilon_per_release": "Epsilon of this release",
    "epsilon_total": "Epsilon of all releases of this data",
    "published_figures": "Published counts show no copies beyond the limit",
    "delta": "Delta",
    "attempts": "Number of attempts",
    "attacks_required": "All required attacks have run",
    "attack_verdicts": "No attack failed",
    "attack_limits": "Upper bounds of all attacks within limits",
    "attack_level": "Confidence level allows for the attempts",
    "attack_controls": "The attacks would have caught a leak",
    "empirical_epsilon": "Canaries do not contradict epsilon",
    "canary_share": "Few canaries",
    "quality": "The rows are of use",
    "tails": "Rare combinations are of use",
}


def rule_words(name: str) -> str:
    """What a rule of the gate asks."""
    return _RULES.get(name, _spaced(name))


VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {  # word, tone, sentence
    "ship": ("Ship", "good", "Every rule of the policy holds. The rows may leave under this policy."),
    "regenerate": (
        "Regenerate",
        "warn",
        "The rows must not leave. A new draft may pass; it is charged again.",
    ),
    "reject": ("Reject", "bad", "The rows must not leave. The draft shows a leak or breaks the policy."),
    "undecided": ("Not decided", "bad", "The gate has not decided. The rows must not leave."),
}

EVENTS: Final[Mapping[str, str]] = {
    "gaussian": "Gaussian noise",
    "discrete_gaussian": "Discrete Gaussian noise",
    "laplace": "Laplace noise",
    "discrete_laplace": "Discrete Laplace noise",
    "exponential": "Exponential mechanism",
    "pure_dp": "Pure differential privacy",
    "partition_selection": "Selection of categories",
    "poisson_sampled": "Poisson-sampled step",
    "sparse_vector": "Sparse vector (noisy threshold)",
    "prediction_tokens": "Tokens of private prediction",
    "zcdp_filter": "Steps chosen on the way, within a zCDP bound",
}


_POPULATION = Words(
    title="What is true of everybody",
    meaning="If the data show that smokers fall ill more often, that is learned about every smoker, "
    "whether in the data or not.",
)
_DECLARED = Words(
    title="What was declared public",
    meaning="Column names, types and every value or bound that the schema declares count as known to all.",
)
_ELSEWHERE = Words(
    title="Other releases about the same people",
    meaning="They add up. The ledger knows only those that were charged to it.",
)
_OPERATOR = Words(
    title="The operator",
    meaning="Whoever holds the raw data, the keys and this account can bypass the gate, but cannot make "
    "a bundle that verifies against a ledger kept elsewhere.",
)
_INTERNAL = Words(
    title="The figures on this page",
    meaning="They are exact functions of private rows, without noise. Publishing them voids the guarantee.",
)
_CLASSES = Words(
    title="Verdicts and classes on this page",
    meaning="Pass, fail and coarse classes come from private rows without noise and are outside of epsilon.",
)
_CANARIES = Words(title="Planted rows", meaning="A few random canary rows were trained on; they are nobody's data.")


def limits(unit: object, *, edition: str, canaries: bool) -> tuple[Words, ...]:
    """What the guarantee and this page do not cover, for this unit.

    Args:
        unit: the unit's JSON form: "record" or an object with kind, column, max_records.
        edition: "internal" or "public".
        canaries: whether random rows were planted.
    """
    if isinstance(unit, Mapping):
        bound = f"one value of \u201c{unit.get('column')}\u201d with at most {unit.get('max_records')} rows"
        title, group = "Groups larger than the unit", "A family or firm of k such units has"
    else:
        bound = "one row"
        title, group = "Groups larger than one row", "A person with k rows, or a household of k rows, has"
    unit_words = Words(title=title, meaning=f"The guarantee is for {bound}. {group} k times the epsilon.")
    page = _INTERNAL if edition == "internal" else _CLASSES
    listed = (unit_words, _POPULATION, _DECLARED, _ELSEWHERE, page, _OPERATOR)
    return (*listed, _CANARIES) if canaries else listed


UNTESTED: Final[tuple[Words, ...]] = (
    Words(title="Singling out", meaning="no attack of its own was run"),
    Words(title="Linkability", meaning="no attack of its own was run"),
    Words(title="Attribute inference", meaning="no attack was run"),
    Words(title="Membership", meaning="no attack was run"),
    Words(title="Canary audit", meaning="no canaries were planted, or the audit was not run"),
)
_CRITERIA: Final[Mapping[str, str]] = {  # beginning of a limit's id -> what it tests; the first that fits counts
    "linkage.singling_out": "Singling out",
    "linkage": "Linkability",
    "inference": "Attribute inference",
    "membership": "Membership",
    "canary": "Canary audit",
    "text.identifiers": "Identifiers",
    "text.contamination": "Contamination",
    "text": "Membership",
}


def criterion(limit_id: str) -> str:
    """What a limit tests, by its id; "Other" for an id of somebody else's."""
    words = limit_id.split(".")
    return next(
        (title for start, title in _CRITERIA.items() if words[: start.count(".") + 1] == start.split(".")), "Other"
    )
