"""A GPT-2 of transformers as a GGUF file in float32, for the tests of llama.cpp's adapter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def write_gguf(network, tokenizer, path: Path) -> Path:
    """The same weights and the same tokenizer (byte-level BPE) in llama.cpp's form."""
    import gguf

    config, told = network.config, json.loads(tokenizer.backend_tokenizer.to_str())
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    words = sorted(told["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["id"] for token in told["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if at in special else gguf.TokenType.NORMAL for _, at in words]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([word for word, _ in words])
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in told["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)
    for name, tensor in network.state_dict().items():
        array = tensor.numpy().astype(np.float32)
        if array.ndim == 2 and ".h." in name:
            array = array.T  # `Conv1D` keeps its weights the other way round
        own = _name(name)
        if own is not None:
            writer.add_tensor(own, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _name(name: str) -> str | None:
    whole = {
        "transformer.wte.weight": "token_embd.weight",
        "transformer.wpe.weight": "position_embd.weight",
        "transformer.ln_f.weight": "output_norm.weight",
        "transformer.ln_f.bias": "output_norm.bias",
        "lm_head.weight": "output.weight",
    }
    parts = {
        "ln_1": "attn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    }
    if name in whole:
        return whole[name]
    _, _, layer, *middle, kind = name.split(".")
    part = ".".join(middle)
    return f"blk.{layer}.{parts[part]}.{kind}" if part in parts else None
