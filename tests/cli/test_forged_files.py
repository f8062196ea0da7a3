"""Commands on files that were made to do harm: one line of error, and nothing printed raw."""

import io
import json
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from cli_lines import TRAIN

from paysage import storage
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

HUGE = "0x" + "f" * 9000


def npy(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def header(descr="<f8", shape=(3, 3)):
    return npy(repr({"descr": descr, "fortran_order": False, "shape": shape}) + "\n")


def zipped(content, name="x.npy", way=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def whole(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


ARRAYS = {
    "more than there is": header(shape=(10**12, 9)),
    "more than there can be": header(shape=(2**62, 4)),
    "a negative number": header(shape=(-1, 9)),
    "objects": header(descr="|O"),
    "minuses": npy("-" * 9000 + "1\n"),
    "parentheses": npy("(" * 300 + "\n"),
    "half an archive": zipped(whole(np.zeros((3, 9))))[:-30],
}


@pytest.mark.backend_free
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_of_numpy(error, here, what):
    (here / "a.npy").write_bytes(ARRAYS[what])
    assert "a.npy cannot be read" in error("info a.npy")
    assert "a.npy cannot be read" in error("plot a.npy --out p.png")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "content, said",
    [
        (zipped(header(shape=(10**12, 9))), "a.npz cannot be read"),
        (zipped(whole(np.zeros((3, 9))), way=zipfile.ZIP_BZIP2), "packed as NumPy packs nothing"),
        (zipped(b"Monday"), "'x' of a.npz is no array"),
        (zipped(b"Monday", "x"), "a.npz has the arrays x; choose by --key"),
        (zipped(whole(np.zeros((3, 9))))[:-30], "a.npz cannot be read"),
    ],
)
def test_archives_of_numpy(error, here, content, said):
    (here / "a.npz").write_bytes(content)
    assert said in error("plot a.npz --out p.png")


@pytest.mark.backend_free
@pytest.mark.parametrize("content", [b"", pickle.dumps([1.0]), b"0,1\n1,0\n"])
def test_what_is_no_file_of_numpy_is_not_advised_to_be_unpickled(error, here, content):
    (here / "a.npy").write_bytes(content)
    said = error("plot a.npy --out p.png")
    assert f"a.npy cannot be read: it begins with {content[:6]!r}, as no .npy" in said
    assert "pickle" not in said


@pytest.mark.backend_free
def test_arrays_that_are_sound_are_read_whole(paysage, here):
    values = np.arange(18.0).reshape(2, 9)
    np.save("a.npy", values.T.copy().T)  # column-major
    np.savez_compressed("a.npz", x=values, y=values)
    for line in ("a.npy", "a.npz --key x"):
        assert paysage(f"plot {line} --out p.png --force").out == "p.png: 2 images\n"


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "name, text, said",
    [
        ("c.json", "[" * 10**5, "c.json is not JSON"),
        ("c.toml", "x = " + "[" * 10**5, "c.toml is not TOML"),
        ("c.toml", f"seed = {HUGE}", "seed is a int of very many digits, expected a whole number"),
        ("c.toml", f"hidden = [{HUGE}]", "hidden is a list of very many digits"),
        ("c.json", f'{{"l1": {"9" * 400}}}', "l1 is 9999"),
        ("c.json", '{"l1": NaN}', "l1 is nan, expected a number"),
        ("c.json", " " * 2**20 + "{}", "more than 1048576 letters"),
    ],
)
def test_configurations(error, here, name, text, said):
    (here / name).write_text(text)
    assert said in error(f"train {name} --data a.npy --out m.h5")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "name, text",
    [
        ("l.jsonl", '{"epoch": 1e999}'),
        ("l.jsonl", "[" * 10**5),
        ("l.jsonl", '{"epoch": 1, "x": "y"}'),
        ("l.csv", "epoch\n" + "1" * 200_000),
        ("l.csv", "epoch\n1,2\n"),
    ],
)
def test_logs(error, here, name, text):
    (here / name).write_text(text)
    assert f"{name} is no log of a training" in error(f"plot {name} --out p.png")


def test_what_a_file_says_steers_no_terminal(paysage, facts, here):
    machine = BoltzmannMachine([BernoulliLayer(5), BernoulliLayer(3)])
    tree = {"config": machine.get_config(), "values": machine.get_values()}
    tree["config"]["layers"][0]["layer_type"] = "\x1b[2J\ud800Layer"
    tree["config"]["layers"][1]["num_units"] = np.ones(2)
    storage.write_tree("m.h5", tree)
    assert "\\x1b[2J\\ud800Layer(5)" in paysage("info m.h5").out
    assert facts("info m.h5")["trees"]["paysage"]["layers"][1]["num_units"] == [1.0, 1.0]
    with h5py.File("t.h5", "w") as file:
        file["\x1b]0;title\x07"] = np.zeros((2, 2))
    assert "\x1b" not in paysage("info t.h5").out


@pytest.mark.backend_free
def test_a_kind_that_is_no_text(error, here):
    storage.write_tree("m.h5", {}, kind="model")
    with h5py.File("m.h5", "a") as file:
        group = file["paysage"]
        document = {**json.loads(group["document"][()].tobytes()), "kind": ["model"]}
        raw = np.frombuffer(json.dumps(document).encode(), np.uint8)
        del group["document"], group["digest"]
        group["document"], group["digest"] = raw, storage.document.digest(raw)
    assert "m.h5 is damaged: its kind is ['model']" in error("sample m.h5 --out s.npy")


def test_a_training_of_settings_that_were_read(paysage, rows, here):
    (here / "c.json").write_text('{"l1": 0, "l2": 1e-3, "seed": 3, "hidden": [2]}')
    command, rest = TRAIN.split(" ", 1)
    paysage(f"{command} c.json {rest} --quiet")
    assert os.path.getsize("m.h5") > 0


def test_checkpoints_without_a_machine_that_is_sound(error, paysage, rows):
    paysage(f"{TRAIN} --checkpoint run.h5 --quiet")
    tree = storage.read_tree("run.h5", "checkpoint")
    memory = tree["memory"]
    config = memory["model"]["config"]
    layers = [{**config["layers"][0], "num_units": 10**12}, config["layers"][1]]
    forged = {**memory["model"], "config": {**config, "layers": layers}}
    for model in (None, {}, {"values": memory["model"]["values"]}, forged):
        storage.write_tree(
            "f.h5", {**tree, "memory": {**memory, "model": model}}, kind="checkpoint"
        )
        assert "f.h5 holds no machine that can be rebuilt" in error("sample f.h5 --out s.npy")


@pytest.mark.backend_free
def test_sizes_for_which_there_is_no_memory(error, rows, here):
    (here / "c.toml").write_text(f"hidden = {10**12}")
    files = "--data rows.npy --batch-size 10 --out m.h5"
    assert "not enough memory" in error(f"train c.toml {files}")
