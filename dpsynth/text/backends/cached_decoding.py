"""Rows that grow by one position a step, keys and values kept, in blocks of one fixed shape.

    start    every prompt is padded on its left to `width`; padding is masked and takes no position
    append   one forward of one position; nothing is computed again
    fork     rows of the cache are copied

Matrix products of another shape may add in another order. So rows go through the network in blocks of always `block`
rows, the last one filled up with rows of no text; a row's bits then cannot depend on how many rows there are. That they
do not depend on the place inside a block either is a property of the kernels: the conformance suite measures it.

The padding stands on the left because layers with a sliding window count slots: between a prompt and what follows it
there must be no gap. Masks are always written out (`eager` attention): the short cuts of other kernels are taken or not
by whether *any* row has padding.

Not guaranteed: speed of long texts; a step copies the cache once.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ModelError
from dpsynth.text.backends.prompts import checked_tokens, room_left
from dpsynth.text.backends.protocol import Tokens

if TYPE_CHECKING:
    import torch

PREFILL = 8192
"""Positions, at most, of the block in which prompts are read (more if one row alone has more)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forward:
    """A network and the shape in which it is used.

    Attributes:
        network: a causal `PreTrainedModel`.
        block: rows that go through it together.
        vocabulary: ids whose logits are kept.
    """

    network: Any
    block: int
    vocabulary: int

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits after the last position, float32, shape (rows, V); `cache` grows by the positions of `ids`."""
        import torch

        with torch.no_grad(), steady(self.network.device):
            out = self.network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        last: torch.Tensor = out.logits[:, -1, : self.vocabulary].float()
        return last


@final
@dataclass(slots=True, kw_only=True, eq=False)
class _Block:
    """`block` rows: their cache, which slots hold tokens, how many tokens each has, and what comes next."""

    cache: Any
    mask: torch.Tensor
    lengths: torch.Tensor
    logits: torch.Tensor


@final
@dataclass(slots=True, kw_only=True, eq=False)
class CachedDecoding:
    """See the module."""

    forward: Forward
    rows: int
    left: int
    _blocks: list[_Block] = field(repr=False)
    _waiting: NDArray[np.int64] | None = None

    @classmethod
    def start(cls, forward: Forward, prompts: Sequence[list[int]], *, width: int, null: int, room: int) -> Self:
        """Read the prompts.

        Args:
            forward: the network.
            prompts: ids, 1 to `width` of them a row.
            width: slots that each prompt takes.
            null: the id of which rows without text consist.
            room: most tokens that will be appended.
        """
        rows, block = len(prompts), forward.block
        padded = [*prompts, *([null] for _ in range(-rows % block))]
        ids = np.full((len(padded), width), null, dtype=np.int64)
        mask = np.zeros((len(padded), width), dtype=np.int64)
        for row, prompt in enumerate(padded):
            ids[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = 1
        blocks = [_read(forward, ids[at : at + block], mask[at : at + block]) for at in range(0, len(padded), block)]
        return cls(forward=forward, rows=rows, left=room, _blocks=blocks)

    def logits(self) -> NDArray[np.float32]:
        """Of the next token, shape (rows, V)."""
        import torch

        self._catch_up()
        logits: NDArray[np.float32] = torch.cat([block.logits for block in self._blocks])[: self.rows].cpu().numpy()
        return logits

    def append(self, tokens: Tokens) -> None:
        """One token to each row; the network is asked when the next logits are."""
        checked = checked_tokens(tokens, self.rows, self.forward.vocabulary)
        self.left = room_left(self.left)
        self._catch_up()
        self._waiting = checked

    def fork(self, rows: NDArray[np.int64]) -> CachedDecoding:
        """Copies of these rows, in this order."""
        import torch

        self._catch_up()
        block = self.forward.block
        wanted = np.asarray(rows, dtype=np.int64)
        padded = np.concatenate([wanted, np.zeros(-len(wanted) % block, dtype=np.int64)])
        device = self._blocks[0].mask.device
        chosen = [torch.from_numpy(padded[at : at + block]).to(device) for at in range(0, len(padded), block)]
        blocks = [
            _Block(
                cache=_picked([one.cache for one in self._blocks], at),
                mask=torch.cat([one.mask for one in self._blocks])[at],
                lengths=torch.cat([one.lengths for one in self._blocks])[at],
                logits=torch.cat([one.logits for one in self._blocks])[at],
            )
            for at in chosen
        ]
        return CachedDecoding(forward=self.forward, rows=len(wanted), left=self.left, _blocks=blocks)

    def _catch_up(self) -> None:
        """Send waiting tokens through the network."""
        import torch

        if self._waiting is None:
            return
        size = self.forward.block
        padded = np.concatenate([self._waiting, np.zeros(-self.rows % size, dtype=np.int64)])
        for at, block in enumerate(self._blocks):
            ids = torch.from_numpy(padded[at * size : (at + 1) * size, None]).to(block.mask.device)
            block.mask = torch.cat([block.mask, torch.ones_like(ids)], dim=1)
            block.logits = self.forward(ids, block.mask, block.lengths[:, None], block.cache)
            block.lengths = block.lengths + 1
        self._waiting = None


def _read(forward: Forward, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> _Block:
    """Prompts of one block, as many at a time as `PREFILL` allows: a number that follows from public shapes."""
    import torch
    from transformers import DynamicCache

    device = forward.network.device
    rows, width = ids.shape
    at_once = max(1, min(rows, PREFILL // width))
    while rows % at_once:
        at_once -= 1
    caches, logits = [], []
    given, shown = torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
    for at in range(0, rows, at_once):
        part = shown[at : at + at_once]
        cache = DynamicCache(config=forward.network.config)
        _check_can_be_copied(cache)
        positions = (part.cumsum(dim=1) - 1).clamp(min=0)
        logits.append(forward(given[at : at + at_once], part, positions, cache))
        caches.append(cache)
    everything = torch.arange(rows, device=device)
    cache = caches[0] if len(caches) == 1 else _picked(caches, everything)
    return _Block(cache=cache, mask=shown, lengths=shown.sum(dim=1), logits=torch.cat(logits))


def _check_can_be_copied(cache: Any) -> None:
    """Raise `ModelError` if the model keeps something else than keys and values."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    for layer in cache.layers:
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise ModelError(
                f"The model keeps a state ({type(layer).__name__}) whose rows cannot be copied.",
                "Use a model with plain or sliding-window attention.",
            )


def _picked(caches: Sequence[Any], rows: torch.Tensor) -> Any:
    """A cache of these rows, counted through all caches."""
    import torch

    made = copy.copy(caches[0])
    made.layers = []
    for layers in zip(*(cache.layers for cache in caches), strict=True):
        layer = copy.copy(layers[0])
        layer.keys = torch.cat([one.keys for one in layers])[rows]
        layer.values = torch.cat([one.values for one in layers])[rows]
        made.layers.append(layer)
    return made


@contextmanager
def steady(device: torch.device) -> Iterator[None]:
    """Inside, the same input gives the same bits: one thread on a CPU, deterministic kernels on a GPU."""
    import torch

    if device.type == "cpu":
        threads = torch.get_num_threads()
        if threads == 1:
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
