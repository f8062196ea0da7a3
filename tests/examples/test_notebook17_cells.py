"""The cells of Notebook 17 (Mehta et al., Phys. Rep. 810, 2019) run on this library.

The text of the notebook is no part of the project: PAYSAGE_NOTEBOOK17 says where it is. Its cells
run one after the other in one namespace, as they were published but for what `CHANGES` lists.
"""

import ast
import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

import paysage
from paysage import backends as be
from paysage import datasets

ROOT = Path(paysage.__file__).resolve().parent.parent
NOTEBOOK = Path(
    os.environ.get("PAYSAGE_NOTEBOOK17") or ROOT.parent / "shared/reference/notebook17.txt"
)
IDX_FOLDER = ROOT.parent / "shared" / "mnist"

# Pandas lost `.value`, and newer versions of matplotlib take no figure in show(). The rest is for
# speed: one epoch, and figures of fewer images, since seaborn draws them at about 20 a second.
CHANGES = {
    "key='train/images').value)": "key='train/images').values)",
    "plt.show(f)": "plt.show()",
    "num_epochs=20": "num_epochs=1",
    "num_to_plot = 8": "num_to_plot = 2",
    "num_to_display=8": "num_to_display=2",
    "[:25], (5,5,784)": "[:4], (2,2,784)",
}
# PyTorch has no `1 - mask` of a boolean mask.
PYTORCH_CHANGES = {
    "be.rand_like(examples) < fraction_to_flip": (
        "be.cast_float(be.rand_like(examples) < fraction_to_flip)"
    )
}
NUM_TRAIN, NUM_TEST = 2000, 200
MODELS = ("hopfield", "rbm", "rbm_L1", "dbm")
METRICS = (
    "ReconstructionError",
    "EnergyCoefficient",
    "HeatCapacity",
    "WeightSparsity",
    "WeightSquare",
    "KLDivergence",
    "ReverseKLDivergence",
)
# images of each figure: data, reconstructions, fantasy particles, de-noising, and weights of four
FIGURES = [2, 10, 8, 12, 4, 4, 4, 4]


def cells_of(text):
    """The code of each cell: from its `In [n]:` on, the most lines that Python can parse."""
    parts = re.split(r"^In\s\[\d+\]:.*\n", text, flags=re.MULTILINE)[1:]
    return [longest_code(part.splitlines()) for part in parts]


def longest_code(lines):
    lines = [line for line in lines if not line.startswith("%matplotlib")]
    for count in range(len(lines), 0, -1):
        try:
            tree = ast.parse("\n".join(lines[:count]))
        except SyntaxError:
            continue
        # A heading of one word after the cell reads as a name that stands alone.
        while isinstance(getattr(tree.body[-1], "value", None), ast.Name):
            count = tree.body.pop().lineno - 1
        return "\n".join(lines[:count])
    raise AssertionError(f"no code in the cell that starts with {lines[:3]}")


def read_cells():
    if not NOTEBOOK.is_file():
        pytest.skip(f"the text of Notebook 17 is not at {NOTEBOOK}; PAYSAGE_NOTEBOOK17 names it")
    return cells_of(NOTEBOOK.read_text(encoding="utf-8"))


def changed(cells, changes):
    """The cells with each change made in at least one place."""
    text = "\0".join(cells)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text.split("\0")


def read_idx(name, rows):
    with gzip.open(IDX_FOLDER / f"{name}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(16 + rows * 784), np.uint8, offset=16).reshape(rows, 784)


def mnist_rows():
    """A few images of MNIST from wherever it is, uint8."""
    if datasets.find_mnist() is not None:
        mnist = datasets.load_mnist()
        train, test = mnist.train.images[:NUM_TRAIN], mnist.test.images[:NUM_TEST]
        return train.astype(np.uint8), test.astype(np.uint8)
    if (IDX_FOLDER / "train-images-idx3-ubyte.gz").is_file():
        return read_idx("train", NUM_TRAIN), read_idx("t10k", NUM_TEST)
    pytest.skip(f"MNIST is not at hand: {datasets.HOW_TO_GET_MNIST}")


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Put a small mnist.h5 where the notebook looks for it: beside the package."""
    import pandas as pd

    train, test = mnist_rows()
    folder = tmp_path / "examples" / "mnist"
    folder.mkdir(parents=True)
    pd.DataFrame(train).to_hdf(folder / "mnist.h5", key="train/images")
    pd.DataFrame(test).to_hdf(folder / "mnist.h5", key="test/images")
    monkeypatch.setattr(paysage, "__file__", str(tmp_path / "paysage" / "__init__.py"))
    return folder


@pytest.fixture
def shown(monkeypatch):
    """Counts of the axes of each figure that was shown."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    pytest.importorskip("seaborn", reason="seaborn is not installed")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    counts = []
    monkeypatch.setattr(plt, "show", lambda: counts.append(len(plt.gcf().axes)))
    return counts


def expected_lines(num_trained):
    """What the training of one model prints for one epoch, as regular expressions."""
    number = r"-?(\d+\.\d{6})"
    metrics = [f"-{name}: {number}" for name in METRICS]
    end = ["End of epoch 1: ", r"Time elapsed \d+(\.\d+)?(e-\d+)?s"]
    return (["Before training:", *metrics, "", *end, *metrics, ""]) * num_trained


@pytest.mark.backend_free
def test_cells_are_found_in_prose():
    text = (
        "Prose\n\nIn\xa0[2]:\n%matplotlib inline\nx = [1,\n     2]\n\nprint(x)\nthe output:\n12\n"
        "In\xa0[3]:\ny = 3\n\nExercises\n\n  • Try it."
    )
    assert [cell.strip() for cell in cells_of(text)] == ["x = [1,\n     2]\n\nprint(x)", "y = 3"]


@pytest.mark.mnist
def test_cells_of_notebook17_run(backend, small_mnist, shown, capsys):
    cells = read_cells()
    assert len(cells) == 17
    changes = CHANGES | (PYTORCH_CHANGES if backend == "pytorch" else {})
    namespace = {"__name__": "__main__"}
    for cell in changed(cells, changes):
        exec(compile(cell, "notebook17", "exec", dont_inherit=True), namespace)

    assert (small_mnist / "shuffled_mnist.h5").is_file()
    assert shown == FIGURES
    for name in MODELS:
        for connection in namespace[name].connections:
            assert np.isfinite(be.to_numpy_array(connection.weights.W())).all()
    check_output(capsys.readouterr().out, small_mnist / "mnist.h5")


def check_output(text, path):
    """The lines are those that the notebook printed, but for the numbers."""
    wanted = [re.escape(line) for line in ("path to mnist data:", str(path))]
    wanted += expected_lines(3)
    for k in range(2):
        wanted += [f"training model {k}", "", *expected_lines(1)]
    wanted += expected_lines(1)
    lines = text.splitlines()
    assert len(lines) == len(wanted)
    for line, pattern in zip(lines, wanted, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
