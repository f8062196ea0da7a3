import gzip
import hashlib
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from paysage.cli import main
from paysage.datasets import fetching
from paysage.errors import DataError, PaysageError, StorageError

pytestmark = pytest.mark.backend_free

SHAPES = {
    "train/images": (6, 2, 2),
    "train/labels": (6,),
    "test/images": (3, 2, 2),
    "test/labels": (3,),
}


@pytest.fixture
def idx_files(monkeypatch):
    """A data set of few and small images in the place of MNIST: contents by file name."""
    rng = np.random.default_rng(3)
    contents, parts = {}, []
    for part in fetching.PARTS:
        shape = SHAPES[part.key]
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        data = header + rng.integers(0, 256, shape, dtype=np.uint8).tobytes()
        contents[part.file] = data
        parts.append(part._replace(shape=shape, sha256=hashlib.sha256(data).hexdigest()))
    monkeypatch.setattr(fetching, "PARTS", parts)
    return contents


@pytest.fixture
def server(monkeypatch):
    """A local server; `files` maps an address to (status, announced length, body)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, length, body = self.server.files.get(self.path, (404, 0, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.files = {}
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def offer(server, mirror, contents):
    for name, data in contents.items():
        body = gzip.compress(data)
        server.files[f"/{mirror}/{name}.gz"] = (200, len(body), body)


def use_mirrors(server, monkeypatch, *names):
    monkeypatch.setattr(
        fetching, "MIRRORS", [f"http://127.0.0.1:{server.server_port}/{name}/" for name in names]
    )


def assert_written(path, contents):
    assert os.listdir(path.parent) == [path.name]
    for key, file in (
        ("train/images", "train-images-idx3-ubyte"),
        ("train/labels", "train-labels-idx1-ubyte"),
        ("test/images", "t10k-images-idx3-ubyte"),
        ("test/labels", "t10k-labels-idx1-ubyte"),
    ):
        values = pd.read_hdf(path, key=key).values
        assert values.dtype == np.uint8
        shape = SHAPES[key]
        assert values.shape == (shape if len(shape) == 1 else (shape[0], 4))
        assert contents[file].endswith(values.tobytes("C"))


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "mnist.h5"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_from_a_folder(idx_files, tmp_path, out, suffix, capsys):
    for name, data in idx_files.items():
        (tmp_path / (name + suffix)).write_bytes(gzip.compress(data) if suffix else data)
    assert main(["fetch", "mnist", "--from", str(tmp_path), "--out", str(out)]) == 0
    assert_written(out, idx_files)
    assert str(out) in capsys.readouterr().out


def test_from_a_folder_that_lacks_a_file(idx_files, tmp_path, out):
    with pytest.raises(StorageError, match="neither train-images-idx3-ubyte nor"):
        fetching.mnist_from_folder(tmp_path, out)
    assert os.listdir(out.parent) == []


def test_the_tables_have_the_promised_types(idx_files, server, monkeypatch, out):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    fetching.fetch_mnist(out)
    assert isinstance(pd.read_hdf(out, "train/images"), pd.DataFrame)
    assert isinstance(pd.read_hdf(out, "train/labels"), pd.Series)
    with pd.HDFStore(out, "r") as store:  # what streaming needs
        block = store.select("train/images", start=2, stop=4)
    assert block.values.shape == (2, 4)


def test_download(idx_files, server, monkeypatch, out):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    assert main(["fetch", "mnist", "--out", str(out)]) == 0
    assert_written(out, idx_files)


def broken(kind, data):
    body = gzip.compress(data)
    return {
        "absent": (404, 0, b""),
        "server error": (500, 0, b""),
        "cut off": (200, len(body), body[:-5]),
        "short": (200, len(body) - 5, body[:-5]),
        "page": (200, 6, b"<html>"),
        "wrong contents": (200, *sized(gzip.compress(data[:-1] + bytes([data[-1] ^ 1])))),
        "wrong header": (200, *sized(gzip.compress(b"\1" + data[1:]))),
        "too long": (200, *sized(gzip.compress(data + b"\0" * 10**6))),
    }[kind]


def sized(body):
    return len(body), body


KINDS = {
    "absent": "404",
    "server error": "500",
    "cut off": "got [0-9]+ bytes of [0-9]+",
    "short": "not an intact gzip file",
    "page": "not an intact gzip file",
    "wrong contents": "SHA-256",
    "wrong header": "IDX header",
    "too long": "SHA-256",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_mirror_steps_in(idx_files, server, monkeypatch, out, kind):
    offer(server, "bad", idx_files)
    offer(server, "good", idx_files)
    name = "train-images-idx3-ubyte"
    server.files[f"/bad/{name}.gz"] = broken(kind, idx_files[name])
    use_mirrors(server, monkeypatch, "bad", "good")
    fetching.fetch_mnist(out)
    assert_written(out, idx_files)


@pytest.mark.parametrize(("kind", "message"), KINDS.items())
def test_without_a_good_mirror_nothing_is_left(
    idx_files, server, monkeypatch, out, kind, message, capsys
):
    offer(server, "bad", idx_files)
    name = "t10k-images-idx3-ubyte"
    server.files[f"/bad/{name}.gz"] = broken(kind, idx_files[name])
    use_mirrors(server, monkeypatch, "bad", "gone")
    with pytest.raises(StorageError, match=message) as caught:
        fetching.fetch_mnist(out)
    text = str(caught.value)
    assert f"/bad/{name}.gz" in text
    assert f"/gone/{name}.gz" in text
    assert "--from FOLDER" in text
    assert os.listdir(out.parent) == []
    capsys.readouterr()
    assert main(["fetch", "mnist", "--out", str(out)]) == 1
    assert "no mirror delivered" in capsys.readouterr().err


def test_a_mirror_that_does_not_answer(idx_files, monkeypatch, out):
    monkeypatch.setattr(fetching, "MIRRORS", ["http://127.0.0.1:1/"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:1/train"):
        fetching.fetch_mnist(out)


def test_an_endless_download_is_given_up(idx_files, server, monkeypatch, out):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    monkeypatch.setattr(fetching, "LARGEST_DOWNLOAD", 10)
    with pytest.raises(StorageError, match="more than 10 bytes"):
        fetching.fetch_mnist(out)


def test_an_interrupted_download_leaves_nothing(idx_files, server, monkeypatch, out):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    body, calls = fetching._body, []

    def interrupted(url):
        calls.append(url)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return body(url)

    monkeypatch.setattr(fetching, "_body", interrupted)
    assert main(["fetch", "mnist", "--out", str(out)]) == 130
    assert len(calls) == 3
    assert os.listdir(out.parent) == []


def test_an_unwritable_place_is_told_before_the_download(idx_files, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "_body", lambda url: pytest.fail("downloaded"))
    with pytest.raises(StorageError, match="there is no folder"):
        fetching.fetch_mnist(tmp_path / "none" / "mnist.h5")


def test_a_good_file_is_left_alone_unless_forced(idx_files, server, monkeypatch, out, capsys):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    fetching.fetch_mnist(out)
    before = out.stat().st_ino
    assert main(["fetch", "mnist", "--out", str(out)]) == 0
    assert "there already" in capsys.readouterr().out
    assert out.stat().st_ino == before
    assert main(["fetch", "mnist", "--out", str(out), "--force"]) == 0
    assert out.stat().st_ino != before
    assert_written(out, idx_files)


@pytest.mark.parametrize("damage", ["text", "a pixel", "a key"])
def test_another_file_is_neither_taken_nor_replaced(
    idx_files, server, monkeypatch, out, damage, capsys
):
    offer(server, "good", idx_files)
    use_mirrors(server, monkeypatch, "good")
    fetching.fetch_mnist(out)
    if damage == "text":
        out.write_text("not HDF5")
    else:
        with pd.HDFStore(out, "a") as store:
            images = store.select("test/images").copy()
            images.iloc[0, 0] ^= 1
            store.remove("test/images")
            if damage == "a pixel":
                store.put("test/images", images, track_times=False)
    before = out.read_bytes()
    assert main(["fetch", "mnist", "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_the_known_data_set_is_that_of_lecun():
    assert [part.shape for part in fetching.PARTS] == [
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    ]
    assert all(mirror.startswith("https://") for mirror in fetching.MIRRORS)
    assert len(fetching.MIRRORS) >= 2


def test_errors_are_named(idx_files):
    part = fetching.PARTS[0]
    with pytest.raises(DataError, match="IDX header"):
        fetching._array(part, b"", "nothing")
    assert issubclass(DataError, PaysageError)


def test_a_file_that_does_not_read_back_is_told(idx_files, tmp_path, out, monkeypatch):
    """As on a full disk, of which PyTables does not tell."""
    for name, data in idx_files.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(fetching, "is_mnist", lambda path: False)
    with pytest.raises(StorageError, match="is the disk full"):
        fetching.mnist_from_folder(tmp_path, out)
    assert os.listdir(out.parent) == []


def test_a_file_that_is_longer_than_memory_is_not_read_whole(tmp_path, idx_files):
    for name, data in idx_files.items():
        (tmp_path / name).write_bytes(data)
    first = tmp_path / fetching.PARTS[0].file
    os.truncate(first, 2**40)  # which takes no room on the disk
    with pytest.raises(DataError, match="has the SHA-256"):
        fetching.mnist_from_folder(tmp_path, tmp_path / "m.h5")
    first.rename(first.with_suffix(".gz"))
    with pytest.raises(DataError, match="not an intact gzip file"):
        fetching.mnist_from_folder(tmp_path, tmp_path / "m.h5")
