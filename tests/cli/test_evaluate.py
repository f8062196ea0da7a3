import numpy as np
import pytest
from cli_lines import TRAIN

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer
from paysage.likelihood import log_likelihood
from paysage.models import BoltzmannMachine


@pytest.fixture
def model(here):
    machine = BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4)])
    for owner in (*machine.layers, machine.connections[0].weights):
        for parameter in owner.params:
            parameter[:] = 0.5 * be.randn(be.shape(parameter))
    machine.save("m.h5")
    return machine


def test_a_small_machine_is_summed(facts, paysage, model, rows):
    found = facts("evaluate m.h5 --data rows.npy")
    assert found["log_partition_by"] == "exact sum"
    assert found["rows"] == 60
    low, high = found["interval"]
    assert low == high == pytest.approx(found["log_likelihood"])
    bits = (np.arange(512)[:, None] >> np.arange(9)) & 1
    np.save("all.npy", bits.astype(np.float32))
    # over all states the probabilities sum to one
    visible = be.float_tensor(bits.astype(np.float32))
    each = log_likelihood(model, visible, found["log_partition"]).rows
    assert np.exp(each).sum() == pytest.approx(1.0, abs=1e-4)
    assert facts("evaluate m.h5 --data all.npy")["log_likelihood"] == pytest.approx(each.mean())
    assert "nats a row" in paysage("evaluate m.h5 --data rows.npy --rows 5").out


def test_annealing_meets_the_sum(facts, model, rows):
    exact = facts("evaluate m.h5 --data rows.npy --method exact")
    line = "evaluate m.h5 --data rows.npy --method ais --chains 50 --steps 100 --burn-in 20"
    found = facts(line)
    assert found["log_partition_by"] == "annealed from both sides"
    low, high = found["interval"]  # of three standard errors
    assert low < exact["log_likelihood"] < high
    assert found["log_likelihood"] == pytest.approx(exact["log_likelihood"], abs=high - low)


def test_a_deep_machine_has_a_bound(facts, here, rows):
    BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4), BernoulliLayer(2)]).save("d.h5")
    found = facts("evaluate d.h5 --data rows.npy")
    assert found["is_lower_bound"]
    # without weights and biases to speak of, units are coins
    assert found["log_likelihood"] == pytest.approx(-9 * np.log(2), abs=0.2)


def test_a_checkpoint_and_named_images(facts, paysage, here):
    paysage("train --data digits --epochs 0 --hidden 3 --checkpoint run.h5 --out m.h5 --quiet")
    paysage("train --data digits --epochs 1 --hidden 3 --checkpoint c.h5 --out n.h5 --quiet")
    line = "evaluate {} --data digits --rows 50"
    assert facts(line.format("c.h5")) == facts(line.format("n.h5"))


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--data none.npy", "there is no file none.npy"),
        ("--data rows.npy --rows 0", "--rows must be a whole number, at least 1"),
        ("--data rows.npy --chains 1", "--chains must be a whole number, at least 2"),
        ("--data rows.npy --steps 0", "--steps must be a whole number"),
        ("--data rows.npy --burn-in 0", "--burn-in must be a whole number, at least 1"),
        ("--data digits", "got units of shape (1797, 64), needs (rows, 9)"),
        ("--data grey.npy", "BernoulliLayer"),
        ("--data cube.npy", "cube.npy has shape (2, 2, 2)"),
        ("--data words.csv", "words.csv cannot be read"),
        ("--data two.npz", "has the arrays a, b; choose by --key"),
        ("--data rows.txt.gz", "ends with .h5, .npy, .npz or .csv"),
    ],
)
def test_what_cannot_be_is_said(error, model, rows, here, flags, said):
    np.save("grey.npy", 255 * rows)
    np.save("cube.npy", np.zeros((2, 2, 2)))
    np.savez("two.npz", a=rows, b=rows)
    (here / "words.csv").write_text("a,b\n1,2\n")
    (here / "rows.txt.gz").write_text("")
    assert said in error(f"evaluate m.h5 {flags}")


def test_grey_rows_become_binary(facts, model, rows):
    np.save("grey.npy", 255 * rows)
    np.savez("one.npz", rows=rows)
    np.savetxt("rows.csv", rows, delimiter=",")
    plain = facts("evaluate m.h5 --data rows.npy")
    assert facts("evaluate m.h5 --data grey.npy --transform binarize") == plain
    assert facts("evaluate m.h5 --data grey.npy --transform scale") == plain
    assert facts("evaluate m.h5 --data one.npz") == plain
    assert facts("evaluate m.h5 --data rows.csv") == plain


def test_no_partition_function(error, here, rows):
    machine = BoltzmannMachine([GaussianLayer(9), GaussianLayer(3)])
    machine.connections[0].weights.params.matrix[:] = 5.0
    machine.save("g.h5")
    assert "partition function" in error("evaluate g.h5 --data rows.npy")


def test_what_was_trained_is_measured(facts, paysage, rows):
    paysage(f"{TRAIN} --epochs 20 --quiet")
    trained = facts("evaluate m.h5 --data rows.npy")["log_likelihood"]
    assert -9 * np.log(2) < trained < 0
