"""Fits on other backends: the same figures as one process, on a real Dask and Ray cluster, though a worker dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import attacks
from attacks.errors import AttackParameterError
from attacks.generators import membership_classifier
from attacks.generators.backends import running_on
from attacks.shadow.count_queries import CountQueries
from tests.attacks.worlds import people

POPULATION = people(400, np.random.default_rng(7))
SETTINGS = {"fits": 40, "rows": 60, "each": 1, "trials": 0}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(membership_classifier, "TREES", 30)
    monkeypatch.setattr(CountQueries.__init__, "__kwdefaults__", {"queries": 60})


def procedure(note: Path | None = None):
    """A memoriser that goes by value; with a note it kills its own process once, at the seventh fit it hears of."""

    home = os.getpid()

    def fit(rows, seed):
        if note is not None and os.getpid() != home and not note.exists():
            with (note.parent / "count").open("a") as heard:
                heard.write("x")
            if len((note.parent / "count").read_text()) == 7:
                note.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return rows.sample(len(rows), replace=True, random_state=seed)

    return fit


def figures(fit, **more):
    found = attacks.audit_generator(fit, POPULATION, **SETTINGS, **more)
    return [row.estimate for row in found.report.attacks], found.epsilon


@pytest.fixture(scope="module")
def alone():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(membership_classifier, "TREES", 30)
        patch.setattr(CountQueries.__init__, "__kwdefaults__", {"queries": 60})
        return figures(procedure(), backend="sequential")


@pytest.mark.parametrize(("backend", "jobs"), [("loky", 2), ("threading", 3), (None, None)])
def test_figures_do_not_depend_on_backend_and_workers(alone, backend, jobs):
    assert figures(procedure(), backend=backend, jobs=jobs) == alone


def test_a_process_that_is_killed_changes_nothing(alone, tmp_path):
    note = tmp_path / "killed"
    assert figures(procedure(note), backend="loky", jobs=2) == alone
    assert note.exists()


def test_a_procedure_that_always_kills_its_process_is_given_up(tmp_path):
    def fit(rows, seed):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(Exception, match=r"terminated|killed|abruptly"):
        attacks.audit_generator(fit, POPULATION, **SETTINGS, backend="loky", jobs=2)


@pytest.mark.slow
def test_dask_gives_the_same_though_a_worker_is_killed(alone, tmp_path):
    pytest.importorskip("distributed", reason="needs dask.distributed (extra `dask`)")
    note = tmp_path / "killed"
    assert figures(procedure(note), backend="dask", jobs=2) == alone
    assert note.exists()


@pytest.mark.slow
def test_a_dask_cluster_that_runs_already_is_used_and_left_running(alone):
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed (extra `dask`)")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        assert figures(procedure(), backend="dask", address=cluster.scheduler_address) == alone
        with distributed.Client(cluster) as client:
            assert len(client.scheduler_info()["workers"]) == 2


@pytest.mark.slow
def test_ray_gives_the_same_though_a_worker_is_killed(alone, tmp_path):
    pytest.importorskip("ray", reason="needs Ray (extra `ray`)")
    note = tmp_path / "killed"
    assert figures(procedure(note), backend="ray", jobs=2) == alone
    assert note.exists()


@pytest.mark.slow
def test_a_run_that_is_cut_off_on_one_backend_goes_on_with_another(alone, tmp_path):
    pytest.importorskip("distributed", reason="needs dask.distributed (extra `dask`)")
    folder, plain = tmp_path / "fits", procedure()

    def cut_off(name, done, total, detail):
        if name == "shadow fits" and done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        figures(plain, backend="dask", jobs=2, folder=folder, identity="m", progress=cut_off)
    kept = len(list(folder.glob("*.fit")))
    assert 16 <= kept < 40
    assert figures(plain, backend="loky", jobs=2, folder=folder, identity="m") == alone


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backend": "slurm"}, "no backend 'slurm'"),
        ({"backend": "loky", "address": "tcp://there:8786"}, "of a Dask or Ray cluster"),
        ({"backend": None, "address": "auto"}, "of a Dask or Ray cluster"),
    ],
)
def test_what_no_backend_is_is_refused(settings, words):
    with pytest.raises(AttackParameterError, match=words), running_on(**settings):
        pass


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_backend_that_is_not_installed_says_what_to_install(name, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AttackParameterError, match=rf"dpsynth-release\[{name}\]"), running_on(name):
        pass
