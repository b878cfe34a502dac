"""Two processes are one: same sample, same noise, same event, and the same parameters as one process alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.device import device
from dpsynth.sgd.distributed import joined, shares

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import torch
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.sgd.device import device
from dpsynth.sgd.distributed import joined, over_processes
from dpsynth.sgd.arrays import on_cpu, rows_for
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units, train
from dpsynth.tabular.networks.protocol import Columns, network

SIZES = (2, 9, 3, 12)
columns = Columns(
    sizes=SIZES, positions=(np.zeros(0, np.float32),) * 4, shares=tuple(np.full(size, 1 / size) for size in SIZES)
)
codes = np.stack([np.random.default_rng(0).integers(0, size, 200) for size in SIZES], axis=1).astype(np.uint8)

kind, out, grouped, fault = sys.argv[1], sys.argv[2], sys.argv[3] == "units", sys.argv[4]
rank = int(os.environ["RANK"])
made = network(kind).fresh(columns, np.random.default_rng(rank))
if fault == "worker" and rank == 1:
    made.clipped_sum = lambda rows, units, clip: 1 / 0
if fault == "first" and rank == 0:
    made.clipped_sum = lambda rows, units, clip: 1 / 0
schedule = Schedule(probability="0.5", steps=4, sigma="1", clip="2")

def work(parallel):
    units = Units.of(codes, np.arange(200) // 3 if grouped else None)
    event = train(parallel, units, schedule, size=100.0, rate=0.05, noise=unsafe_SeededNoise(7), block=64)
    sums, norms = parallel.clipped_sum(rows_for(parallel.parameters["bias"], codes[:1].astype(np.int64)), None, 1.0)
    return event, norms

with joined(device("cpu")) as own:
    found = over_processes(made, work) if own == rank else 1 / 0
if rank == 0:
    event, norms = found
    arrays = {name: on_cpu(tensor) for name, tensor in made.parameters.items()}
    np.savez(out, event=json.dumps(event.to_json(), sort_keys=True), norms=on_cpu(norms), **arrays)
else:
    if found is not None:
        raise SystemExit("a served rank returned something")
"""


def run(tmp_path, processes, kind="made", grouped="rows", fault="none"):
    """Exit statuses and error texts of all processes, and rank 0's file."""
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
        command = [sys.executable, "-c", PROGRAM, kind, str(out), grouped, fault]
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=120)[1] for process in started]
    return [process.returncode for process in started], errors, out


@pytest.mark.parametrize(
    ("kind", "grouped"),
    [
        ("made", "units"),
        pytest.param("log_linear", "rows", marks=pytest.mark.slow),
        pytest.param("transformer", "units", marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_what_one_trains_and_spend_the_same(tmp_path, kind, grouped):
    found = []
    for processes in (1, 2):
        statuses, errors, out = run(tmp_path, processes, kind, grouped)
        assert statuses == [0] * processes, errors
        found.append(dict(np.load(out)))
    one, two = found
    assert str(one["event"]) == str(two["event"]) and '"count": 4' in str(one["event"])
    assert set(one) == set(two)
    for name in set(one) - {"event"}:
        np.testing.assert_allclose(one[name], two[name], atol=2e-4 if name != "norms" else 1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["worker", "first"])
def test_a_process_that_fails_stops_all_with_an_error(tmp_path, fault):
    statuses, errors, out = run(tmp_path, 2, fault=fault)
    assert all(statuses) and not out.exists()
    failed, other = (1, 0) if fault == "worker" else (0, 1)
    assert "ZeroDivisionError" in errors[failed]
    assert "could not sum its share" in errors[other]


def test_a_group_without_torchrun_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ParameterError, match="RANK is not set"), joined(device("cpu")):
        pass


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=30), processes=st.integers(1, 6))
def test_shares_are_whole_units_each_once_and_about_equal(sizes, processes):
    ranges = shares(sizes, processes)
    assert len(ranges) == processes
    assert [u for first, last in ranges for u in range(first, last)] == list(range(len(sizes)))
    assert max(sum(sizes[first:last]) for first, last in ranges) <= sum(sizes) / processes + max(sizes)
