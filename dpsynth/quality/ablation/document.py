"""The ablation as a document: a section of the quality report, internal like all that is read from private rows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Mode = Literal["fixed", "extra"]
Test = Literal["holdout", "later"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MixScore(_Document):
    """One score of one learner trained on one mix; `gain` is against the same learner without synthetic rows.

    `p_value` is one-sided for a gain above 0; `p_adjusted` allows for all mixes and learners (Holm), and exists for the
    primary score. Intervals are 95 %, one at a time. None: the rows do not suffice to say.
    """

    test: Test
    learner: str
    mode: Mode
    share: float
    score: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_value: float | None
    p_adjusted: float | None


class Best(_Document):
    """The share with the best primary score, and all shares whose difference from it may be chance (5 %, each)."""

    test: Test
    learner: str
    mode: Mode
    share: float
    plausible: tuple[float, ...]


class Answer(_Document):
    """Does a mix beat real data alone? Yes if the smallest adjusted p-value is at most alpha."""

    test: Test
    beats_real: bool
    p_value: float | None
    learner: str | None
    mode: Mode | None
    share: float | None


class Ablation(_Document):
    """Scores over the synthetic share; see `dpsynth.quality.ablation.study`."""

    target: str
    task: Literal["classification", "regression"]
    primary: str
    learners: tuple[str, ...]
    shares: tuple[float, ...]
    splits: int
    alpha: float
    fixed_rows: int
    real_rows: int
    mixes: tuple[MixScore, ...]
    best: tuple[Best, ...]
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()
    confidentiality: Literal["internal"] = "internal"

    def answer(self, test: Test = "holdout") -> Answer:
        """The answer on one test table.

        Raises:
            KeyError: models were not scored on it.
        """
        for one in self.answers:
            if one.test == test:
                return one
        raise KeyError(test)

    def mix(
        self, learner: str, share: float, *, mode: Mode = "fixed", score: str | None = None, test: Test = "holdout"
    ) -> MixScore:
        """One figure; the primary score if none is named.

        Raises:
            KeyError: it was not measured.
        """
        wanted = (test, learner, mode, share, score or self.primary)
        for one in self.mixes:
            if (one.test, one.learner, one.mode, one.share, one.score) == wanted:
                return one
        raise KeyError(wanted)
