"""`python -m accounting` prices events with neither the data libraries nor the other packages."""

import json
import subprocess
import sys

import pytest

from accounting.cli import main

EVENTS = {
    "schema": "dpsynth.events/1",
    "relation": "add_remove",
    "unit": "record",
    "events": [{"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 10}],
}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "events.json"
    file.write_text(json.dumps(EVENTS))
    return str(file)


def test_json_price_has_the_documented_fields(path, capsys):
    assert main(["price", path, "--delta", "1e-5", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    known = {"epsilon", "delta", "relation", "unit", "accountant", "all"}
    assert set(answer) == known | {"deltas", "rho", "mu", "failure", "attacker"}
    assert answer["attacker"] == {"fpr": "0.01", "tpr_at_most": "0.0223"} and answer["mu"] == "0.316228"
    assert answer["epsilon"] == "1.19937" and answer["delta"] == "1e-5"
    assert len(answer["all"]) >= 2 and answer["accountant"] in answer["all"]


def test_plain_price_is_a_sentence_and_a_table(path, capsys):
    assert main(["price", path, "--delta", "1e-5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("For any one record (epsilon = 1.19937, delta = 1e-5")
    assert "> analytic/own-1" in out


@pytest.mark.parametrize(
    ("content", "delta", "kind"),
    [
        ("{", "1e-5", "EventError"),
        (json.dumps({**EVENTS, "relation": "either"}), "1e-5", "EventError"),
        (json.dumps(EVENTS), "x", "EventError"),
        (json.dumps(EVENTS), "1", "ParameterError"),
        (json.dumps(EVENTS), "0", "UnsupportedEventError"),
    ],
)
def test_refusals_are_one_json_object_with_exit_code_one(tmp_path, capsys, content, delta, kind):
    file = tmp_path / "events.json"
    file.write_text(content)
    assert main(["price", str(file), "--delta", delta, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == kind and error["message"]


def test_missing_file_is_said_on_standard_error(tmp_path, capsys):
    assert main(["price", str(tmp_path / "none.json"), "--delta", "1e-5"]) == 1
    assert "Cannot read" in capsys.readouterr().err


def test_usage_errors_exit_with_two(path):
    with pytest.raises(SystemExit) as exit_info:
        main(["price", path])
    assert exit_info.value.code == 2


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True).stdout


def test_pricing_imports_neither_pandas_nor_torch_nor_the_other_packages(path):
    code = (
        "import sys; from accounting.cli import main; main(['price', sys.argv[1], '--delta', '1e-5', '--json']); "
        "print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = run(code, path).splitlines()[-1]
    assert "'numpy'" in loaded
    for name in ("pandas", "torch", "pyarrow", "sklearn", "matplotlib", "pydantic", "dpsynth", "attacks", "sqlalchemy"):
        assert f"'{name}'" not in loaded


def test_events_import_no_numerical_library():
    loaded = run(
        "import sys, accounting, accounting.event, accounting.guarantee; print('numpy' in sys.modules, "
        "'dp_accounting' in sys.modules)"
    )
    assert loaded.split() == ["False", "False"]


def test_every_lazy_export_exists_and_others_do_not():
    import accounting

    for name in accounting.__all__:
        assert getattr(accounting, name) is not None
    assert set(accounting.__all__) <= set(dir(accounting))
    with pytest.raises(AttributeError, match="no attribute 'epsilon'"):
        _ = accounting.epsilon
