"""Feeds damaged and forged files to everything that loads one (needs atheris).

    python benchmarks/fuzz_loaders.py -max_total_time=3600 -rss_limit_mb=512

An execution is a finding unless the loader succeeds or raises one of the library's named errors,
within ten seconds of the processor and without unpickling anything. The options are libFuzzer's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=[
        f"paysage.{room}"
        for room in ("storage", "batch", "models", "registry", "datasets", "cli", "preprocess")
    ],
    enable_loader_override=False,
):
    from fuzz import damage, loaders, seeds

from paysage import backends as be
from paysage.errors import PaysageError

SECONDS = 10.0
KEYS = {"pca": "pca"}
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
NAMES = list(loaders.FILES)
#: files that are not HDF5, and what else than their bytes can be damaged
FORMATS = {
    "idx": damage.patched,
    "npy": damage.headed,
    "npz": damage.zipped,
    "csv": damage.patched,
    "log": damage.patched,
    "lines": damage.patched,
    "toml": lambda data, _: damage.toml(data, seeds.SETTINGS),
    "json": lambda data, _: damage.written_json(data, seeds.SETTINGS),
}
SUFFIXES = {"log": "csv", "lines": "jsonl"}


def prepared(data: atheris.FuzzedDataProvider, kind: str, path: Path) -> None:
    """Write a damaged file."""
    whole = seeds.WHOLE[kind][data.ConsumeIntInRange(0, len(seeds.WHOLE[kind]) - 1)]
    of_ours = kind in ("model", "checkpoint", "pca")
    way = data.ConsumeIntInRange(0, 3 if of_ours else 1)
    if way == 0:
        path.write_bytes(damage.patched(data, whole))
    elif way == 1 and kind in FORMATS:
        path.write_bytes(FORMATS[kind](data, whole))
    elif way == 1:
        path.write_bytes(damage.restructured(data, whole))
    elif way == 2:
        path.write_bytes(whole)
        damage.resealed(data, path, kind, KEYS.get(kind, "paysage"))
    else:
        path.write_bytes(damage.forged(data, whole, KEYS.get(kind, "paysage")))


def execute(raw: bytes) -> None:
    """One execution: the first byte chooses the loader."""
    data = atheris.FuzzedDataProvider(raw)
    which = data.ConsumeIntInRange(0, len(NAMES))
    begun = time.process_time()
    try:
        if which == len(NAMES):
            config = CONFIGS[data.ConsumeIntInRange(0, len(CONFIGS) - 1)]
            make = loaders.CONFIGS[data.ConsumeIntInRange(0, len(loaders.CONFIGS) - 1)]
            make(damage.changed(data, config))
        else:
            kinds, load = loaders.FILES[NAMES[which]]
            kind = kinds[data.ConsumeIntInRange(0, len(kinds) - 1)]
            path = FOLDER / f"file.{SUFFIXES.get(kind, kind if kind in FORMATS else 'h5')}"
            prepared(data, kind, path)
            load(path, data)
    except PaysageError:
        pass
    finally:
        for path in FOLDER.iterdir():
            path.unlink()
    if time.process_time() - begun > SECONDS:
        raise TimeoutError(f"loader {which} took {time.process_time() - begun:.1f} s")
    if loaders.fired:
        raise RuntimeError(loaders.fired.pop())


def main() -> None:
    warnings.simplefilter("ignore")
    be.set_backend("python", "cpu")
    atheris.Setup(sys.argv, execute)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    seeds.WHOLE.update(seeds.files())
    CONFIGS = seeds.configs()
    main()
