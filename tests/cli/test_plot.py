import numpy as np
import pytest
from cli_lines import TRAIN

from paysage.cli.plot import read_log
from paysage.errors import DataError


def test_pictures_of_a_training(paysage, rows, here):
    paysage(f"{TRAIN} --checkpoint run.h5 --log log.csv log.jsonl --quiet")
    paysage("sample m.h5 --out s.npy -n 5 --steps 3")
    paysage("sample m.h5 --out s.h5 -n 5 --steps 3")
    for line, words in (
        ("m.h5", "weights of 4 hidden units"),
        ("run.h5 -n 2", "weights of 2 hidden units"),
        ("m.h5 --norms", "norms of the weights of 4 hidden units"),
        ("s.npy", "5 images"),
        ("s.h5 --shape 1x9", "5 images"),
        ("log.csv", "metrics of 3 epochs"),
        ("log.jsonl", "metrics of 3 epochs"),
    ):
        said = paysage(f"plot {line} --out p.png --force").out
        assert said == f"p.png: {words}\n"
        assert (here / "p.png").read_bytes().startswith(b"\x89PNG")
    assert read_log(here / "log.csv") == read_log(here / "log.jsonl")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "line, said",
    [
        ("rows.npy --out p.txt", "ends with .png, .pdf or .svg"),
        ("rows.npy --out rows.npy", "rows.npy is there already"),
        ("rows.npy --out p.png -n 0", "--number must be a whole number, at least 1"),
        ("rows.npy --out p.png --shape 2x5", "does not fit 9 pixels"),
        ("rows.npy --out p.png --norms", "--norms is of weights"),
        ("none.npy --out p.png", "there is no file none.npy"),
        ("none.h5 --out p.png", "there is no file none.h5"),
        ("none.csv --out p.png", "cannot read none.csv"),
        ("bad.csv --out p.png", "bad.csv is no log of a training"),
        ("bad.jsonl --out p.png", "bad.jsonl is no log of a training"),
        ("empty.csv --out p.png", "a log without an epoch"),
        ("rows.npy --out none/p.png", "there is no folder"),
    ],
)
def test_what_cannot_be_is_said(error, rows, here, line, said):
    (here / "bad.csv").write_text("epoch,x\n1,one\n")
    (here / "bad.jsonl").write_text("[1]\n")
    (here / "empty.csv").write_text("epoch,x\n")
    assert said in error(f"plot {line}")
    assert not (here / "p.png").exists()


@pytest.mark.backend_free
def test_a_value_that_was_not_measured(here):
    (here / "log.csv").write_text("epoch,seconds,learning_rate,a,b\n0,0,0.1,1.5,\n1,1,0.1,2,3\n")
    found = read_log(here / "log.csv")
    assert [entry["b"] for entry in found] == [None, 3.0]
    (here / "log.csv").write_text("epoch,a\n0,1,2\n")
    with pytest.raises(DataError):
        read_log(here / "log.csv")


@pytest.mark.backend_free
def test_real_numbers_have_a_scale_of_their_own(paysage, here):
    np.save("r.npy", np.linspace(-3, 3, 18).reshape(2, 9))
    assert "2 images" in paysage("plot r.npy --out p.png").out
