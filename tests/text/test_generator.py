"""A text and the columns beside it: one plan, one price, one model; and what is refused before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from accounting.crosscheck import price
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ModelError, ParameterError, SchemaError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.model import Schema
from dpsynth.text import TextGenerator
from tests.text.word_counts import WORDS, WordCounts

UNIT = PrivacyUnit()


def _table(rows: int = 600) -> Table:
    rng = np.random.default_rng(3)
    kind = rng.choice(["fees", "calls"], size=rows, p=[0.7, 0.3])
    topical = {"fees": WORDS[:8], "calls": WORDS[8:16]}
    notes = [" ".join(rng.choice(topical[k], size=6)) for k in kind]
    return Table.from_arrow(pa.table({"kind": kind, "age": rng.integers(18, 90, size=rows), "note": notes}))


MIXED = Schema.from_dict(
    {
        "columns": {
            "kind": {"kind": "categorical", "values": ["fees", "calls"], "role": "target"},
            "age": {"kind": "integer", "min": 18, "max": 90},
            "note": {"kind": "text"},
        }
    }
)
ALONE = Schema.from_dict({"columns": {"note": {"kind": "text"}}})


def _fit(schema: Schema, generator: TextGenerator, epsilon: str = "4", canaries: int = 0):
    plan = generator.plan(schema, UNIT, epsilon=epsilon, delta="1e-6")
    table = _table().select(list(schema.columns))
    return plan, fit_model(table, schema, generator, plan, noise=ReplayedNoise(bytes(32)), canaries=canaries)


@pytest.mark.parametrize("schema", [MIXED, ALONE], ids=["mixed", "alone"])
def test_the_joint_price_meets_the_target_and_what_is_spent_is_what_was_planned(schema: Schema) -> None:
    plan, fitted = _fit(schema, TextGenerator(writer=WordCounts()))
    assert Decimal("3.996") <= plan.guarantee.epsilon <= 4
    assert price(plan.tree, Decimal("1e-6")).epsilon == plan.guarantee.epsilon
    assert fitted.model.events == plan.tree


def test_the_plan_is_a_function_of_public_facts() -> None:
    plans = [TextGenerator(writer=WordCounts()).plan(MIXED, UNIT, epsilon="1", delta="1e-6") for _ in range(2)]
    assert plans[0] == plans[1]


def test_texts_are_about_their_row_and_shares_are_the_released_ones() -> None:
    _, fitted = _fit(MIXED, TextGenerator(writer=WordCounts()), epsilon="20")
    rows = fitted.model.sample(2000, np.random.default_rng(1))
    assert rows.column_names == ["kind", "age", "note"]
    assert abs(np.mean([k == "fees" for k in rows.column("kind").to_pylist()]) - 0.7) < 0.08
    for kind, words in (("fees", WORDS[:8]), ("calls", WORDS[8:16])):
        texts = [
            n
            for k, n in zip(rows.column("kind").to_pylist(), rows.column("note").to_pylist(), strict=True)
            if k == kind
        ]
        own = np.mean([word in words for text in texts for word in text.split()])
        assert own > 0.8, kind


def test_a_topic_may_be_named_and_must_be_a_category_beside_the_text() -> None:
    with pytest.raises(SchemaError, match="'age' is a integer column"):
        TextGenerator(writer=WordCounts(), topic=("age",)).plan(MIXED, UNIT, epsilon=1, delta="1e-6")
    with pytest.raises(SchemaError, match="'note' is not a modelled column"):
        TextGenerator(writer=WordCounts(), topic=("note",)).plan(MIXED, UNIT, epsilon=1, delta="1e-6")


def test_a_schema_without_a_text_is_refused() -> None:
    schema = Schema.from_dict({"columns": {"kind": {"kind": "boolean"}}})
    with pytest.raises(SchemaError, match="names no text column"):
        TextGenerator(writer=WordCounts()).plan(schema, UNIT, epsilon=1, delta="1e-6")


def test_canary_texts_are_planted_with_secret_coins_and_come_from_public_words() -> None:
    _, fitted = _fit(ALONE, TextGenerator(writer=WordCounts()), canaries=60)
    planted = fitted.canaries
    assert planted is not None and planted.rows.num_rows == 60 and 15 < planted.planted < 45
    assert len(planted.public) == 200
    assert all(set(text.split()) <= set(WORDS) for text in planted.rows.column("note").to_pylist())


@pytest.mark.parametrize(("canaries", "words"), [(1, WORDS), (60, WORDS[:5])], ids=["one", "few words"])
def test_where_no_canary_text_can_be_made_a_paid_run_goes_on_without(canaries: int, words: tuple[str, ...]) -> None:
    """Public facts decide it after the budget is reserved: a form of few words, say."""
    person = PrivacyUnit(kind="user", column="who", max_records=2)
    schema = Schema.from_dict({"columns": {"who": {"kind": "categorical", "role": "unit"}, "note": {"kind": "text"}}})
    private = _table().select(["note"]).to_arrow()
    table = Table.from_arrow(private.append_column("who", pa.array([f"p{i % 300}" for i in range(600)])))
    generator = TextGenerator(writer=WordCounts(words=words))
    plan = generator.plan(schema, person, epsilon="4", delta="1e-6")
    fitted = fit_model(table, schema, generator, plan, noise=ReplayedNoise(bytes(32)), canaries=canaries)
    assert fitted.canaries is not None and fitted.canaries.planted == 0 == fitted.canaries.rows.num_rows
    assert fitted.canaries.rows.column_names == ["note"]
    assert fitted.model.events == plan.tree


@dataclass(frozen=True)
class Short:
    """Keeps texts without a word."""

    word: str
    name: str = "without"

    def keep(self, texts, earlier):
        return np.array([self.word not in text for text in texts], dtype=bool)

    def describe(self):
        return {"word": self.word}


def test_filters_are_counted_and_what_they_took_is_written_again() -> None:
    _, fitted = _fit(ALONE, TextGenerator(writer=WordCounts(), filters=(Short("loan"),)))
    rows = fitted.model.sample(100, np.random.default_rng(2))
    assert rows.num_rows == 100 and not any("loan" in text for text in rows.column("note").to_pylist())
    (told,) = fitted.model.describe()["filters"]
    assert told["seen"] > told["kept"] >= 100


def test_filters_that_let_nothing_through_are_an_error_and_no_empty_draft() -> None:
    _, fitted = _fit(ALONE, TextGenerator(writer=WordCounts(), filters=(Short(""),)))
    with pytest.raises(ModelError, match="No written text passed"):
        fitted.model.sample(10, np.random.default_rng(2))


def test_conditions_and_gaps_are_refused() -> None:
    _, fitted = _fit(ALONE, TextGenerator(writer=WordCounts()))
    with pytest.raises(ParameterError, match="released shares"):
        fitted.model.sample(10, np.random.default_rng(2), balance="kind")
    with pytest.raises(ParameterError, match="not by writers"):
        fitted.model.complete(pa.table({}), np.random.default_rng(2))
