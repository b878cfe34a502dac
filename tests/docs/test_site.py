"""The reference is the program's; the built site fetches nothing; every page is within reach of the contents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
sys_path = str(DOCS / "_ext")


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    sys.path.insert(0, sys_path)
    import generated

    sys.path.remove(sys_path)
    return generated


@pytest.fixture(scope="module")
def reference(generated: ModuleType) -> dict[str, str]:
    made: dict[str, str] = generated.pages()
    return made


def test_every_command_and_option_stands_in_the_reference(generated: ModuleType, reference: dict[str, str]) -> None:
    text = reference["commands.md"]
    for path, command in generated.leaves():
        section = text.partition(f"## {path}\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in ("--help", "-h") or f"`{option}`" in section, (path, option)


def test_every_command_stands_in_the_overview_too(generated: ModuleType) -> None:
    overview = re.search(r"```text\n(.*?)```", (DOCS / "reference/command-line.md").read_text("utf-8"), re.DOTALL)
    assert overview is not None
    for path, _ in generated.leaves():
        *_, group, name = path.split()
        lines = [line for line in overview[1].splitlines() if line.startswith("dpsynth ") or line.startswith("  ")]
        said = [line for line in lines if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", line)]
        assert [line for line in said if group == "dpsynth" or group in line], f"{path} is not in the overview"


def test_every_key_of_the_policy_stands_in_the_reference_and_is_explained(reference: dict[str, str]) -> None:
    from dpsynth.release.policy import _SECTIONS, Policy

    for model in (Policy, *_SECTIONS.values()):
        for name in model.model_fields:
            assert f"| `{name}` |" in reference["document-policy.md"], name


def test_every_error_stands_in_the_reference_with_its_exit_code(
    generated: ModuleType, reference: dict[str, str]
) -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(inner) for inner in kind.__subclasses__()))

    for root in generated.error_trees().values():
        for kind in below(root):
            if kind.__module__.partition(".")[0] in generated.PACKAGES:
                assert f"`{kind.__name__}`" in reference["errors.md"], kind
    for name, code in (("BudgetExceeded", 6), ("VerificationError", 5), ("GateRefused", "3 or 4"), ("DataError", 1)):
        assert f"`{name}` | {code} |" in reference["errors.md"]


def test_every_exit_code_of_an_error_is_explained(generated: ModuleType, reference: dict[str, str]) -> None:
    told = set(re.findall(r"^\| (\d+) \|", (DOCS / "reference/command-line.md").read_text("utf-8"), re.MULTILINE))
    codes = set(re.findall(r"^\| .*?`\w+` \| (\d+) \|", reference["errors.md"], re.MULTILINE))
    assert {"1", "5", "6"} <= codes <= told and {"0", "2", "3", "4"} <= told


def test_every_public_name_stands_in_the_reference(generated: ModuleType, reference: dict[str, str]) -> None:
    import importlib

    for package in generated.PACKAGES:
        for name in importlib.import_module(package).__all__:
            assert name.startswith("__") or f"## {name}\n" in reference[f"python-{package}.md"]


def test_schemas_beside_the_site_are_json_schemas(generated: ModuleType) -> None:
    for stem, (_, where, _) in generated.DOCUMENTS.items():
        schema = json.loads(json.dumps(generated.schema_of(where)))
        assert schema["$schema"].endswith("2020-12/schema") and schema["properties"], stem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example.org/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example.org/css">'),
        ("a.html", '<p style="background: url(https://example.org/x.png)">'),
        ("a.html", '<script type="module">import x from "https://example.org/x.mjs"</script>'),
        ("a.css", "@font-face { src: url('https://example.org/f.woff2') }"),
        ("a.svg", '<svg><image href="http://example.org/x.png"/></svg>'),
        ("a.html", '<img srcset="https://example.org/2x.png 2x">'),
    ],
)
def test_a_site_that_fetches_is_refused(name: str, text: str, tmp_path: Path) -> None:
    sys.path.insert(0, sys_path)
    from selfcontained import remote

    sys.path.remove(sys_path)
    (tmp_path / "fine.html").write_text('<a href="https://example.org">a link</a><img src="here.png">')
    assert not list(remote(tmp_path))
    (tmp_path / name).write_text(text)
    assert list(remote(tmp_path))


@pytest.mark.slow  # `make docs` does the same on every change
def test_the_site_builds_without_warnings_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference/generated/commands.html").is_file()
    assert "<math" in (tmp_path / "concepts/block-profile.html").read_text("utf-8")
