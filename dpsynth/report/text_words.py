"""What figures about texts are called and mean.

>>> text_metric_words("text_js2")
('Pairs of words', 'distance of shares of two-word sequences; 0 is identical, 1 is disjoint')
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NEAR: Final = "of points that stand for meaning"
_METRICS: Final[Mapping[str, tuple[str, str]]] = {
    "text_js1": ("Words", "distance of shares of words; 0 is identical, 1 is disjoint"),
    "text_js2": ("Pairs of words", "distance of shares of two-word sequences; 0 is identical, 1 is disjoint"),
    "text_js3": ("Triples of words", "distance of shares of three-word sequences"),
    "text_invented_words": ("Invented words", "share of words that no real text has"),
    "text_invented_pairs": ("Invented pairs of words", "share of two-word sequences that no real text has"),
    "text_self_bleu4": ("Alike among themselves", "self-BLEU: how much of a text stands in the others"),
    "text_distinct1": ("Different words", "share of words that are different, in texts of equal length"),
    "text_distinct2": ("Different pairs of words", "share of two-word sequences that are different"),
    "text_distinct3": ("Different triples of words", "share of three-word sequences that are different"),
    "text_repeated": ("Repeated texts", "share of texts that another one equals"),
    "text_length": ("Lengths", "distance of how many words texts have"),
    "text_precision": ("Precision", f"share of synthetic texts near a real one, {_NEAR}"),
    "text_recall": ("Recall", f"share of real texts near a synthetic one, {_NEAR}"),
    "text_density": ("Density", "how many real texts' surroundings hold a synthetic one; real is about 1"),
    "text_coverage": ("Coverage", "share of real texts whose surroundings hold a synthetic one"),
    "text_vendi": ("Effective number of kinds of texts", "Vendi score"),
    "text_spread": ("Distance to the nearest other text", "1 - cosine, mean"),
    "text_mauve": ("MAUVE", "how far the two clouds of texts agree; 1 is fully"),
    "text_group_worst": ("Worst group of texts", "largest loss of a group that real texts form"),
    "text_perplexity_gap": ("Fluency", "distance of perplexity under a public model"),
    "text_perplexity_high": ("Odd texts", "share beyond what real texts surprise a public model"),
    "text_perplexity_low": ("Trite texts", "share below what real texts surprise a public model"),
    "text_label_shares": ("Shares of topics", "distance of how many texts each topic has"),
    "text_labels_kept": ("Topics kept", "share of real topics that synthetic texts have"),
    "text_tstr_linear": ("Topic from text, linear model", "trained on synthetic texts, tested on real ones"),
    "text_tstr_bayes": ("Topic from text, naive Bayes", "trained on synthetic texts, tested on real ones"),
    "text_marks_redaction": ("Redaction marks", "distance of how many texts have them"),
    "text_marks_identifiers": ("Patterns of identifiers", "distance of how many texts have them"),
}


def text_metric_words(name: str) -> tuple[str, str] | None:
    """Title and meaning of a metric of texts; None if it is not known."""
    if name in _METRICS:
        return _METRICS[name]
    if name.endswith("_later"):
        same = text_metric_words(name.removesuffix("_later"))
        return None if same is None else (f"Later: {same[0]}", same[1])
    parts = name.split("_")
    if parts[:2] == ["text", "tail"] and len(parts) == 5:
        what = {"words": "Words", "pairs": "Pairs of words"}.get(parts[2], parts[2])
        return f"{what} of {parts[3]}\u2013{parts[4]} real texts, kept", "share of them that occur at all"
    return None
