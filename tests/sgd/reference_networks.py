"""The same architectures once more from torch's own layers, without masks, tapes or closed forms: the oracles.

Column i's logits come from its own `Linear` over the features of earlier columns, so nothing can be masked wrongly.
`assembled` puts gradients of these layers where the network under test has them. Opacus knows every layer used here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dpsynth.sgd.clipping import MARGIN
from dpsynth.tabular.networks.features import all_features


class Added(nn.Module):
    """A parameter that is added to each row."""

    def __init__(self, *shape):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(*shape))

    def forward(self, x):
        return x + self.value


class Reference(nn.Module):
    """Common ground: features of columns, and losses of logits."""

    def __init__(self, columns):
        super().__init__()
        self.tables = [torch.from_numpy(table).double() for table in all_features(columns)]
        self.sizes, self.widths = list(columns.sizes), [table.shape[1] for table in self.tables]
        self.rows_at, self.codes_at = np.cumsum([0, *self.widths]), np.cumsum([0, *self.sizes])

    def seen(self, rows):
        kind = next(self.parameters()).dtype
        return [table.to(kind)[rows[:, at]] for at, table in enumerate(self.tables)]

    def losses(self, logits, rows):
        return torch.stack([nn.functional.cross_entropy(z, rows[:, i], reduction="none") for i, z in enumerate(logits)])

    def into(self, of, rows, columns, part):
        """Add `part` at these places of `of`."""
        of[..., rows, columns] += part


class Layered(Reference):
    """Log-linear, or MADE where `width` is above 0."""

    def __init__(self, columns, width=0):
        super().__init__(columns)
        self.width, count = width, len(self.sizes)
        self.bias = nn.ModuleList([Added(size) for size in self.sizes])
        self.direct = nn.ModuleList(
            [nn.Linear(int(self.rows_at[i]), self.sizes[i], bias=False) for i in range(1, count)]
        )
        if width:
            self.hidden = nn.ModuleList([nn.Linear(int(self.rows_at[i]), width) for i in range(1, count)])
            self.out = nn.ModuleList([nn.Linear(i * width, self.sizes[i], bias=False) for i in range(1, count)])

    def forward(self, rows):
        seen, logits, hidden = self.seen(rows), [], []
        for at, size in enumerate(self.sizes):
            z = self.bias[at](seen[0].new_zeros(len(rows), size))
            if at:
                before = torch.cat(seen[:at], dim=1)
                z = z + self.direct[at - 1](before)
                if self.width:
                    hidden.append(torch.relu(self.hidden[at - 1](before)))
                    z = z + self.out[at - 1](torch.cat(hidden, dim=1))
            logits.append(z)
        return self.losses(logits, rows).sum(0)

    def places(self):
        """Own name -> (name under test, index there, whether transposed)."""
        made, width = {}, self.width
        for i, size in enumerate(self.sizes):
            own = slice(self.codes_at[i], self.codes_at[i] + size)
            made[f"bias.{i}.value"] = ("bias", own, False)
            if i:
                before, block = slice(0, self.rows_at[i]), slice((i - 1) * width, i * width)
                made[f"direct.{i - 1}.weight"] = ("weights", (before, own), True)
                if width:
                    made[f"hidden.{i - 1}.weight"] = ("hidden_in", (before, block), True)
                    made[f"hidden.{i - 1}.bias"] = ("hidden_bias", block, False)
                    made[f"out.{i - 1}.weight"] = ("hidden_out", (slice(0, i * width), own), True)
        return made


class Attending(Reference):
    """The transformer."""

    def __init__(self, columns, width, layers, heads):
        super().__init__(columns)
        count, self.layers, self.heads = len(self.sizes), layers, heads
        self.vectors = nn.ModuleList([nn.Linear(w, width, bias=False) for w in self.widths[:-1]])
        self.slots = Added(count, width)
        for name, n, k in (("attend", 1, 3), ("mix", 1, 1), ("up", 1, 2), ("down", 2, 1)):
            self.add_module(name, nn.ModuleList([nn.Linear(n * width, k * width) for _ in range(layers)]))
        for name in ("first", "second"):
            self.add_module(name, nn.ModuleList([nn.LayerNorm(width, elementwise_affine=False) for _ in range(layers)]))
        self.last = nn.LayerNorm(width, elementwise_affine=False)
        self.out = nn.ModuleList([nn.Linear(width, size) for size in self.sizes])

    def forward(self, rows):
        seen = self.seen(rows)
        looked = [layer(x) for layer, x in zip(self.vectors, seen, strict=False)]
        start = seen[0].new_zeros(len(rows), self.slots.value.shape[1])
        x = self.slots(torch.stack([start, *looked], dim=1))
        count, width = x.shape[1:]
        ahead = torch.ones(count, count, dtype=torch.bool).triu(1)
        for at in range(self.layers):
            parts = self.attend[at](self.first[at](x)).split(width, dim=2)
            query, key, value = (part.reshape(len(x), count, self.heads, -1).transpose(1, 2) for part in parts)
            weights = (query @ key.transpose(2, 3) / (width / self.heads) ** 0.5).masked_fill(ahead, -torch.inf)
            x = x + self.mix[at]((weights.softmax(3) @ value).transpose(1, 2).reshape(x.shape))
            x = x + self.down[at](torch.relu(self.up[at](self.second[at](x))))
        x = self.last(x)
        return self.losses([layer(x[:, at]) for at, layer in enumerate(self.out)], rows).sum(0)

    def places(self):
        """Own name -> (name under test, index there, whether transposed)."""
        made = {"slots.value": ("slots", ..., False)}
        for i in range(len(self.sizes) - 1):
            made[f"vectors.{i}.weight"] = ("vectors", slice(self.rows_at[i], self.rows_at[i + 1]), True)
        for at in range(self.layers):
            for name in ("attend", "mix", "up", "down"):
                made[f"{name}.{at}.weight"] = (f"{name}_{at}", ..., True)
                made[f"{name}.{at}.bias"] = (f"{name}_{at}_bias", ..., False)
        for i, size in enumerate(self.sizes):
            own = slice(self.codes_at[i], self.codes_at[i] + size)
            made[f"out.{i}.weight"] = ("out", (slice(None), own), True)
            made[f"out.{i}.bias"] = ("bias", own, False)
        return made


def like(reference, network, kind=torch.float64):
    """The reference with the network's parameters."""
    reference = reference.to(kind)
    with torch.no_grad():
        own = dict(reference.named_parameters())
        places = reference.places()
        assert set(own) == set(places)
        for name, (theirs, index, transposed) in places.items():
            part = torch.as_tensor(network.parameters[theirs][index]).to(kind)
            own[name].copy_(part.T if transposed else part)
    return reference


def assembled(reference, network, gradients):
    """Gradients of the reference's layers as those of the network's parameters."""
    made = {name: torch.zeros(tuple(tensor.shape), dtype=torch.float64) for name, tensor in network.parameters.items()}
    for name, (theirs, index, transposed) in reference.places().items():
        made[theirs][index] += gradients[name].double().T if transposed else gradients[name].double()
    return made


def one_by_one(reference, rows, units, clip):
    """Clipped sums and norms by autograd in float64, one unit at a time."""
    numbers = torch.arange(len(rows)) if units is None else units
    parameters, norms = dict(reference.named_parameters()), []
    sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for unit in range(int(numbers[-1]) + 1):
        found = torch.autograd.grad(reference(rows[numbers == unit]).sum(), list(parameters.values()))
        norms.append(torch.sqrt(sum((gradient**2).sum() for gradient in found)))
        for name, gradient in zip(parameters, found, strict=True):
            sums[name] += gradient * min(1.0, clip * (1 - MARGIN) / max(float(norms[-1]), 1e-12))
    return {name: tensor.detach() for name, tensor in sums.items()}, torch.stack(norms).detach()
