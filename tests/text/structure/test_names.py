"""Forms by name, as the command line asks for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text import structure
from dpsynth.text.structure import STRUCTURES, structure_from

NOT_FORMS = {"__init__", "protocol", "automaton", "pattern"}


def test_the_table_names_every_form_in_the_folder():
    files = {path.stem for path in Path(structure.__file__).parent.glob("*.py")} - NOT_FORMS
    assert {dotted.split(":")[0].rpartition(".")[2] for dotted in STRUCTURES.values()} == files


def test_forms_are_made_of_words(tmp_path):
    pytest.importorskip("llguidance", reason="the extra `text` is not installed")
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"type": "integer"}), "utf-8")
    assert structure_from(f"json-schema:{path}").accepts("3")
    assert structure_from("regex:a:b").accepts("a:b")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("regexp:a", "Unknown form 'regexp'"),
        ("regex", "Unknown form 'regex'"),
        ("json-schema:{0}/none.json", "cannot be read"),
        ("json-schema:{0}", "cannot be read"),
        ("json-schema:{0}/broken.json", "is no JSON"),
        ("json-schema:{0}/large.json", "larger than 1 MiB"),
        ("json-schema:{0}/latin.json", "is no JSON"),
    ],
)
def test_words_that_name_no_form_are_refused(word, told, tmp_path):
    (tmp_path / "broken.json").write_text("{", "utf-8")
    (tmp_path / "large.json").write_text(" " * (1 << 20) + "{}", "utf-8")
    (tmp_path / "latin.json").write_bytes(b'{"\xe9": 1}')
    with pytest.raises(ParameterError, match=told):
        structure_from(word.format(tmp_path))


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("llguidance", "from dpsynth.text.structure.regex import Regex as F; given = 'a'"),
        ("jsonschema", "from dpsynth.text.structure.json_schema import JSONSchema as F; given = {}"),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_brings_it(missing, code):
    probe = (
        f"import sys; sys.modules[{missing!r}] = None\n{code}\n"
        "from dpsynth.core.errors import ParameterError\n"
        "try: F(given)\nexcept ParameterError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert missing in out
    assert "pip install 'dpsynth-release[text]'" in out
