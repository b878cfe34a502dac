"""Any causal language model of transformers: from a folder or from the local cache of the hub, weights in float32.

    model = HFBackend.load("models/my-gpt2")                       # a folder with config, safetensors and tokenizer
    model = HFBackend.load("Qwen/Qwen3-0.6B")                      # what is in the cache already; nothing is downloaded
    model = HFBackend.load("Qwen/Qwen3-0.6B", local_files_only=False)

No code from a model's folder is run, no pickle is opened, and weights that the file lacks are an error, not noise.
Weights of half precision are widened: rounding at 8 bits moved a row's logits by 0.06 with the row's padding, as much
as a whole clip of private prediction, and the proof has no room for it.

Mixtures of experts go through the network row by row: together, a row's logits moved by 5e-7 with the rows beside it.

The begin token (BOS), where a model has one, stands before every prompt and is not counted in `width`. Texts cannot
smuggle special tokens in: "<|endoftext|>" inside a text is spelled with ordinary ones.

Not guaranteed: independence of rows to the last bit on a GPU, where it was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, final

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.device import check_precision
from dpsynth.sgd.device import device as device_of
from dpsynth.text.backends.cached_decoding import CachedDecoding, Forward
from dpsynth.text.backends.model_folder import fingerprint_of, folder_of, read_network, read_tokenizer
from dpsynth.text.backends.plain_tokenizer import (
    begin_of,
    end_of,
    plain_tokenizer,
    shared_vocabulary,
    text_of,
    tokens_of,
)
from dpsynth.text.backends.prompts import checked_prompts, with_begin
from dpsynth.text.backends.protocol import Tokens
from dpsynth.text.backends.spelling import tokenizer_spelling

SMALL = 20_000_000
"""Parameters up to which a block of many rows costs a CPU little more than one of few."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HFBackend:
    """A transformers model with its tokenizer; make it with `load` or `of`.

    Attributes:
        name: folder or hub id, for cards.
        module: the `PreTrainedModel`, in evaluation mode, with eager attention; whoever trains copies it.
        tokenizer: the `tokenizers.Tokenizer`, which reads special tokens in a text as text.
        vocabulary: ids that the tokenizer has; logits of ids that a model has beyond them are left out.
        begin: id that stands before every prompt; None if the model knows none.
        end: id that ends a text.
        context: most tokens of prompt and text, the begin token not counted.
        fingerprint: SHA-256 over weights, configuration and tokenizer.
        forward: how rows go through the network.
    """

    name: str
    module: Any
    tokenizer: Any
    vocabulary: int
    begin: int | None
    end: int
    context: int
    fingerprint: str
    forward: Forward
    _kept: dict[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "auto",
        local_files_only: bool = True,
        block: int | None = None,
        end_token: str | None = None,
    ) -> Self:
        """A model from files.

        Args:
            model: a folder, or an id on the hub.
            device: auto, cpu, cuda or cuda:N.
            local_files_only: whether an id must be in the local cache already; otherwise it may be downloaded.
            block: rows that go through the network together, see `cached_decoding`; always one for mixtures of experts.
            end_token: the token that ends a text, for tokenizers that name none.

        Raises:
            ModelError: files are missing, unsafe or do not belong together.
            ParameterError: a device that is not there.
        """
        folder = folder_of(str(model), local_files_only=local_files_only)
        return cls.of(
            read_network(folder),
            read_tokenizer(folder),
            name=str(model) if folder != Path(model) else folder.name,
            device=device,
            block=block,
            end_token=end_token,
        )

    @classmethod
    def of(
        cls,
        network: Any,
        tokenizer: Any,
        *,
        name: str,
        device: str = "auto",
        block: int | None = None,
        end_token: str | None = None,
    ) -> Self:
        """A model that is in memory, such as one that was just fine-tuned; it is moved to the device and to float32.

        Args:
            network: a causal `PreTrainedModel`.
            tokenizer: its `PreTrainedTokenizerFast`.
            name: for cards.
            device: auto, cpu, cuda or cuda:N.
            block: rows that go through the network together.
            end_token: the token that ends a text, for tokenizers that name none.
        """
        network = _ready(network, device_of(device))
        size = int(network.get_output_embeddings().weight.shape[0])
        encoder = plain_tokenizer(tokenizer)
        vocabulary = shared_vocabulary(encoder, size)
        if _mixes_experts(network):
            block = 1
        elif block is None:
            block = 64 if sum(parameter.numel() for parameter in network.parameters()) <= SMALL else 8
        return cls(
            name=name,
            module=network,
            tokenizer=encoder,
            vocabulary=vocabulary,
            begin=begin_of(tokenizer, vocabulary),
            end=end_of(tokenizer, vocabulary, end_token),
            context=_context(network) - 1,
            fingerprint=fingerprint_of(network, encoder),
            forward=Forward(network=network, block=block, vocabulary=vocabulary),
        )

    @property
    def spelling(self) -> tuple[bytes, ...]:
        """Bytes of each id; found once."""
        if "spelling" not in self._kept:
            self._kept["spelling"] = tokenizer_spelling(self.tokenizer, self.vocabulary)
        return self._kept["spelling"]

    def with_module(self, module: Any, *, name: str) -> HFBackend:
        """This tokenizer, end and context over other weights of the same architecture."""
        made = _ready(module, self.module.device)
        return replace(
            self,
            name=name,
            module=made,
            fingerprint=fingerprint_of(made, self.tokenizer),
            forward=replace(self.forward, network=made),
        )

    def tokens(self, text: str) -> Tokens:
        """Ids of a text, no special token among them."""
        return tokens_of(self.tokenizer, text)

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of ids, special tokens left out."""
        return text_of(self.tokenizer, tokens)

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> CachedDecoding:
        """Rows that begin with these prompts."""
        whole = with_begin(self, checked_prompts(self, prompts, width, room))
        lead = self.end if self.begin is None else self.begin
        return CachedDecoding.start(self.forward, whole, width=width + 1, null=lead, room=room)


def _ready(network: Any, device: Any) -> Any:
    """On the device, in float32, in evaluation mode, with masks written out."""
    made = network.to(device).float().eval()
    check_precision(dict(made.named_parameters()))
    if made.config._attn_implementation != "eager":
        made.set_attn_implementation("eager")
    return made


def _mixes_experts(network: Any) -> bool:
    """Whether tokens are sorted to experts, so that a row's products take their shapes from the rows beside it."""
    settings = network.config.get_text_config().to_dict()
    return any("expert" in name and isinstance(value, int) and value > 1 for name, value in settings.items())


def _context(network: Any) -> int:
    """Positions that the model was made for."""
    found = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(found, int) or found < 2:
        raise ParameterError(
            "The model's configuration names no max_position_embeddings, so its context is unknown.",
            "Use a model with a stated context.",
        )
    return found
