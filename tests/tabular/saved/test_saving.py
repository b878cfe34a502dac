"""Model files: a loaded model is the saved one, holds released numbers only, and its guarantee is priced again."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.guarantee import Guarantee
from dpsynth.core.errors import ModelError
from dpsynth.data.table import Table
from dpsynth.tabular import GENERATORS, SavedModel, load, save
from dpsynth.tabular.saved.model_codec import KINDS, encode, kind_of
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.tables import MIXED, OPEN, mixed_table, open_table, schema
from tests.tabular.saved.fits import SMALL, fitted, rows, small_table

OWN = sorted(set(GENERATORS) - {"auto"})  # which is one of the others


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("of", [MIXED, OPEN], ids=["declared", "derived"])
def test_a_loaded_model_draws_the_rows_of_the_saved_one_and_states_its_guarantee(name, of, tmp_path):
    saved = fitted(name, mixed_table(800) if of is MIXED else open_table(800), of)
    save(saved, tmp_path / "a.dpmodel")
    found = load(tmp_path / "a.dpmodel")
    assert rows(found).equals(rows(saved))
    assert found.guarantee == saved.guarantee and found.guarantee.sentence() == saved.guarantee.sentence()
    assert found.schema_digest == of.digest()
    assert found.model.describe() == saved.model.describe()
    assert found.model.events == saved.model.events
    assert to_bytes(found) == to_bytes(saved)


COLUMN = st.one_of(
    st.just({"kind": "boolean"}),
    st.integers(1, 6).map(lambda n: {"kind": "categorical", "values": [f"v{i}" for i in range(n)]}),
    st.integers(1, 4).map(lambda n: {"kind": "categorical", "values": list(range(n))}),
    st.tuples(st.integers(-50, 50), st.integers(0, 900)).map(
        lambda at: {"kind": "integer", "min": at[0], "max": at[0] + at[1]}
    ),
    st.just({"kind": "float", "min": 0.0, "max": 2.0, "precision": 2}),
)


@settings(max_examples=8)
@given(columns=st.lists(COLUMN, min_size=1, max_size=4), n=st.integers(0, 60), seed=st.integers(0, 99), data=st.data())
def test_any_small_schema_survives_the_file(columns, n, seed, data):
    of = schema(**{f"c{i}": spec for i, spec in enumerate(columns)})
    rng = np.random.default_rng(seed)

    def cells(spec):
        if spec["kind"] == "boolean":
            return pa.array(rng.random(n) < 0.5)
        if spec["kind"] == "categorical":
            return pa.array([spec["values"][i] for i in rng.integers(0, len(spec["values"]), n)])
        if spec["kind"] == "integer":
            return pa.array(rng.integers(spec["min"], spec["max"] + 1, n), pa.int64(), mask=rng.random(n) < 0.2)
        return pa.array(np.round(rng.uniform(0, 2, n), 2))

    types = {"boolean": pa.bool_(), "integer": pa.int64(), "float": pa.float64()}

    def column(spec):
        text = pa.string() if isinstance((spec.get("values") or [0])[0], str) else pa.int64()
        return cells(spec).cast(types.get(spec["kind"], text))

    table = Table.from_arrow(pa.table({name: column(spec) for name, spec in zip(of.columns, columns, strict=True)}))
    name = data.draw(st.sampled_from(sorted(set(GENERATORS) - {"gibbs"})))
    saved = fitted(name, table, of, seed=seed)
    assert rows(from_bytes(to_bytes(saved)), 50).equals(rows(saved, 50))


def test_a_part_that_no_file_may_hold_is_refused_when_writing():
    with pytest.raises(ModelError, match="A complex cannot be written"):
        encode({"a": 1j}, [])


def test_every_kind_is_a_frozen_dataclass_under_its_own_name():
    for name in KINDS:
        made = kind_of(name)
        assert made.__dataclass_params__.frozen
        assert name.replace("_", "") == made.__name__.lower()


def test_the_file_is_written_whole_or_not_at_all_and_never_through_a_link(tmp_path):
    saved = fitted("independent", small_table(), SMALL)
    save(saved, tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(ModelError):
        save(SavedModel(model=object(), guarantee=saved.guarantee, schema_digest="0" * 64), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    (tmp_path / "link").symlink_to(tmp_path / "m")
    with pytest.raises(ModelError, match="is a link"):
        save(saved, tmp_path / "link")


# --- released facts only -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_a_file_holds_no_exact_count_and_no_value_of_one_row(name):
    """The category that one row holds is not in the bytes; no stored 1-way equals the exact histogram."""
    table = open_table(1500)
    raw = to_bytes(fitted(name, table, OPEN))
    assert b"Aville" in raw and b"OnlyMe" not in raw
    model = from_bytes(raw).model
    gaps = []
    for column, binning in model.binnings.items():
        (exact,) = table.counts({column: binning.oneway.cells}, [(column,)])
        gaps.append(np.abs(binning.oneway.counts - exact) / np.sqrt(binning.oneway.variance))
    gaps = np.concatenate(gaps)
    assert np.mean(gaps < 0.02) < 0.1  # of standard normal draws 1.6 % are; of exact counts all
    assert model.rows != 1500


# --- the guarantee ---------------------------------------------------------------------------------------------


def restated(saved: SavedModel, **changes) -> bytes:
    body = {**saved.guarantee.to_json(), **changes}
    return to_bytes(SavedModel(model=saved.model, guarantee=Guarantee.from_json(body), schema_digest="0" * 64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": "0.9"}, "states epsilon 0.9, but its events cost epsilon"),
        ({"epsilon": "1.1"}, "states epsilon 1.1, but its events cost"),
        ({"delta": "1e-9"}, "but its events cost epsilon"),
        ({"relation": "replace_one"}, "another relation or unit"),
        ({"unit": {"kind": "user", "column": "sex", "max_records": 2}}, "another relation or unit"),
    ],
)
def test_a_guarantee_that_the_events_do_not_give_is_refused(small, changes, message):
    with pytest.raises(ModelError, match=message):
        from_bytes(restated(small, **changes))


def test_a_guarantee_within_rounding_is_accepted(small):
    close = format(small.guarantee.epsilon + Decimal("0.00002"), "f")
    assert from_bytes(restated(small, epsilon=close)).guarantee.epsilon == Decimal(close)
