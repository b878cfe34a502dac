"""Two processes train the language model that one trains: same sample, same noise, same event."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.sgd.arrays import on_cpu
from dpsynth.sgd.device import device
from dpsynth.sgd.distributed import joined, over_processes
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, train
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.causal_network import engine_for
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.trainable import trainable
from tests.text.small_models import network

rank, out = int(os.environ["RANK"]), sys.argv[1]
layout = Layout(length=10, vocabulary=61, end=2)
loss = CausalLoss([np.array([1])], vocabulary=61, end=2)
base = network("gpt2", vocabulary=61, width=16, positions=32)
made = engine_for(trainable(base, "lora", rank=2, device=torch.device("cpu")), loss, layout).network
rng = np.random.default_rng(0)
rows = np.stack([layout.row(rng.integers(0, 61, rng.integers(0, 12)), 0) for _ in range(60)])
if rank:  # only rank 0's records and random numbers matter
    rows = rows[:1]

def work(parallel):
    schedule = Schedule(probability="0.5", steps=3, sigma="1", clip="1")
    units = Units.of(rows, np.arange(60) // 3)
    return train(parallel, units, schedule, size=20.0, rate=0.05, noise=unsafe_SeededNoise(7), block=16)

with joined(device("cpu")):
    event = over_processes(made, work)
if rank == 0:
    arrays = {name: on_cpu(tensor) for name, tensor in made.parameters.items()}
    np.savez(out, event=json.dumps(event.to_json(), sort_keys=True), **arrays)
"""


def run(tmp_path, processes):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / f"{processes}.npz"
    started = []
    for rank in range(processes):
        environment = os.environ | {
            "RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", PROGRAM, str(out)]
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0] * processes, errors
    return dict(np.load(out))


@pytest.mark.slow
def test_two_processes_fine_tune_what_one_does_and_spend_the_same(tmp_path):
    """Frozen weights are each process's own, so they are the same only if every process loads the same model."""
    one, two = run(tmp_path, 1), run(tmp_path, 2)
    assert str(one["event"]) == str(two["event"]) and '"count": 3' in str(one["event"])
    assert set(one) == set(two) and len(one) > 8
    for name in set(one) - {"event"}:
        np.testing.assert_allclose(one[name], two[name], atol=2e-4, err_msg=name)
