import importlib.util

import pytest

from paysage import datasets
from paysage.cli import doctor


def test_all_parts_are_looked_at(facts, backend, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    found = facts("doctor")
    assert found["backend"] == f"{backend} on the cpu"
    assert found["backend works"] is True
    assert found["cores"] >= 1
    assert found["blas"][0]["threads"] >= 1
    assert found["numba"]["version"][0].isdigit()
    assert found["optional packages"]["matplotlib"]


@pytest.mark.backend_free
def test_a_backend_that_does_not_work(facts, monkeypatch):
    from paysage import backends as be

    monkeypatch.setattr(be, "_selection", None)
    monkeypatch.setenv("PAYSAGE_BACKEND", "pytoch")
    found = facts("doctor", 1)
    assert "pytoch" in found["backend works"]
    assert any("pytoch" in line for line in found["advice"])


@pytest.mark.backend_free
def test_advice(paysage, monkeypatch, tmp_path):
    there = importlib.util.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda n: None if n == "tensorboard" else there(n))
    monkeypatch.setattr(doctor, "_cores", lambda: 8)
    monkeypatch.setattr(datasets, "find_mnist", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    said = paysage("doctor").out
    assert "advice: the number of threads is chosen by" in said
    assert "OMP_NUM_THREADS: Paysage" in said
    assert "pip install 'paysage[tensorboard]'" in said
    assert "MNIST is not here" in said
    assert "NUMBA_CACHE_DIR" in said
