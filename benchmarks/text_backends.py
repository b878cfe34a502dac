"""Models of public text: perplexity against time, speed of decoding, and whether rows stay apart at larger widths.

python benchmarks/text_backends.py [pretraining|decoding|rows|shapes] [--reviews movie_reviews.zip]

Without a word all of them. Prints tables and writes text_backends.json. One core is used.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from dpsynth.text.backends import load
from dpsynth.text.backends.embedded_text import documents
from dpsynth.text.backends.generation import generate
from dpsynth.text.backends.hugging_face import HFBackend
from dpsynth.text.backends.pretraining import TINY, pretrain

STEPS = (250, 1000, 2000)


def cpu() -> float:
    """Seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def pretraining(reviews: Path | None) -> list[dict[str, object]]:
    """Held-out figures after some numbers of steps, each a run of its own."""
    corpora: dict[str, Sequence[str]] = {"embedded": documents()}
    if reviews is not None:
        with zipfile.ZipFile(reviews) as held:
            names = sorted(name for name in held.namelist() if name.endswith(".txt"))
            corpora["movie_reviews"] = [held.read(name).decode("latin-1") for name in names]
    rows = []
    for name, texts in corpora.items():
        for steps in STEPS:
            with tempfile.TemporaryDirectory() as folder:
                before = cpu()
                made = pretrain(texts, replace(TINY, steps=steps), Path(folder))
                row = {
                    "corpus": name,
                    "characters": sum(map(len, texts)),
                    "steps": steps,
                    "tokens": made.tokens,
                    "cpu_s": round(cpu() - before),
                    "wall_s": round(made.seconds),
                    "perplexity": round(made.perplexity, 1),
                    "bits_per_character": round(made.bits_per_character, 3),
                }
            rows.append(row)
            print(row, flush=True)
    return rows


def decoding() -> list[dict[str, object]]:
    """Tokens a CPU second of generation and of private prediction's shape: 8 and 32 rows a text."""
    rows = []
    for name in ("ngram", "tiny-quick", "tiny"):
        model = load(name)
        rng = np.random.default_rng(0)
        before = cpu()
        texts = generate(model, [model.tokens("")] * 256, most=100, rng=rng)
        drawn = sum(len(model.tokens(text)) for text in texts)
        row: dict[str, object] = {"model": name, "generated_tokens_per_cpu_s": round(drawn / (cpu() - before))}
        for each in (8, 32):
            texts_at_once = 512 // each
            prompts = [rng.integers(3, model.vocabulary, 64) for _ in range(each * texts_at_once)]
            before = cpu()
            started = model.start(prompts, width=64, room=60)
            for _ in range(60):
                told = started.logits().reshape(texts_at_once, each, -1).mean(axis=1)
                started.append(np.repeat(told.argmax(axis=1), each))
            row[f"tokens_per_cpu_s_with_{each}_rows_a_text"] = round(60 * texts_at_once / (cpu() - before))
        rows.append(row)
        print(row, flush=True)
    return rows


def rows_apart() -> list[dict[str, object]]:
    """Largest difference of a row's logits when other rows, its place or the number of rows change."""
    import torch
    import transformers

    whole = _byte_tokenizer()
    found: list[dict[str, object]] = []
    for family, width, block in (
        ("GPT2", 128, 64),
        ("GPT2", 768, 64),
        ("GPT2", 768, 8),
        ("Llama", 384, 64),
        ("Llama", 1024, 8),
        ("Qwen3", 1024, 8),
        ("Gemma2", 1024, 8),
        ("Gemma3Text", 1024, 8),
    ):
        shape = {"vocab_size": 257, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
        if family == "GPT2":
            shape |= {"n_embd": width, "n_layer": 2, "n_head": 8, "n_positions": 256}
        else:
            shape |= {"hidden_size": width, "intermediate_size": 11 * width // 4, "num_hidden_layers": 2}
            shape |= {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": width // 8}
            shape |= {"max_position_embeddings": 256}
        network = transformers.AutoModelForCausalLM.from_config(getattr(transformers, f"{family}Config")(**shape))
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    torch.nn.init.normal_(parameter, std=0.1)
        model = HFBackend.of(network, whole, name=family, device="cpu", block=block)
        row = {"family": family, "width": width, "block": block, **apart(model)}
        found.append(row)
        print(row, flush=True)
    return found


def shapes() -> list[dict[str, object]]:
    """How far logits move when the network gets another number of rows at a time: why a block has one shape."""
    import torch
    import transformers

    whole, found = _byte_tokenizer(), []
    for width in (128, 768):
        shape = {"vocab_size": 257, "n_embd": width, "n_layer": 2, "n_head": 4, "n_positions": 128}
        network = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, bos_token_id=0, eos_token_id=0))
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    torch.nn.init.normal_(parameter, std=0.3)
        rng = np.random.default_rng(0)
        prompts = [rng.integers(1, 257, length) for length in (1, 13, 40, 30)]
        told: dict[int, np.ndarray] = {}
        for block in (64, 16, 8, 4, 1):
            model = HFBackend.of(network, whole, name="shape", device="cpu", block=block)
            started = model.start(prompts, width=40, room=1)
            read = started.logits()
            started.append(np.full(4, 5))
            told[block] = np.stack([read, started.logits()])
        row = {"width": width, **{f"64_against_{block}": float(abs(told[block] - told[64]).max()) for block in told}}
        found.append(row)
        print(row, flush=True)
    return found


def _byte_tokenizer() -> Any:
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = {token: at for at, token in enumerate(["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokens = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token="<end>", eos_token="<end>")


def apart(model: HFBackend) -> dict[str, float]:
    """Of four rows over three steps."""
    rng = np.random.default_rng(0)

    def told(prompts: Sequence[np.ndarray]) -> np.ndarray:
        started, seen = model.start(prompts, width=48, room=3), []
        for step in range(3):
            seen.append(started.logits())
            started.append(np.full(len(prompts), 7 + step))
        return np.stack([*seen, started.logits()], axis=1)

    own = [rng.integers(1, model.vocabulary, length) for length in (1, 13, 48, 30)]
    others = [rng.integers(1, model.vocabulary, int(rng.integers(49))) for _ in range(70)]
    before = time.process_time()
    base = told(own)
    took = time.process_time() - before
    content = max(
        float(abs(told([own[at] if row == at else others[row] for row in range(4)])[at] - base[at]).max())
        for at in range(4)
    )
    place = float(abs(told([*others[:3], *own[::-1]])[:2:-1] - base).max())
    count = max(float(abs(told([*others, *own])[70:] - base).max()), float(abs(told(own[:1]) - base[:1]).max()))
    return {"content": content, "place": place, "count": count, "largest_logit": float(abs(base).max()), "cpu_s": took}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", choices=["pretraining", "decoding", "rows", "shapes", []])
    parser.add_argument("--reviews", type=Path)
    asked = parser.parse_args()
    parts = {
        "pretraining": lambda: pretraining(asked.reviews),
        "decoding": decoding,
        "rows": rows_apart,
        "shapes": shapes,
    }
    told = {name: part() for name, part in parts.items() if not asked.what or name in asked.what}
    Path("text_backends.json").write_text(json.dumps(told, indent=1), "utf-8")


if __name__ == "__main__":
    main()
