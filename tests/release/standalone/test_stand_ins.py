"""The stand-ins for numpy, scipy and pydantic do what these do, wherever the verifier uses them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from decimal import Decimal
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, signal, special

from accounting import DiscreteGaussian, DiscreteLaplace, EventTree, Exponential, Gaussian, Laplace, PureDP
from accounting.event import ApproxDP, PartitionSelection
from accounting.privacy_report import report
from dpsynth.release.standalone import arrays, models, transforms
from tests.release.world import TERMS

TREES = {
    "tables": (DiscreteGaussian(sigma="40", l2_sensitivity="1", count=9),),
    "two rows": (DiscreteGaussian(sigma="30", l2_sensitivity="2", count=2),),
    "narrow": (DiscreteGaussian(sigma="1", l2_sensitivity="1", count=3),),
    "rounds": tuple(
        event
        for at in range(8)
        for event in (
            Exponential(bounded_range=str(Decimal("0.05") + at * Decimal("0.002"))),
            DiscreteGaussian(sigma=str(60 - at), l2_sensitivity="1"),
        )
    ),
    "gaussian": (Gaussian(sigma="10", l2_sensitivity="1", count=10),),
    "laplace": (Laplace(scale="10", l1_sensitivity="1", count=3), PureDP(epsilon="0.1", count=2)),
    "counts": (DiscreteLaplace(scale="20", l1_sensitivity="2", count=2),),
    "pairs": (ApproxDP(epsilon="0.1", delta="1e-9", count=2), Gaussian(sigma="20", l2_sensitivity="1")),
    "keys": (PartitionSelection(sigma="10", threshold="90", l2_sensitivity="1", max_keys=1),),
}
_PRICE = """
import json, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "scipy", "pydantic", "dp_accounting", "pandas"}:
            raise ModuleNotFoundError(name)
from dpsynth.release.standalone import arrays, transforms
sys.meta_path.insert(0, Nothing())
for name in ("numpy", "numpy.typing"): sys.modules[name] = arrays
for name in ("scipy", "scipy.fft", "scipy.signal", "scipy.special"): sys.modules[name] = transforms
from accounting import EventTree
from accounting.privacy_report import report
for body in json.loads(sys.stdin.read()):
    print(json.dumps(report(EventTree.from_json(body), "1e-6").to_json()), flush=True)
"""


@pytest.mark.parametrize(
    "names", [("tables", "gaussian", "counts"), pytest.param(tuple(TREES), marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_the_accountants_find_the_same_on_the_stand_ins(names):
    trees = [EventTree(events=TREES[name], **TERMS) for name in names]
    told = json.dumps([tree.to_json() for tree in trees])
    ran = subprocess.run([sys.executable, "-c", _PRICE], input=told, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for tree, line in zip(trees, ran.stdout.splitlines(), strict=True):
        ours, theirs = json.loads(line), report(tree, "1e-6").to_json()
        for one, other in zip(ours["deltas"], theirs["deltas"], strict=True):
            assert float(one["epsilon"]) == pytest.approx(float(other["epsilon"]), rel=2e-6, abs=2e-6)
        for name in ("rho", "mu"):
            assert ours[name] == theirs[name]
        assert float(ours["failure"]) == pytest.approx(float(theirs["failure"]), rel=1e-3)
        assert float(ours["attacker"]["tpr_at_most"]) == pytest.approx(
            float(theirs["attacker"]["tpr_at_most"]), abs=2e-4
        )


FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
ROWS = st.lists(FINITE, min_size=2, max_size=30)
SAME = {"rel": 1e-9, "abs": 1e-9, "nan_ok": True}


def both(values: list[Any]) -> tuple[Any, Any]:
    return np.array(values), arrays.array(values)


def alike(real: Any, ours: Any) -> None:
    if isinstance(ours, arrays.Array):
        assert ours.shape == real.shape
        assert [float(x) for x in ours.values] == pytest.approx([float(x) for x in np.ravel(real)], **SAME)
    else:
        assert float(ours) == pytest.approx(float(real), **SAME)


EXPRESSIONS = {
    "arithmetic": lambda n, x, y: (2 - x * 3 + y / 7 - (-y)) % 5,
    "powers": lambda n, x, y: (x / 1e3) ** 2 + n.sqrt(x * x),
    "exponentials": lambda n, x, y: n.exp(x / 1e3) + n.expm1(y / 1e5),
    "overflow": lambda n, x, y: n.exp(x * 0 + 800.0),
    "logarithms": lambda n, x, y: n.log(x * x) + n.log1p(y * y),
    "log of nothing": lambda n, x, y: n.log(x * 0.0),
    "root of less": lambda n, x, y: n.sqrt(x * 0 - 1.0),
    "divided by nothing": lambda n, x, y: (x + 0.5) / (y * 0.0),
    "floor": lambda n, x, y: n.floor(x / 3),
    "choice": lambda n, x, y: n.where(x > y, x, 0.0),
    "extremes": lambda n, x, y: n.maximum(x, 1.0) + n.minimum(x, y),
    "running": lambda n, x, y: n.minimum.accumulate(x) + n.cumsum(y),
    "steps": lambda n, x, y: n.diff(n.concatenate([x, [3.0], y])),
    "sums": lambda n, x, y: x.sum() + n.dot(x, y) + x.max() - y.min(),
    "turned": lambda n, x, y: n.roll(x, 3) + n.roll(y, -2),
    "slices": lambda n, x, y: n.concatenate([x[1:], x[:-1], x[::-1], y[:0:-1], x[::2]]),
    "chosen": lambda n, x, y: n.concatenate([x[x > 0.0], [0.0]]),
    "places": lambda n, x, y: x[n.flatnonzero(y > -2e6)],
    "searched": lambda n, x, y: n.searchsorted(n.cumsum(x * x), y, side="right"),
    "bins": lambda n, x, y: n.bincount(n.arange(len(x)) % 3, y, minlength=5),
    "table": lambda n, x, y: (x[:, None] * y[None, :] - x[:, None]).max(axis=0),
    "rows": lambda n, x, y: (x[None, :] + y[:, None]).sum(axis=1),
    "largest place": lambda n, x, y: n.argmax(x) + n.argmin(y),
    "logaddexp": lambda n, x, y: n.logaddexp(x / 1e4, y / 1e4),
    "clipped": lambda n, x, y: n.clip(x, -1.0, 1.0),
    "both": lambda n, x, y: n.where((x > 0.0) & (y > 0.0), 1.0, 0.0),
    "spaces": lambda n, x, y: n.concatenate([n.logspace(-3, 7, 5), n.geomspace(0.5, 9.0, 7), n.arange(1.0, 4.0, 0.7)]),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
@settings(max_examples=12, deadline=None)
@given(x=ROWS, y=ROWS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_arrays_are_numpys(name, x, y):
    size = min(len(x), len(y))
    (x, ours_x), (y, ours_y) = both(x[:size]), both(y[:size])
    with np.errstate(all="ignore"):
        alike(EXPRESSIONS[name](np, x, y), EXPRESSIONS[name](arrays, ours_x, ours_y))


def test_what_an_array_cannot_do_is_refused():
    row, table = arrays.arange(3), arrays.array([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="shapes do not fit"):
        row + arrays.arange(4)
    with pytest.raises(ValueError, match="shapes do not fit"):
        arrays.arange(3)[:, None] + arrays.array([[1, 2], [3, 4]])
    with pytest.raises(IndexError, match="not read so"):
        table[0, 1]
    with pytest.raises(AttributeError, match="no linalg"):
        arrays.linalg  # noqa: B018


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_transforms_are_scipys(values):
    size = transforms.next_fast_len(len(values))
    padded = values + [0.0] * (size - len(values))
    spectrum = transforms.rfft(padded)
    assert np.allclose(np.array(spectrum.values), fft.rfft(padded), atol=1e-12)
    assert np.allclose(transforms.irfft(spectrum, size).values, padded, atol=1e-12)
    assert np.allclose(
        transforms.lfilter([1.0], [1.0, -0.7], values).values, signal.lfilter([1.0], [1.0, -0.7], values)
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(-200, 30))
def test_the_normal_distribution_is_scipys(x):
    assert transforms.ndtr([x]).values[0] == pytest.approx(float(special.ndtr(x)), rel=1e-10, abs=1e-300)
    assert transforms.log_ndtr([x]).values[0] == pytest.approx(float(special.log_ndtr(x)), rel=1e-10)


_MODELS = """
from __future__ import annotations
from decimal import Decimal
from typing import Annotated, Any, Literal

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    count: int = Field(ge=0)
    share: Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False)]

class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    seq: int = Field(ge=1)
    names: list[str]

class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    schema_: Literal["a/1"] = Field("a/1", alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=5)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{4}$")]
    flag: bool
    real: float = 0.5
    inner: Inner | None = None
    strict: Strict | None = None
    many: tuple[Inner, ...] = Field(default=(), max_length=2)
    by_name: dict[str, int] = Field(default_factory=dict)
    anything: dict[str, Any] | None = None
"""


def _documents(library: ModuleType) -> Any:
    """The same models on either library."""
    module = ModuleType(f"models_on_{library.__name__.replace('.', '_')}")
    vars(module).update(BaseModel=library.BaseModel, ConfigDict=library.ConfigDict, Field=library.Field)
    sys.modules[module.__name__] = module
    exec(_MODELS, vars(module))
    return module.Outer


REAL, OURS = _documents(pydantic), _documents(models)
GOOD: dict[str, Any] = {
    "schema": "a/1", "name": "abc", "digest": "00ff", "flag": True, "real": 0.25,
    "inner": {"count": 3, "share": "0.5"}, "strict": {"seq": 1, "names": ["a"]},
    "many": [{"count": 0, "share": 0.5}], "by_name": {"a": 1}, "anything": {"b": [1, None]},
}  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(allow_nan=True), st.text(max_size=7),
    st.sampled_from(["a/1", "00ff", "00ff\n", "1", "1.0", " 2 ", "1_0", "nan", "true", "0.5", "1e400", "-0", "½"]),
    st.just([]), st.just({}), st.just(10**400),
)  # fmt: skip
PLACES = [(), *((name,) for name in GOOD), ("schema_",), ("more",), ("inner", "count"), ("inner", "share"),
          ("inner", "more"), ("strict", "seq"), ("strict", "names"), ("strict", "names", 0), ("many", 0),
          ("many", 0, "share"), ("by_name", "a")]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(place=st.sampled_from(PLACES), value=SCALARS, drop=st.booleans())
def test_models_accept_and_refuse_as_pydantic_does(place, value, drop):
    document = json.loads(json.dumps(GOOD))
    target = document
    for step in place[:-1]:
        target = target[step]
    if place and drop and isinstance(target, dict):
        target.pop(place[-1], None)
    elif place:
        target[place[-1]] = value
    results = []
    for model, library in ((REAL, pydantic), (OURS, models)):
        try:
            results.append(("ok", model.model_validate(document).model_dump(mode="json", by_alias=True)))
        except library.ValidationError as error:
            found = error.errors()
            results.append(("refused", sorted(tuple(map(str, problem["loc"])) for problem in found)))
    assert repr(results[0]) == repr(results[1]) or _only_nan(results)


def _only_nan(results: list[Any]) -> bool:
    return any(isinstance(x, float) and math.isnan(x) for x in str(results)) and results[0][0] == results[1][0]


def test_a_kind_of_field_that_is_not_covered_is_refused():
    with pytest.raises(NotImplementedError, match="fields of kind"):
        models.TypeAdapter(complex).validate_python(1)
    with pytest.raises(NotImplementedError, match="multiple_of"):
        models.TypeAdapter(Annotated[int, models.Field(multiple_of=2)]).validate_python(1)
    with pytest.raises(NotImplementedError):
        models.model_serializer(mode="plain")
    with pytest.raises(AttributeError, match="frozen"):
        OURS.model_validate(GOOD).name = "b"
