"""Derived cards say what the signed card says: nothing else, nothing unescaped, and only of a bundle that verifies."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from dpsynth.cli.app import call
from dpsynth.core.errors import ParameterError, VerificationError
from dpsynth.release.cards import FORMATS, derive, words
from dpsynth.release.cards.croissant import CONTEXT, croissant, data_type
from dpsynth.release.cards.facts import CardFacts, read_facts
from dpsynth.release.cards.huggingface import LICENCES, huggingface
from dpsynth.release.evidence import LineageFacts, TextFacts
from tests.release.cards import known
from tests.release.world import ready_world

OLD = Path(__file__).parents[1] / "bundle_f161650.zip"
TEXT = TextFacts.model_validate(
    {"column": "note", "model": "tiny-writer", "fingerprint": "ab" * 32, "settings_sha256": "cd" * 32,
     "filters": [{"name": "length", "settings": {"most": 80}, "seen": 1200, "kept": 1100}]}
)  # fmt: skip
LINEAGE = LineageFacts(parents=("12" * 32, "34" * 32), real_anchor=True)
HOSTILE = "</script><img src=x onerror=alert(1)>\n# [free](http://evil.example) | `x` $y$ @all\u202e\n---\nlicense: mit"
CONSTANTS = {
    *(value for value in vars(words).values() if isinstance(value, str)),
    *(text for value in vars(words).values() if isinstance(value, tuple) for text in value),
    *words.HEADINGS.values(),
    "https://spdx.org/licenses/", ".html", "urn:dpsynth:commitment:", "urn:dpsynth:", "urn:sha256:", "release key ",
    "synthetic data", "differential privacy", "synthetic", "differential-privacy", "Others", "unknown", "default",
    "train", "1.0.0", "http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0", "rows/", "rows",
    "text/csv", "application/x-parquet", "application/yaml", "n<1K",
}  # fmt: skip
NAMES = {
    "epsilon", "delta", "relation", "unit", "generator", "generator version", "rows", "attempts", "noise", "decision",
    "licence", "release", "root", "release key", "source commitment", "draft commitment", "policy digest",
    "seed commitment sample", "language model", "language model fingerprint", "settings and prompts digest",
    "synthetic parents",
}  # fmt: skip
HEADINGS = {
    "fact", "value", "Columns", "column", "type", "How the rows were judged", "evaluation", "question", "answer",
    "Why the gate let them pass", "rule", "reason", "Where they come from", "What this does not protect",
    "Biases, sensitive information, impact", "Files", "file", "SHA-256",
}  # fmt: skip


@pytest.fixture(scope="module")
def facts(released) -> CardFacts:
    world, folder, _ = released
    return read_facts(folder, world.signer.public_bytes)


@pytest.fixture(params=["table", "text", "mixed", "parents", "old", "licensed"])
def any_facts(request: pytest.FixtureRequest, facts: CardFacts, tmp_path: Path) -> CardFacts:
    """Cards of each kind of draft, and that of a bundle from before most fields."""
    if request.param == "old":
        return read_facts(OLD, old_key(tmp_path))
    changes: dict[str, dict[str, Any]] = {
        "table": {},
        "text": {"text": TEXT, "columns": ("note",)},
        "mixed": {"text": TEXT},
        "parents": {"lineage": LINEAGE, "constraints": ("sum(age, children)",)},
        "licensed": {"licence": "CC-BY-4.0"},
    }
    changed = replace(facts, card=facts.card.model_copy(update=changes[request.param]))
    return replace(changed, types={"note": pa.string()}) if request.param == "text" else changed


def old_key(home: Path) -> Path:
    import zipfile

    with zipfile.ZipFile(OLD) as archive:
        (home / "old.pub").write_bytes(archive.read("release.pub"))
    return home / "old.pub"


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (leaf for part in value.values() for leaf in leaves(part))
    elif isinstance(value, list | tuple):
        yield from (leaf for part in value for leaf in leaves(part))
    else:
        yield value


def is_known(text: str, facts: CardFacts) -> bool:
    """Whether `text` consists of the card's values, signed digests, column names, types and constants alone."""
    card = facts.card
    said = {str(leaf) for leaf in leaves(card.model_dump(mode="json", by_alias=True))}
    said |= {
        *(card.reasons or {}),
        *facts.digests,
        *facts.digests.values(),
        *facts.types,
        facts.root,
        facts.release_key,
    }
    said |= {facts.published, *(data_type(kind) for kind in facts.types.values()), "float64", "string", *card.seeds}
    if card.text is not None:
        said.add(card.text.words())
    if card.lineage is not None:
        said.add(card.lineage.words())
    if text in said | NAMES | HEADINGS | LICENCES:
        return True
    for piece in sorted(said | CONSTANTS, key=len, reverse=True):
        text = text.replace(piece, " ") if len(piece) > 2 else text
    return re.search(r"\w", text) is None


def test_croissant_says_nothing_but_the_card(any_facts: CardFacts) -> None:
    body = json.loads(croissant(any_facts))
    assert body.pop("@context") == CONTEXT
    types = {
        value for value in leaves(body) if isinstance(value, str) and re.fullmatch(r"(sc|cr|prov):[A-Za-z]+", value)
    }
    found = [value for value in leaves(body) if value not in types]
    assert [value for value in found if isinstance(value, str) and not is_known(value, any_facts)] == []
    assert {value for value in found if not isinstance(value, str)} == {True, False}
    assert {row["name"] for row in body["additionalProperty"]} <= NAMES


def test_the_hugging_face_card_says_nothing_but_the_card(any_facts: CardFacts) -> None:
    _, front, body = huggingface(any_facts).decode().split("---\n", 2)
    values = [*leaves(yaml.safe_load(front))]
    assert [value for value in values if isinstance(value, str) and not is_known(value, any_facts)] == []
    assert {value for value in values if not isinstance(value, str)} == {any_facts.card.rows}
    cells = [html.unescape(re.sub(r"\\(.)", r"\1", cell.strip(" #-")))
             for line in body.splitlines() for cell in re.split(r"(?<!\\)\|", line)]  # fmt: skip
    assert [cell for cell in cells if not is_known(cell, any_facts)] == []


def test_a_foreign_word_would_be_seen(facts: CardFacts) -> None:
    """The walk above has power: an exact figure in a card is none of its values."""
    card = facts.card.model_copy(update={"guarantee_in_words": "Mean age 37.114."})
    assert not is_known("Mean age 37.114.", facts) and is_known("Mean age 37.114.", replace(facts, card=card))
    assert not is_known(f"{words.RAW} 0.05", facts)


def test_terms_that_croissant_and_rai_ask_for(any_facts: CardFacts) -> None:
    body = json.loads(croissant(any_facts))
    required = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished"}
    responsible = {"dataCollection", "dataBiases", "personalSensitiveInformation", "dataSocialImpact",
                   "dataLimitations", "dataUseCases", "hasSyntheticData"}  # fmt: skip
    assert required | {f"rai:{term}" for term in responsible} <= set(body)
    files = {row["@id"]: row["sha256"] for row in body["distribution"]}
    assert files == {name: any_facts.digests[name] for name in files} and "data.parquet" in files
    fields = body["recordSet"][0]["field"]
    assert [row["source"]["extract"]["column"] for row in fields] == [*any_facts.types]
    assert len({row["@id"] for row in fields}) == len(fields)


def test_keys_are_terms_of_the_vocabularies_that_are_declared(any_facts: CardFacts) -> None:
    def keys(value: Any) -> set[str]:
        parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return {*(value if isinstance(value, dict) else ()), *(key for part in parts for key in keys(part))}

    body = json.loads(croissant(any_facts))
    body.pop("@context")
    schema_org = {
        "additionalProperty", "contentUrl", "creator", "dateCreated", "datePublished", "description", "distribution",
        "encodingFormat", "identifier", "isAccessibleForFree", "keywords", "license", "name", "sha256", "url", "value",
        "version",
    }  # fmt: skip
    plain = {key for key in keys(body) if ":" not in key and not key.startswith("@")}
    assert plain <= {*CONTEXT, *schema_org}
    assert body["prov:wasGeneratedBy"] == {
        "@type": "prov:Activity", "name": any_facts.card.generator.name, "version": any_facts.card.generator.version
    }  # fmt: skip
    sources = [row["@id"] for row in body["prov:wasDerivedFrom"]]
    assert sources[0] == f"urn:dpsynth:commitment:{any_facts.card.source_commitment}"
    assert len(sources) == 1 + len(any_facts.card.lineage.parents if any_facts.card.lineage else ())


def test_the_context_is_that_of_the_reference_library() -> None:
    """`make_context` of mlcroissant 1.1.1 for version 1.1, and `prov`; that version accepted these cards.

    Found on 2026-11-23 with `mlcroissant validate` 1.1.1 in an environment of its own: no error and no warning.
    """
    aliases = {name for name, term in CONTEXT.items() if term == f"cr:{name}"}
    assert aliases == {
        "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
        "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
        "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
        "source", "subField", "transform",
    }  # fmt: skip
    assert CONTEXT["@vocab"] == CONTEXT["sc"] == "https://schema.org/"
    others = {name: term for name, term in CONTEXT.items() if name not in aliases}
    assert others == {
        "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/", "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo", "description": {"@container": "@language"},
        "name": {"@container": "@language"},
        "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    }  # fmt: skip


def test_the_reference_library_accepts_it(any_facts: CardFacts, tmp_path: Path) -> None:
    library = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed; 1.1.1 was run by hand")
    (tmp_path / "croissant.json").write_bytes(croissant(any_facts))
    found = library.Dataset(str(tmp_path / "croissant.json")).metadata.ctx.issues
    assert not found.errors and not found.warnings


@pytest.mark.parametrize(
    ("kind", "word"),
    [(pa.int8(), "sc:Integer"), (pa.uint64(), "sc:Integer"), (pa.float32(), "sc:Float"), (pa.bool_(), "sc:Boolean"),
     (pa.decimal128(9, 2), "sc:Float"), (pa.date32(), "sc:Date"), (pa.timestamp("us", "UTC"), "sc:DateTime"),
     (pa.time64("us"), "sc:Time"), (pa.large_string(), "sc:Text"), (pa.binary(), "sc:Text"),
     (pa.dictionary(pa.int8(), pa.int64()), "sc:Integer")],
)  # fmt: skip
def test_types_come_from_parquet(kind: pa.DataType, word: str) -> None:
    assert data_type(kind) == word


def test_names_are_no_markup(facts: CardFacts) -> None:
    card = facts.card.model_copy(update={"dataset": HOSTILE[:200], "columns": (HOSTILE,), "text": TEXT.model_copy(
        update={"model": HOSTILE[:200]})})  # fmt: skip
    hostile = replace(facts, card=card, types={HOSTILE: pa.string()})
    page = croissant(hostile).decode()
    assert not re.search(r"[<>&]", page)
    field = json.loads(page)["recordSet"][0]["field"][0]
    assert field["name"] == HOSTILE and re.fullmatch(r"rows/[A-Za-z0-9%._~-]+", field["@id"])
    text = huggingface(hostile).decode()
    assert text.split("\n").count("---") == 2
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "unknown" and "\n" not in front["pretty_name"]
    body = text.split("\n---\n", 1)[1]
    assert "<" not in body and "://" not in body and "\u202e" not in text and "@" not in body
    assert not re.search(r"(?<!\\)[\[\]`$]", body)
    assert [line for line in body.split("\n") if line.startswith("# ")] == [body.split("\n")[1]]


def test_licences_have_the_words_of_the_hub(facts: CardFacts) -> None:
    def front(licence: str | None) -> dict[str, Any]:
        card = facts.card.model_copy(update={"licence": licence})
        return yaml.safe_load(huggingface(replace(facts, card=card)).decode().split("---\n")[1])

    assert front(None)["license"] == front("not stated")["license"] == "unknown"
    assert front("CC-BY-4.0")["license"] == "cc-by-4.0" and "license_name" not in front("CC-BY-4.0")
    assert (front("LicenseRef-Ours")["license"], front("LicenseRef-Ours")["license_name"]) == (
        "other",
        "LicenseRef-Ours",
    )


def test_sizes_are_the_classes_of_the_hub(facts: CardFacts) -> None:
    """https://huggingface.co/docs/hub/datasets-cards, `size_categories`: each class begins with its lower bound."""
    labels = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B"]
    for power, below in enumerate(labels[:-1], start=3):
        for rows, word in ((10**power - 1, below), (10**power, labels[power - 2])):
            card = facts.card.model_copy(update={"rows": rows})
            front = huggingface(replace(facts, card=card)).decode().split("---\n")[1]
            assert yaml.safe_load(front)["size_categories"] == [word], rows


def test_a_question_that_nobody_answered_says_so(facts: CardFacts) -> None:
    nothing = facts.card.evals.model_copy(update=dict.fromkeys(words.HEADINGS, ()) | {"temporal_holdout": ""})
    rows = list(words.judged(facts.card.model_copy(update={"evals": nothing})))
    assert {(question, answer) for _, question, answer in rows} == {("", words.NOTHING)} and words.NOTHING


@pytest.mark.parametrize("form", FORMATS)
def test_only_a_bundle_that_verifies_has_cards(released, tmp_path: Path, form: str) -> None:
    world, folder, archive = released
    key = world.signer.public_bytes
    assert derive(folder, key, form) == derive(archive, key, form), "of folder and zip, at any time, the same bytes"
    for name in ("data.parquet", "card.yaml", "evidence.json"):
        copy = tmp_path / f"{form}-{name}"
        shutil.copytree(folder, copy)
        (copy / name).write_bytes((copy / name).read_bytes().replace(b"a", b"b", 1))
        with pytest.raises(VerificationError, match="no card"):
            derive(copy, key, form)
    with pytest.raises(VerificationError):
        derive(folder, bytes(32), form)


def test_json_is_the_signed_card(released) -> None:
    world, folder, _ = released
    signed = yaml.safe_load((folder / "card.yaml").read_bytes())
    assert json.loads(derive(folder, world.signer.public_bytes, "json")) == signed


def test_there_is_no_other_form(released) -> None:
    world, folder, _ = released
    with pytest.raises(ParameterError, match="form"):
        derive(folder, world.signer.public_bytes, "pdf")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = ready_world(tmp_path / "w")
    world.release(tmp_path / "bundle", licence="MIT")
    key, out = tmp_path / "release.pub", tmp_path / "README.md"
    key.write_bytes(world.signer.public_bytes)
    asked = ["card", str(tmp_path / "bundle"), "--key", str(key), "--format", "huggingface"]
    assert call([*asked, "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["card"], told["format"]) == (str(out), "huggingface") and "license: mit" in out.read_text("utf-8")
    assert call([*asked, "-o", str(tmp_path / "bundle" / "README.md")]) == 2, "the bundle stays closed"
    (tmp_path / "bundle" / "README.txt").write_text("other")
    assert call([*asked, "-o", str(tmp_path / "none.md")]) == 5
    assert not (tmp_path / "none.md").exists()


def test_the_cards_of_a_known_bundle_are_what_other_programs_have_read() -> None:
    """Known answers: names, order and words of both forms, for the oldest card and for one with every section."""
    found = known.files()
    assert {path.name for path in known.HERE.iterdir()} == set(found)
    for name, body in found.items():
        assert body.decode() == (known.HERE / name).read_text("utf-8"), f"{name}: see tests/release/cards/known.py"
