"""Models of transformers: rows to the last bit in every family, and files that are refused by name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `text` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `text` is not installed")

from dpsynth.core.errors import ModelError, ParameterError  # noqa: E402
from dpsynth.text.backends import load  # noqa: E402
from dpsynth.text.backends.generation import generate  # noqa: E402
from dpsynth.text.backends.hugging_face import HFBackend  # noqa: E402
from tests.conformance.backend import BackendConformance  # noqa: E402
from tests.text import small_models  # noqa: E402


@cache
def loaded(family: str, **shape: int) -> HFBackend:
    folder = Path(mkdtemp(prefix="dpsynth-model-"))
    return HFBackend.load(small_models.save(folder, family, **shape), device="cpu")


class TestGPT2(BackendConformance):
    def make(self):
        return loaded("gpt2")


class TestGPT2Untied(BackendConformance):
    def make(self):
        return loaded("gpt2-untied")


class TestLlama(BackendConformance):
    def make(self):
        return loaded("llama")


class TestLlamaTied(BackendConformance):
    def make(self):
        return loaded("llama-tied")


class TestQwen3(BackendConformance):
    def make(self):
        return loaded("qwen3")


class TestGemma(BackendConformance):
    def make(self):
        return loaded("gemma")


class TestGemma2(BackendConformance):
    """Its windows are 16 tokens: shorter than the prompts."""

    def make(self):
        return loaded("gemma2")


class TestGemma3(BackendConformance):
    """Its windows are 16 tokens: shorter than the prompts."""

    def make(self):
        return loaded("gemma3")


class TestMixtral(BackendConformance):
    """Tokens are sorted to experts: matrices take their shapes from all rows that go together."""

    def make(self):
        return loaded("mixtral", width=256, layers=1)


# --- what the rows are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_logits_are_those_of_the_network_on_the_bare_prefix(family):
    """No padding, no cache, no block: what transformers itself says, windows included."""
    model = loaded(family)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, model.vocabulary, length) for length in (1, 7, 20, 40)]
    decoding = model.start(prompts, width=44, room=20)
    more = rng.integers(3, model.vocabulary, 20)
    for token in more:
        decoding.append(np.full(len(prompts), token))
    told = decoding.logits()
    for row, prompt in enumerate(prompts):
        whole = torch.tensor([[model.begin, *prompt.tolist(), *more.tolist()]])
        with torch.no_grad():
            own = model.module(input_ids=whole, attention_mask=torch.ones_like(whole)).logits[0, -1].numpy()
        assert np.abs(told[row] - own).max() <= 2e-5 * np.abs(own).max()


def test_another_size_of_block_gives_nearly_the_same():
    model = loaded("gpt2")
    prompts = [np.arange(3, 9), np.arange(30, 33)]
    other = HFBackend.of(model.module, small_models.tokenizer(), name="other", device="cpu", block=3)
    assert np.allclose(
        model.start(prompts, width=9, room=0).logits(), other.start(prompts, width=9, room=0).logits(), atol=1e-5
    )


def test_prompts_longer_than_a_block_is_wide_are_read_in_parts():
    """128 positions by 64 rows are read at once, 129 are not: the parts have shapes of their own, always the same."""
    folder = small_models.save(Path(mkdtemp(prefix="dpsynth-model-")), "llama", positions=400)
    model = HFBackend.load(folder, device="cpu")
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, model.vocabulary, length) for length in (300, 2, 150)]
    many = [*(rng.integers(3, model.vocabulary, 200) for _ in range(70)), *prompts]
    few = model.start(prompts, width=300, room=1)
    assert np.array_equal(few.logits(), model.start(many, width=300, room=1).logits()[70:])
    few.append(np.array([5, 6, 7]))
    assert np.array_equal(few.fork(np.array([2])).logits(), few.logits()[2:])


def test_threads_of_torch_are_left_as_they_were():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        loaded("gpt2").start([np.array([5])], width=1, room=0).logits()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# --- files ------------------------------------------------------------------------------------------------------------


def altered(folder: Path, name: str, **changes) -> None:
    path = folder / name
    told = json.loads(path.read_text("utf-8"))
    path.write_text(
        json.dumps({key: value for key, value in {**told, **changes}.items() if value is not None}), "utf-8"
    )


def test_a_folder_is_loaded_by_its_path(tmp_path):
    model = load(str(small_models.save(tmp_path / "mine")), device="cpu")
    assert model.name == "mine" and model.context == 127


def test_the_fingerprint_knows_one_weight_and_forgets_where_the_file_was(tmp_path):
    one = HFBackend.load(small_models.save(tmp_path / "a"), device="cpu")
    two = HFBackend.load(small_models.save(tmp_path / "b"), device="cpu")
    assert one.fingerprint == two.fingerprint
    with torch.no_grad():
        next(iter(two.module.parameters()))[0, 0] += 1e-3
    assert two.with_module(two.module, name="moved").fingerprint != one.fingerprint
    assert one.with_module(one.module, name="same").fingerprint == one.fingerprint


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_widened(tmp_path, dtype):
    small_models.network("llama", 300).to(getattr(torch, dtype)).save_pretrained(tmp_path)
    small_models.tokenizer(300).save_pretrained(tmp_path)
    model = HFBackend.load(tmp_path, device="cpu")
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}


def test_an_id_is_not_downloaded_unless_allowed(monkeypatch, tmp_path):
    with pytest.raises(ModelError, match=r"nothing is downloaded.*local_files_only=False"):
        load("nobody/no-such-model", device="cpu")
    with pytest.raises(ModelError, match="no id of a model"):
        load("no such model!", device="cpu")


def test_weights_that_can_run_code_are_refused(tmp_path):
    small_models.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors"):
        HFBackend.load(tmp_path, device="cpu")


def test_code_beside_a_model_is_not_run(tmp_path):
    small_models.save(tmp_path)
    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n", "utf-8")
    altered(tmp_path, "config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own"})
    with pytest.raises(ModelError, match="cannot be read"):
        HFBackend.load(tmp_path, device="cpu")
    assert not ran.exists()


def test_weights_that_the_file_lacks_are_refused(tmp_path):
    small_models.save(tmp_path)
    altered(tmp_path, "config.json", n_layer=3)
    with pytest.raises(ModelError, match="lacks 12 of the model's weights"):
        HFBackend.load(tmp_path, device="cpu")


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    small_models.save(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        HFBackend.load(tmp_path, device="cpu")


@pytest.mark.parametrize("size", [400, 1000])
def test_a_tokenizer_of_another_model_is_refused(tmp_path, size):
    """One with more tokens than the model, and one with far fewer."""
    small_models.network("gpt2", 320 if size == 400 else 1000).save_pretrained(tmp_path)
    texts = [f"{word}{number}" for number in range(99) for word in ("alpha", "beta", "gamma")]
    small_models.tokenizer(400, texts=texts).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="do not match"):
        HFBackend.load(tmp_path, device="cpu")


def test_a_vocabulary_that_was_rounded_up_is_cut_to_the_tokenizers(tmp_path):
    tokens = small_models.tokenizer(300)
    small_models.network("llama", 320).save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    model = HFBackend.load(tmp_path, device="cpu")
    assert model.vocabulary == len(tokens) == 300
    assert model.start([np.array([4])], width=1, room=0).logits().shape == (1, 300)


def test_a_special_token_beyond_the_model_is_never_used(tmp_path):
    """As Gemma 3, whose tokenizer has one for images that the text model lacks."""
    tokens = small_models.tokenizer()
    small_models.network("gemma3", len(tokens)).save_pretrained(tmp_path)
    tokens.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokens.save_pretrained(tmp_path)
    model = HFBackend.load(tmp_path, device="cpu")
    assert model.vocabulary == len(tokens) - 1 == 320
    assert model.text(model.tokens("an <image> here")) == "an <image> here"


def test_a_model_without_a_pad_token_and_without_a_begin_token(tmp_path):
    """As Qwen3: `end` stands for an empty prompt and nothing before the others."""
    small_models.save(tmp_path, "qwen3", special={"eos_token": "<eos>"})
    model = HFBackend.load(tmp_path, device="cpu")
    assert model.begin is None
    prompts = [np.zeros(0, dtype=np.int64), np.array([9, 10])]
    told = model.start(prompts, width=3, room=0).logits()
    for row, ids in enumerate(([model.end], [9, 10])):
        with torch.no_grad():
            own = model.module(input_ids=torch.tensor([ids])).logits[0, -1].numpy()
        assert np.abs(told[row] - own).max() < 1e-5


def test_a_tokenizer_without_an_end_needs_one_by_name(tmp_path):
    small_models.save(tmp_path, special={"bos_token": "<bos>"})
    with pytest.raises(ModelError, match=r"no token that ends a text.*end_token"):
        HFBackend.load(tmp_path, device="cpu")
    named = HFBackend.load(tmp_path, device="cpu", end_token="<bos>")
    assert named.end == named.begin


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    small_models.network("gpt2").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="tokenizer"):
        HFBackend.load(tmp_path, device="cpu")


def test_special_tokens_inside_a_text_are_text():
    model = loaded("gpt2")
    ids = model.tokens("<eos> and <bos> and <pad>")
    assert not {0, 1, 2} & set(ids.tolist())
    assert model.text(ids) == "<eos> and <bos> and <pad>"


def test_a_network_of_nan_is_an_error_for_public_prefixes_and_handed_on_for_others(tmp_path):
    """An error after a private prefix would tell of it (`test_private_prediction`)."""
    model = HFBackend.load(small_models.save(tmp_path), device="cpu")
    with torch.no_grad():
        next(iter(model.module.parameters())).fill_(float("nan"))
    assert np.isnan(model.start([np.array([5])], width=1, room=0).logits()).all()
    with pytest.raises(ModelError, match="not finite"):
        generate(model, [np.array([5])], most=1, rng=np.random.default_rng(0))


def test_a_device_that_is_not_there_is_an_error(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ParameterError, match="torch finds 0 GPUs"):
        HFBackend.load(small_models.save(tmp_path), device="cuda")


def test_a_model_that_keeps_another_state_than_keys_and_values_is_refused(tmp_path):
    config = transformers.Lfm2Config(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        layer_types=["conv", "full_attention"],
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = HFBackend.of(transformers.Lfm2ForCausalLM(config), small_models.tokenizer(), name="conv", device="cpu")
    with pytest.raises(ModelError, match="whose rows cannot be copied"):
        model.start([np.array([5])], width=1, room=1)
