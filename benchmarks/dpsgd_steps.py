"""What a DP-SGD step costs beside plain training: records per CPU second, and memory, for every architecture.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/dpsgd_steps.py [--rounds 20] [--json FILE]

Ways of one architecture take turns in one process, round after round, one step each on the same made-up rows, so that
load on the machine falls on all alike; a figure is the median over rounds of CPU seconds a step, process-wide. `plain`
is the gradient of the mean loss by torch's autograd, no clipping; `ours` is `clipped_sum`; Opacus runs the same
architecture from torch's own layers (unmasked where a layer is masked here, which is more favourable to it: a masked
layer has no sampler there), per-row gradients by hooks and ghost clipping (two backward passes). None adds noise or
moves parameters: that cost does not depend on the way. Peak memory is the growth of a fresh process over one step.

Sizes are those of Adult with 48 codes a numeric column: 15 columns, 314 codes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dpsynth.sgd import arrays
from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns, network

SIZES = (2, 2, 5, 6, 7, 9, 14, 15, 16, 41, 48, 48, 48, 48, 5)
ROWS = {"log_linear": 1024, "made": 1024, "transformer": 512}
SLOW_ROWS = 256
"""Rows of a step of Opacus' hooks: they hold one gradient a row."""
GOALS = {"log_linear": 0.9, "made": 0.9, "transformer": 0.7}
WAYS = ("plain", "ours", "opacus ghost", "opacus hooks")

Step = Callable[[], object]


def columns() -> Columns:
    """Columns of Adult's sizes; those of 48 codes are numbers."""
    rng = np.random.default_rng(0)
    return Columns(
        sizes=SIZES,
        positions=tuple(np.linspace(0, 1, size if size == 48 else 0, dtype=np.float32) for size in SIZES),
        shares=tuple(rng.dirichlet(np.ones(size)) for size in SIZES),
    )


def made_rows(count: int) -> np.ndarray:
    """Random codes, shape (count, columns)."""
    rng = np.random.default_rng(1)
    return np.stack([rng.integers(0, size, count) for size in SIZES], axis=1).astype(np.int64)


class Flat(nn.Module):
    """The log-linear network (width 0) and MADE of dense layers over all features at once."""

    def __init__(self, of: Columns, width: int) -> None:
        super().__init__()
        tables = all_features(of)
        self.inputs = sum(table.shape[1] for table in tables)
        self.register_buffer("features", torch.block_diag(*map(torch.from_numpy, tables)), persistent=False)  # type: ignore[no-untyped-call]
        self.direct = nn.Linear(self.inputs, sum(SIZES))
        self.hidden = nn.Linear(self.inputs, width * (len(SIZES) - 1)) if width else None
        self.out = nn.Linear(width * (len(SIZES) - 1), sum(SIZES), bias=False) if width else None

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Features -> logits; plain training masks the weights beforehand, see `masked`."""
        logits: torch.Tensor = self.direct(seen)
        if self.hidden is not None and self.out is not None:
            logits = logits + self.out(torch.relu(self.hidden(seen)))
        return logits


class Attending(nn.Module):
    """The transformer of torch's own layers."""

    def __init__(self, of: Columns, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        del of
        self.heads, self.layers = heads, layers
        self.vectors, self.slots = nn.Embedding(sum(SIZES) + 1, width), nn.Embedding(len(SIZES), width)
        self.attend = nn.ModuleList([nn.Linear(width, 3 * width) for _ in range(layers)])
        self.mix = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
        self.up = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(layers)])
        self.down = nn.ModuleList([nn.Linear(2 * width, width) for _ in range(layers)])
        self.first = nn.ModuleList([nn.LayerNorm(width, elementwise_affine=False) for _ in range(layers)])
        self.second = nn.ModuleList([nn.LayerNorm(width, elementwise_affine=False) for _ in range(layers)])
        self.last = nn.LayerNorm(width, elementwise_affine=False)
        self.out = nn.ModuleList([nn.Linear(width, size) for size in SIZES])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """What every slot sees -> logits."""
        rows, slots = ids.shape
        x = self.vectors(ids) + self.slots(torch.arange(slots).expand(rows, slots).contiguous())
        for at in range(self.layers):
            split = self.attend[at](self.first[at](x)).view(rows, slots, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(*split.unbind(0), is_causal=True)
            x = x + self.mix[at](mixed.transpose(1, 2).reshape(x.shape))
            x = x + self.down[at](torch.relu(self.up[at](self.second[at](x))))
        x = self.last(x)
        return torch.cat([layer(x[:, at]) for at, layer in enumerate(self.out)], dim=1)


def losses(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Each row's loss, columns added up."""
    parts = torch.split(logits, list(SIZES), dim=1)
    return torch.stack(
        [nn.functional.cross_entropy(own, rows[:, at], reduction="none") for at, own in enumerate(parts)]
    ).sum(0)


def module_and_input(kind: str, codes: np.ndarray) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """The architecture of torch's layers, what it takes, and the rows."""
    torch.manual_seed(0)
    rows = torch.from_numpy(codes)
    offsets = torch.from_numpy(np.cumsum([0, *SIZES[:-1]]))
    if kind == "transformer":
        ids = torch.cat([torch.full((len(rows), 1), sum(SIZES)), (rows + offsets)[:, :-1]], dim=1)
        return Attending(columns()), ids, rows
    module = Flat(columns(), 16 if kind == "made" else 0)
    return module, rows, rows


def step_of(kind: str, way: str) -> tuple[Step, int]:
    """One step, and how many rows it takes."""
    count = SLOW_ROWS if way == "opacus hooks" else ROWS[kind]
    codes = made_rows(count)
    if way == "ours":
        made = network(kind).fresh(columns(), np.random.default_rng(0))
        rows = arrays.rows_for(next(iter(made.parameters.values())), codes)
        return (lambda: made.clipped_sum(rows, None, 5.0)), count
    module, taken, rows = module_and_input(kind, codes)

    def inputs() -> torch.Tensor:
        if kind == "transformer":
            return taken
        offsets = torch.from_numpy(np.cumsum([0, *SIZES[:-1]]))
        return nn.functional.embedding_bag(taken + offsets, module.get_buffer("features"), mode="sum")

    if way == "plain":

        def plain() -> None:
            module.zero_grad()
            losses(module(inputs()), rows).mean().backward()  # type: ignore[no-untyped-call]

        return plain, count
    from opacus import GradSampleModule
    from opacus.grad_sample import GradSampleModuleFastGradientClipping

    if way == "opacus hooks":
        hooked = GradSampleModule(module, loss_reduction="sum", strict=False)

        def hooks() -> None:
            hooked.zero_grad()
            losses(hooked(inputs()), rows).sum().backward()  # type: ignore[no-untyped-call]
            each = [p.grad_sample for p in hooked.parameters()]
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in each]).norm(dim=0)
            factors = (5.0 / norms).clamp(max=1.0)
            for gradient in each:
                torch.tensordot(factors, gradient, dims=1)

        return hooks, count
    ghosted = GradSampleModuleFastGradientClipping(
        module, loss_reduction="sum", strict=False, max_grad_norm=5.0, use_ghost_clipping=True
    )

    def ghost() -> None:
        ghosted.zero_grad()
        ghosted.enable_hooks()
        each = losses(ghosted(inputs()), rows)
        each.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        factors = ghosted.get_clipping_coef()
        ghosted.zero_grad()
        ghosted.disable_hooks()
        (each * factors).sum().backward()

    return ghost, count


def cpu_seconds(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each step, turn by turn."""
    seconds: dict[str, list[float]] = {way: [] for way in steps}
    for number in range(rounds + 2):
        for way, step in steps.items():
            start = time.process_time()
            step()
            if number >= 2:
                seconds[way].append(time.process_time() - start)
    return seconds


def growth(kind: str, way: str) -> float:
    """MiB that one step adds to a fresh process's peak."""
    command = [sys.executable, __file__, "--one", kind, way]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory(name: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process, MiB; `ru_maxrss` would inherit the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def main() -> int:
    """Measure, print, and exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
    torch.set_num_threads(1)
    if options.one:
        step, _ = step_of(*options.one)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = memory("VmRSS")
        step()
        print(memory("VmHWM") - before)
        return 0
    found: list[dict[str, Any]] = []
    print(f"{'network':<12}{'way':<14}{'rows':>6}{'records/CPU s':>15}{'of plain':>10}{'peak MiB':>10}")
    missed = False
    for kind in options.network:
        made = {way: step_of(kind, way) for way in WAYS}
        seconds = cpu_seconds({way: step for way, (step, _) in made.items()}, options.rounds)
        rates = {way: made[way][1] / float(np.median(seconds[way])) for way in WAYS}
        for way in WAYS:
            part = rates[way] / rates["plain"]
            mark = " misses its goal" if way == "ours" and part < GOALS[kind] else ""
            missed |= bool(mark)
            grown = growth(kind, way)
            found.append(
                {"network": kind, "way": way, "rows": made[way][1], "rate": rates[way], "part": part, "mib": grown}
            )
            print(f"{kind:<12}{way:<14}{made[way][1]:>6}{rates[way]:>15,.0f}{part:>10.0%}{grown:>10.0f}{mark}")
    if options.json_file:
        options.json_file.write_text(json.dumps(found, indent=1))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
