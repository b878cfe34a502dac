"""Small models of real classes, weights random, tokenizer trained on a few lines, saved as users save theirs."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LINES = [
    "The bank charged a late fee after the payment was made on time.",
    "I called the company and nobody answered my question about the loan.",
    "They said the account was closed, but I never asked for that.",
    "My credit report shows a debt that is not mine.",
]
FAMILIES = ("gpt2", "gpt2-untied", "llama", "llama-tied", "qwen3", "gemma", "gemma2", "gemma3")
SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}


def tokenizer(
    size: int = 320, special: dict[str, str] | None = None, texts=LINES
) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of at most `size` tokens; `special` names its special tokens."""
    named = SPECIAL if special is None else special
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(dict.fromkeys(named.values())),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **named)


def network(
    family: str, vocabulary: int = 320, *, width: int = 32, layers: int = 2, positions: int = 128, seed: int = 0
):
    """A model of that family with random weights, attention windows of 16 where it has any."""
    common = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": width // 4,
        "max_position_embeddings": positions,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if family.startswith("gpt2"):
        config = transformers.GPT2Config(
            vocab_size=vocabulary,
            n_embd=width,
            n_layer=layers,
            n_head=4,
            n_positions=positions,
            tie_word_embeddings=family == "gpt2",
            **ids,
        )
        make = transformers.GPT2LMHeadModel
    elif family.startswith("llama"):
        config = transformers.LlamaConfig(**common, tie_word_embeddings=family == "llama-tied")
        make = transformers.LlamaForCausalLM
    elif family == "mixtral":
        mixture = transformers.MixtralConfig(**common, num_local_experts=4, num_experts_per_tok=2)
        config, make = mixture, transformers.MixtralForCausalLM
    elif family == "qwen3":
        config, make = transformers.Qwen3Config(**common, tie_word_embeddings=True), transformers.Qwen3ForCausalLM
    elif family == "gemma":
        config, make = transformers.GemmaConfig(**common), transformers.GemmaForCausalLM
    elif family == "gemma2":
        config = transformers.Gemma2Config(**common, sliding_window=16, query_pre_attn_scalar=width // 4)
        make = transformers.Gemma2ForCausalLM
    else:
        config = transformers.Gemma3TextConfig(
            **common,
            sliding_window=16,
            query_pre_attn_scalar=width // 4,
            layer_types=["sliding_attention", "full_attention"] * (layers // 2),
        )
        make = transformers.Gemma3ForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = make(config)
        for parameter in made.parameters():  # libraries start at 0.02, where all logits are nearly alike
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def save(folder: Path, family: str = "gpt2", *, special: dict[str, str] | None = None, **shape) -> Path:
    """A folder as `save_pretrained` leaves it."""
    made = tokenizer(special=special)
    model = network(family, vocabulary=len(made), **shape)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
