"""Do synthetic texts teach what real ones teach: train on them, test on real held-out texts (TSTR).

Words weighed by TF-IDF, fitted on the training side alone, and two learners that fail differently: logistic regression
and multinomial naive Bayes. The score is the mean recall over labels, so that a rare label counts as much as a common
one. Beside it: training on as many real texts (TRTR), on half as many real ones, and a guess.

Two figures need no learner: the distance between the shares of labels, and how many of the real labels occur.

>>> recall_of(["x y"] * 9 + ["z w"] * 9, ["a"] * 9 + ["b"] * 9, ["x", "z"], ["a", "b"], "linear").value
1.0

Not guaranteed: a generator that writes texts for a given label may keep the label and lose everything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.text.ngrams import Spread

Learner = Literal["linear", "bayes"]
LEARNERS: tuple[Learner, ...] = ("linear", "bayes")
MOST_WORDS = 50_000
WORD = r"(?u)\b\w+\b"
Labels = NDArray[np.object_]
_Z = 1.959963984540054


def recall_of(
    texts: Sequence[str],
    labels: Sequence[str] | Labels,
    tests: Sequence[str],
    truths: Sequence[str] | Labels,
    learner: Learner,
) -> Spread:
    """Mean over labels of `truths` of the share recalled, by a learner of (texts, labels); 0 where it learns none."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    wanted, told = np.asarray(truths, dtype=object), np.asarray(labels, dtype=object)
    words = TfidfVectorizer(sublinear_tf=True, max_features=MOST_WORDS, token_pattern=WORD)
    if len(set(told)) < 2:
        guessed = np.full(len(wanted), told[0] if len(told) else None, dtype=object)
    else:
        try:
            known = words.fit_transform(texts)
        except ValueError:  # no text holds a word
            guess = 1.0 / len(set(wanted))
            return Spread(value=guess, low=guess, high=guess)
        guessed = _fitted(learner, known, told).predict(words.transform(tests))
    return mean_recall([guessed[wanted == label] == label for label in sorted(set(wanted), key=str)])


def mean_recall(hits: Sequence[NDArray[np.bool_]]) -> Spread:
    """Mean of the shares, and its 95 % interval: normal, each label's variance from its own few or many texts.

    Two hits and two misses are added to each label, for the variance alone (Agresti and Coull 1998): a label of three
    texts varies, though all three are recalled.
    """
    value = float(np.mean([one.mean() for one in hits]))
    smoothed = np.array([(one.sum() + 2) / (one.size + 4) for one in hits])
    sizes = np.array([one.size for one in hits])
    half = _Z * float(np.sqrt((smoothed * (1 - smoothed) / sizes).sum())) / len(hits)
    return Spread(value=value, low=max(0.0, value - half), high=min(1.0, value + half))


def _fitted(learner: Learner, known: Any, labels: Labels) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    names = labels.astype(str)
    if learner == "bayes":
        return MultinomialNB(alpha=0.1, fit_prior=False).fit(known, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=10.0, max_iter=100, class_weight="balanced").fit(known, names)


def label_distance(left: Labels, right: Labels) -> float:
    """Total variation between the shares of labels."""
    kinds = sorted({str(label) for label in (*left, *right)})
    shares = [np.array([(side.astype(str) == kind).mean() for kind in kinds]) for side in (left, right)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def labels_kept(real: Labels, other: Labels) -> float:
    """Share of real labels that occur."""
    kinds = {str(label) for label in real}
    return len(kinds & {str(label) for label in other}) / len(kinds)
