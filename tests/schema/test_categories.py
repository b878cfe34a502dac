"""Open categories: a million of them in bounded memory, codes level by level, and nobody's own category ever."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.event import PartitionSelection
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.checks import prepare
from dpsynth.schema.derive import derive, plan_derive
from dpsynth.schema.domain import CategoryDomain, coarser_outcomes
from dpsynth.schema.model import Schema
from dpsynth.tabular.independent import Independent

NOISE = DeriveNoise(sigma=Decimal(5), threshold=40)
ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("DPSYNTH_SHARED", ROOT.parent / "shared"))
DIABETES = SHARED / "data" / "tabular" / "diabetes130" / "diabetic_data.parquet"


def codes_schema(*hierarchy):
    return Schema.from_dict({"columns": {"code": {"kind": "categorical", "hierarchy": list(hierarchy)}}})


def derived(codes, *hierarchy, seed=1, noise=NOISE):
    table = Table.from_arrow(pa.table({"code": pa.array(codes)}))
    domains, events = derive(table, codes_schema(*hierarchy), noise, noise=unsafe_SeededNoise(seed))
    return domains["code"], events


ICD = ["401"] * 500 + ["250.0"] * 300 + [f"250.{i:02d}" for i in range(90)] * 2 + [f"25{i}.1" for i in range(1, 9)] * 9
ICD += ["V1"]


# --- levels --------------------------------------------------------------------------------------------------------


def test_a_rare_code_is_counted_at_its_longest_prefix_that_is_released():
    domain, events = derived(ICD, 2, 3)
    assert domain.values == ("250.0", "401")
    assert domain.groups == ("250", "25") and domain.group_labels == ("250*", "25*")
    assert len(events) == 3
    cells = ["401", "250.0", "250.07", "250", "251.1", "25", "2", "V1", None]
    out = domain.decode(domain.encode(pa.chunked_array([cells]))).to_pylist()
    assert out == ["401", "250.0", "250*", "250*", "25*", "25*", "other", "other", None]


def test_levels_keep_mass_that_a_flat_derivation_loses():
    flat, _ = derived(ICD)
    deep, _ = derived(ICD, 2, 3)
    lost = [np.mean(domain.encode(pa.chunked_array([ICD])) == domain.size - 1) for domain in (flat, deep)]
    assert lost[0] > 0.2 and lost[1] < 0.005


def test_rows_that_have_an_outcome_are_not_counted_again_at_a_shorter_prefix():
    covered = [f"250.{i:02d}" for i in range(90)] * 3
    assert derived([*covered, "251.1", "9"], 2, 3)[0].groups == ("250",)
    assert derived([*covered, *["251.1", "252.1", "253.1"] * 25], 2, 3)[0].groups == ("250", "25")
    assert derived([*["25"] * 300, *covered], 2, 3)[0].groups == ("250",)  # shorter than a level, not in it


def test_one_event_for_each_level_whatever_the_codes():
    for codes in (ICD, [], ["x"], [f"{i}" for i in range(500)]):
        _, events = derived(pa.array(codes, pa.string()), 1, 3, 5)
        assert [type(event) for event in events] == [PartitionSelection] * 4
        planned = plan_derive(codes_schema(1, 3, 5), NOISE)
        assert [(e.sigma, e.threshold, e.max_keys) for e in events] == [
            (e.sigma, e.threshold, e.max_keys) for e in planned
        ]


@given(st.lists(st.text("12*.", min_size=1, max_size=4), min_size=1, max_size=60), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_outcome_reads_back_as_itself_and_no_two_share_a_label(codes, seed):
    domain, _ = derived(codes * 8, 1, 2, seed=seed, noise=DeriveNoise(sigma=Decimal(4), threshold=22))
    labels = domain.decode(np.arange(domain.size))
    assert len(set(labels.to_pylist())) == domain.size
    assert np.array_equal(domain.encode(pa.chunked_array([labels])), np.arange(domain.size))
    back = domain.decode(domain.encode(pa.chunked_array([codes]))).to_pylist()
    for code, outcome in zip(codes, back, strict=True):
        fits = [prefix for prefix in domain.groups if code.startswith(prefix)]
        expected = domain.group_labels[domain.groups.index(max(fits, key=len))] if fits else domain.other_label
        assert outcome == (code if code in labels.to_pylist() else expected)


def test_coarser_outcomes_are_declared():
    domain, _ = derived(ICD, 2, 3)
    assert coarser_outcomes(domain) == ("250*", "25*", "other")


def test_integer_codes_with_a_hierarchy_are_read_as_text():
    naics = [522110] * 300 + list(range(522200, 522260)) * 3
    prepared = prepare(Table.from_arrow(pa.table({"naics": pa.array(naics, pa.int64())})), naics_schema())
    domains, _ = derive(prepared.table, prepared.schema, NOISE, noise=unsafe_SeededNoise(1))
    assert domains["naics"].values == ("522110",) and domains["naics"].groups == ("522",)


def naics_schema():
    return Schema.from_dict({"columns": {"naics": {"kind": "categorical", "hierarchy": [3]}}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "integer", "hierarchy": [3]}, "belongs to categorical columns of text"),
        ({"kind": "categorical", "values": [1, 2], "hierarchy": [1]}, "belongs to categorical columns of text"),
        ({"kind": "categorical", "hierarchy": [3, 1]}, "ascend"),
        ({"kind": "categorical", "hierarchy": [3, 3]}, "ascend"),
        ({"kind": "categorical", "hierarchy": [0]}, "greater than or equal to 1"),
    ],
)
def test_a_hierarchy_that_means_nothing_is_refused(spec, message):
    with pytest.raises(SchemaError, match=message):
        Schema.from_dict({"columns": {"code": spec}})


def test_integers_have_no_prefixes():
    with pytest.raises(ParameterError, match="Only text categories have prefixes"):
        CategoryDomain(values=(1, 2), hierarchy=(1,))


def test_a_hierarchy_survives_yaml_and_enters_the_digest_only_if_there_is_one():
    schema = codes_schema(1, 3)
    assert Schema.from_yaml(schema.to_yaml()) == schema
    assert schema.digest() != codes_schema().digest()
    assert codes_schema().digest() == Schema.from_dict({"columns": {"code": {"kind": "categorical"}}}).digest()


# --- nobody's own category -----------------------------------------------------------------------------------------


def test_a_code_and_a_prefix_of_one_unit_never_appear():
    """k = 4: a unit may hold four rows of its own code; at delta 1e-9 none of 200 runs may show it."""
    unit = PrivacyUnit(kind="user", column="person", max_records=4)
    rng = np.random.default_rng(0)
    common = rng.choice(["401.1", "250.0", "250.1"], 3000).tolist()
    table = Table.from_arrow(pa.table({"code": common + ["Z99.9"] * 4}))
    plan = Independent().plan(codes_schema(1, 3), unit, epsilon="1", delta="1e-9")
    assert plan.settings.derive.threshold > 4 + 5 * float(plan.settings.derive.sigma)
    found = set()
    for seed in range(200):
        domains, _ = derive(table, codes_schema(1, 3), plan.settings.derive, noise=unsafe_SeededNoise(seed))
        assert not [text for text in (*domains["code"].values, *domains["code"].groups) if text.startswith("Z")]
        found |= set(domains["code"].values) | set(domains["code"].groups)
    assert {"401.1", "250.0", "250.1"} <= found  # power: what many units share is found


@pytest.mark.skipif(not DIABETES.exists(), reason="diabetes130 is not there: set DPSYNTH_SHARED")
def test_no_diagnosis_of_a_single_patient_appears_at_patient_level():
    import pyarrow.parquet as pq

    names = ["diag_1", "diag_2", "diag_3", "medical_specialty"]
    arrow = pq.read_table(DIABETES, columns=[*names, "patient_nbr"])
    table = Table.from_arrow(arrow).bounded("patient_nbr", 4, b"any sixteen bytes")
    specs = {
        name: {"kind": "categorical", "hierarchy": [1, 3] if name != "medical_specialty" else []} for name in names
    }
    of = Schema.from_dict({"columns": specs})
    unit = PrivacyUnit(kind="user", column="patient_nbr", max_records=4)
    plan = Independent().plan(of, unit, epsilon="1", delta="1e-9")
    holders = {}
    for name in names:
        pairs = (
            table.to_arrow().select([name, "patient_nbr"]).group_by(name).aggregate([("patient_nbr", "count_distinct")])
        )
        holders[name] = dict(zip(pairs[name].to_pylist(), pairs["patient_nbr_count_distinct"].to_pylist(), strict=True))
        assert sum(count == 1 for count in holders[name].values()) > 3  # power: there are such values
    for seed in range(3):
        noise = unsafe_SeededNoise(seed)
        domains, spent = derive(table, of, plan.settings.derive, noise=noise)
        model = Independent().fit(table, of, domains, plan, noise=noise, spent=spent)
        out = model.sample(model.rows, np.random.default_rng(seed))
        for name in names:
            drawn = set(out.column(name).drop_null().to_pylist()) - set(coarser_outcomes(domains[name]))
            assert drawn and all(holders[name][value] > 1 for value in drawn)
            for prefix in domains[name].groups:
                patients = [count for value, count in holders[name].items() if str(value).startswith(prefix)]
                assert sum(patients) > 1


# --- many values ---------------------------------------------------------------------------------------------------

MILLION = """
import resource, warnings
import numpy as np, pyarrow as pa
from decimal import Decimal
from dpsynth.core.noise import SystemNoise
from dpsynth.data.table import Table
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.derive import derive
from dpsynth.schema.model import Schema
values, rows = 1_000_000, 2_000_000
rng = np.random.default_rng(0)
codes = np.concatenate([np.arange(values), np.minimum(rng.zipf(1.6, rows - values), values) - 1])
labels = pa.array([f"category-{i:07d}" for i in range(values)])
table = Table.from_arrow(pa.table({"x": labels.take(pa.array(rng.permutation(codes)))}))
of = Schema.from_dict({"columns": {"x": {"kind": "categorical", "hierarchy": HIERARCHY}}})
used = lambda: resource.getrusage(resource.RUSAGE_SELF)
before, start = used().ru_maxrss, used().ru_utime + used().ru_stime
noise = DeriveNoise(sigma=Decimal(20), threshold=140)
domain = derive(table, of, noise, noise=SystemNoise())[0]["x"]
codes = domain.encode(table.column("x"))
print((used().ru_maxrss - before) / 1024, used().ru_utime + used().ru_stime - start, len(domain.values))
"""


@pytest.mark.slow
@pytest.mark.parametrize("hierarchy", ["[]", "[10, 13]"], ids=["flat", "levels"])
def test_a_million_values_need_bounded_memory_and_seconds(hierarchy):
    run = [sys.executable, "-c", MILLION.replace("HIERARCHY", hierarchy)]
    out = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    mebibytes, seconds, values = (float(word) for word in out.split())
    assert mebibytes < 600 and seconds < 10 and 50 < values < 2000
