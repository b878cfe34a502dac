"""A model from public text: learns, is the same twice, is kept whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `text` is not installed")
pytest.importorskip("transformers", reason="the extra `text` is not installed")

from dpsynth.cli.app import call  # noqa: E402
from dpsynth.core.errors import ModelError, ParameterError  # noqa: E402
from dpsynth.text.backends import load, tiny  # noqa: E402
from dpsynth.text.backends.embedded_text import documents  # noqa: E402
from dpsynth.text.backends.hugging_face import HFBackend  # noqa: E402
from dpsynth.text.backends.pretraining import QUICK, Recipe, pretrain  # noqa: E402

SHORT = Recipe(vocabulary=400, width=32, layers=1, heads=2, positions=64, steps=60, batch=4, rate=1e-2)
TEXTS = documents(("python",))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_short_training_beats_the_uniform_law_and_is_the_same_twice(tmp_path):
    told: list[str] = []
    made = pretrain(TEXTS, SHORT, tmp_path / "a", progress=lambda name, done, total, detail="": told.append(detail))
    again = pretrain(TEXTS, SHORT, tmp_path / "b")
    assert made.perplexity < 200 < 400
    assert made.fingerprint == again.fingerprint and made.perplexity == again.perplexity
    assert any("tokens/s" in detail for detail in told)
    other = pretrain(TEXTS, replace(SHORT, steps=20), tmp_path / "c")
    assert other.perplexity > made.perplexity and other.fingerprint != made.fingerprint
    model = HFBackend.load(tmp_path / "a", device="cpu")
    assert model.fingerprint == made.fingerprint and model.begin == model.end and model.context == 63
    assert not list((tmp_path / "a").glob("*.bin")) and not list((tmp_path / "a").glob("*.p*kl"))


def test_held_out_perplexity_is_what_the_loaded_model_says(tmp_path):
    """Documents that were held out, read through the backend token by token."""
    made = pretrain(TEXTS, SHORT, tmp_path / "a")
    model = HFBackend.load(tmp_path / "a", device="cpu")
    held = [model.tokens(text)[:60] for text in TEXTS[49::50]][:12]
    decoding = model.start([ids[:0] for ids in held], width=0, room=59)
    losses = []
    for at in range(60):
        logits = decoding.logits().astype(np.float64)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses += [-logits[row, ids[at]] for row, ids in enumerate(held) if at < len(ids)]
        if at < 59:
            decoding.append(np.array([ids[at] if at < len(ids) else model.end for ids in held]))
    assert np.exp(np.mean(losses)) == pytest.approx(made.perplexity, rel=0.25)


def test_minutes_end_a_training(tmp_path):
    told: list[tuple[int, int]] = []
    recipe = replace(SHORT, minutes=0.02, steps=100_000)
    made = pretrain(
        TEXTS, recipe, tmp_path / "a", progress=lambda name, done, total, detail="": told.append((done, total))
    )
    assert told[-1] == (1, 1) and (1, 1) not in told[2:-1]
    assert 0 < made.tokens < 100_000 * 256 and made.seconds < 20


def test_too_little_text_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="expected more than 65 tokens in 50 documents"):
        pretrain(["one line of text"] * 20, SHORT, tmp_path / "a")


def test_the_quick_model_is_trained_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(tiny.RECIPES, "tiny-quick", (SHORT, ("python",)))
    first = load("tiny-quick", device="cpu")
    place = tiny.folder("tiny-quick")
    assert first.name == place.name and [path.name for path in place.parent.iterdir()] == [place.name]
    monkeypatch.setattr(tiny, "pretrain", lambda *args, **kwargs: pytest.fail("trained again"))
    assert load("tiny-quick", device="cpu").fingerprint == first.fingerprint


def test_a_kept_model_that_was_altered_is_refused(monkeypatch):
    monkeypatch.setitem(tiny.RECIPES, "tiny-quick", (replace(SHORT, steps=2), ("python",)))
    place = tiny.ensured("tiny-quick")
    weights = bytearray((place / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (place / "model.safetensors").write_bytes(bytes(weights))
    with pytest.raises(ModelError, match="not the one that was written"):
        load("tiny-quick", device="cpu")
    (place / "pretraining.json").unlink()
    with pytest.raises(ModelError, match=r"lacks a readable pretraining\.json"):
        load("tiny-quick", device="cpu")


def test_a_training_that_is_stopped_leaves_nothing(monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setitem(tiny.RECIPES, "tiny-quick", (SHORT, ("python",)))
    monkeypatch.setattr(tiny, "pretrain", stopped)
    with pytest.raises(KeyboardInterrupt):
        tiny.ensured("tiny-quick")
    assert list(tiny.cache_folder().iterdir()) == []


def test_who_comes_second_uses_what_the_first_has_written(monkeypatch):
    short = replace(SHORT, steps=2)
    monkeypatch.setitem(tiny.RECIPES, "tiny-quick", (short, ("python",)))
    place = tiny.folder("tiny-quick")

    def overtaken(texts, recipe, folder, **kwargs):
        made = pretrain(texts, recipe, folder, **kwargs)
        pretrain(texts, recipe, place)
        return made

    monkeypatch.setattr(tiny, "pretrain", overtaken)
    assert tiny.ensured("tiny-quick") == place
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_another_recipe_or_library_has_another_folder(monkeypatch):
    before = tiny.folder("tiny-quick")
    monkeypatch.setitem(tiny.RECIPES, "tiny-quick", (replace(QUICK, steps=1), tiny.SMALL))
    assert tiny.folder("tiny-quick") != before
    monkeypatch.undo()
    monkeypatch.setattr(tiny, "versions", lambda packages: {"python": "0"})
    assert tiny.folder("tiny-quick").name != before.name


def test_the_command_trains_on_files_and_writes_a_folder(tmp_path, capsys):
    lines, rows = tmp_path / "a.txt", tmp_path / "b.csv"
    lines.write_text("\n".join(TEXTS[:400]), "utf-8")
    rows.write_text("text\n" + "\n".join('"' + text.replace('"', '""') + '"' for text in TEXTS[400:]), "utf-8")
    out = tmp_path / "model"
    words = ["text", "pretrain", "--from", str(lines), "--from", str(rows), "-t", "text", "--steps", "3"]
    assert call([*words, "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(out) and told["tokens"] == 3 * 1024
    assert load(str(out), device="cpu").fingerprint == told["fingerprint"]
    assert call([*words, "-o", str(out)]) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert call(words) == 2
    assert "--output" in capsys.readouterr().err


def test_the_command_names_what_is_wrong_with_a_file(tmp_path, capsys):
    bad = tmp_path / "a.jsonl"
    bad.write_text('{"text": 3}\n', "utf-8")
    assert call(["text", "pretrain", "--from", str(bad), "-t", "text", "-o", str(tmp_path / "model")]) == 1
    assert "something else than text" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
