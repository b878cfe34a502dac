"""A small GPT-2 from public text: byte-level BPE, packed documents, AdamW, one thread, one seed.

    made = pretrain(texts, QUICK, Path("quick"))
    model = HFBackend.load("quick")

Weights are safetensors, the tokenizer is `tokenizer.json`, and `pretraining.json` beside them says recipe, versions and
held-out perplexity. Nothing is pickled. Every fiftieth document is held out.

The seed is no secret and need be none: texts, weights and noise of the optimizer are all public here. A model of
private text is trained by `dpsynth.text.dpsgd` alone.

Not guaranteed: the same bits on another machine or with another build of torch. The settings were tried on film reviews
and on docstrings (docs/concepts/text-backends.md), not searched.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress, silent
from dpsynth.sgd.torch_present import require_torch
from dpsynth.text.backends.cached_decoding import steady
from dpsynth.text.backends.hugging_face import HFBackend
from dpsynth.text.backends.model_folder import load_library, quiet

if TYPE_CHECKING:
    import torch

END = "<|endoftext|>"
HELD_OUT = 50
LIBRARIES = ("torch", "transformers", "tokenizers")
SEED = 7
STEP = "pretraining on public text"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is made of a text.

    Attributes:
        vocabulary: tokens of the byte-level BPE, at most.
        width, layers, heads: of the network.
        positions: tokens that it reads, one of which is the end that stands before every text.
        steps: of the optimizer.
        batch: sequences of `positions` tokens a step.
        rate: peak of the learning rate.
        minutes: stop after so many, with the schedule stretched over them; `steps` is then the most.
    """

    vocabulary: int = 2048
    width: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 512
    steps: int = 2000
    batch: int = 2
    rate: float = 4e-3
    minutes: float | None = None


TINY = Recipe()
QUICK = Recipe(vocabulary=768, width=64, layers=2, positions=256, steps=480, rate=5e-3)
"""For tests: the same in seconds."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """What came out.

    Attributes:
        folder: what `HFBackend.load` reads.
        parameters: trainable numbers.
        tokens: read in training.
        seconds: that it took.
        perplexity: of a held-out token.
        bits_per_character: of held-out text, which can be compared between vocabularies.
        fingerprint: of the model, as `HFBackend` tells it.
    """

    folder: Path
    parameters: int
    tokens: int
    seconds: float
    perplexity: float
    bits_per_character: float
    fingerprint: str


def pretrain(texts: Sequence[str], recipe: Recipe, folder: Path, *, progress: Progress = silent) -> Pretrained:
    """Train on public texts and write the model.

    Args:
        texts: public documents.
        recipe: of the model.
        folder: made if it is not there.
        progress: receives steps (seconds, where the recipe counts minutes) and tokens per second.

    Raises:
        ParameterError: too little text for one step, or the extra `text` is not installed.
    """
    require_torch()
    documents = [text for text in texts if text.strip()]
    train = [text for at, text in enumerate(documents) if (at + 1) % HELD_OUT]
    held = [text for at, text in enumerate(documents) if (at + 1) % HELD_OUT == 0]
    progress("reading public text", 0, 1)
    tokenizer = _tokenizer(train or documents, recipe.vocabulary)
    stream = _stream(tokenizer, train)
    progress("reading public text", 1, 1, f"{len(stream):,} tokens")
    if len(stream) <= recipe.positions + 1 or not held:
        raise ParameterError(
            f"The public text has {len(stream):,} tokens in {len(documents):,} documents; expected more than "
            f"{recipe.positions + 1:,} tokens in {HELD_OUT} documents or more.",
            "Give more text, or give it in more documents.",
        )
    network = _network(recipe, tokenizer)
    tokens, seconds = _train(network, stream, recipe, progress)
    loss, read = _held_out(network, _stream(tokenizer, held), recipe)
    whole = _saved(network, tokenizer, recipe, folder)
    made = Pretrained(
        folder=folder,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        tokens=tokens,
        seconds=seconds,
        perplexity=math.exp(loss),
        bits_per_character=loss * read / math.log(2) / sum(map(len, held)),
        fingerprint=HFBackend.of(network, whole, name=folder.name, device="cpu").fingerprint,
    )
    told = {
        "schema": "dpsynth.pretraining/1",
        "recipe": asdict(recipe),
        "versions": {library: version(library) for library in LIBRARIES},
        **{name: value for name, value in asdict(made).items() if name != "folder"},
    }
    (folder / "pretraining.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return made


def _tokenizer(texts: Sequence[str], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    made.encode_special_tokens = True
    return made


def _stream(tokenizer: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    """All documents, an end before each and one after the last."""
    end = tokenizer.token_to_id(END)
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return np.array([token for one in encoded for token in (end, *one.ids)] + [end], dtype=np.int64)


def _network(recipe: Recipe, tokenizer: Any) -> Any:
    import torch

    load_library()
    from transformers import GPT2Config, GPT2LMHeadModel

    end = tokenizer.token_to_id(END)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        n_positions=recipe.positions,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return GPT2LMHeadModel(config)


def _train(network: Any, stream: NDArray[np.int64], recipe: Recipe, progress: Progress) -> tuple[int, float]:
    """Tokens read and seconds taken."""
    import torch

    decayed = [p for p in network.parameters() if p.dim() > 1]
    plain = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.95))
    batches, began, tokens = _batches(stream, recipe), time.monotonic(), 0
    total = recipe.steps if recipe.minutes is None else max(round(60 * recipe.minutes), 1)
    network.train()
    with steady(network.device):
        for step in range(recipe.steps):
            spent = (time.monotonic() - began) / (60 * recipe.minutes) if recipe.minutes else step / recipe.steps
            if spent >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * min(1.0, (step + 1) / 50) * max(0.05, 1 - spent)
            loss: Any = _loss(network, torch.from_numpy(next(batches)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            tokens += recipe.batch * recipe.positions
            passed = time.monotonic() - began
            done = step + 1 if recipe.minutes is None else round(passed)
            progress(STEP, min(done, total - 1), total, f"{tokens / passed:,.0f} tokens/s")
    passed = time.monotonic() - began
    progress(STEP, total, total, f"{tokens / passed:,.0f} tokens/s")
    return tokens, passed


def _batches(stream: NDArray[np.int64], recipe: Recipe) -> Any:
    """Endless sequences of positions + 1 tokens, shape (batch, positions + 1); every pass is cut elsewhere."""
    rng, length = np.random.default_rng(SEED), recipe.positions
    waiting: list[int] = []
    while True:
        while len(waiting) < recipe.batch:
            offset = int(rng.integers(min(length, len(stream) - length - 1) + 1))
            begins = np.arange(offset, len(stream) - length, length)
            waiting += rng.permutation(begins).tolist()
        chosen, waiting = waiting[: recipe.batch], waiting[recipe.batch :]
        yield np.stack([stream[at : at + length + 1] for at in chosen])


def _loss(network: Any, ids: torch.Tensor) -> torch.Tensor:
    import torch

    logits = network(input_ids=ids[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _held_out(network: Any, stream: NDArray[np.int64], recipe: Recipe) -> tuple[float, int]:
    """Mean loss of a token in nats, and how many there were."""
    import torch

    network.eval()
    total, read = 0.0, 0
    with torch.no_grad(), steady(network.device):
        for at in range(0, len(stream) - 1, recipe.positions):
            ids = torch.from_numpy(stream[None, at : at + recipe.positions + 1])
            total += float(_loss(network, ids)) * (ids.shape[1] - 1)
            read += ids.shape[1] - 1
    return total / read, read


def _saved(network: Any, tokenizer: Any, recipe: Recipe, folder: Path) -> Any:
    """Weights and tokenizer on disk; the tokenizer as transformers has it."""
    import transformers

    fast: Any = transformers.PreTrainedTokenizerFast
    whole = fast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END, model_max_length=recipe.positions
    )
    with quiet():
        network.save_pretrained(folder)
        whole.save_pretrained(folder)
    return whole
