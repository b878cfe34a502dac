"""The loss of a record under a causal language model: the mean over its own tokens, given the words of its topic.

    input     end  topic words  t_1  t_2 … t_m     (pad)
    target      -       t_1     t_2  t_3 … end       -

Every record weighs the same, however long: a mean over all tokens of a batch would give each its share of tokens, and
make it depend on its neighbours. Rows are padded on the right, where causal attention does not look, so no mask is
needed; positions are given row by row. Dropout is off.

Not guaranteed: that a model is causal. `taped_module` and `opacus_network` try rows alone and among others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn


@final
class CausalLoss:
    """Losses of rows as `rows.Layout` makes them.

    Args:
        prompts: tokens before a record of each topic, at least one each, such as the end of the text before.
        vocabulary: V, the code of padding.
        end: fed where there is padding; nothing depends on it.

    Attributes:
        topics: how many there are.
        widest: the one with the longest prompt.
    """

    def __init__(self, prompts: Sequence[NDArray[np.int64]], *, vocabulary: int, end: int) -> None:
        import torch

        widest = max(len(prompt) for prompt in prompts)
        table = np.full((len(prompts), widest), end, dtype=np.int64)
        for at, prompt in enumerate(prompts):
            table[at, : len(prompt)] = prompt
        self._prompts = torch.from_numpy(table)
        self._lengths = torch.tensor([len(prompt) for prompt in prompts])
        self._vocabulary, self._end = vocabulary, end
        self.topics = len(prompts)
        self.widest = max(range(len(prompts)), key=lambda at: len(prompts[at]))

    def __call__(self, module: nn.Module, rows: Tensor) -> Tensor:
        """Each row's loss in nats a token, shape (rows,): private."""
        import torch

        ids, targets, weights = self.laid_out(rows)
        places = torch.arange(ids.shape[1], device=ids.device).repeat(len(ids), 1)
        logits = module(input_ids=ids, position_ids=places, use_cache=False).logits
        flat = logits.reshape(-1, logits.shape[-1])
        each = torch.nn.functional.cross_entropy(flat, targets.flatten(), reduction="none").view(ids.shape)
        return (each * weights).sum(1)

    def laid_out(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ids that go in, ids that should come out, and each one's weight; shape (rows, widest record here)."""
        import torch

        topics, texts = rows[:, 0], rows[:, 1:]
        before = self._lengths.to(rows.device)[topics]
        own = (texts != self._vocabulary).sum(1)
        width = int((before + own).max())
        places = torch.arange(width, device=rows.device)[None, :]
        prompts = torch.nn.functional.pad(
            self._prompts.to(rows.device), (0, max(width - self._prompts.shape[1], 0)), value=self._end
        )
        inside = (places - before[:, None]).clamp(0, texts.shape[1] - 1)
        ids = torch.where(places < before[:, None], prompts[topics][:, :width], texts.gather(1, inside))
        told = (places >= before[:, None]) & (places < (before + own)[:, None])
        ids = torch.where(places < (before + own)[:, None], ids, self._end)
        weights = told[:, 1:].float() / own[:, None]
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), weights
