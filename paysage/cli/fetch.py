"""`paysage fetch`: data sets, as HDF5 files."""

from __future__ import annotations

import argparse
from pathlib import Path

from paysage.cli.options import add_force, add_output
from paysage.cli.output import Result, check_free
from paysage.errors import ConfigError, StorageError

SUMMARY = "fetch a data set and write it to a file"
EXAMPLE = """\
  paysage fetch mnist
  paysage fetch mnist --from folder_with_the_four_idx_files
  paysage fetch digits --out digits.h5"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data set, where it comes from, and where it goes to."""
    add = parser.add_argument
    add(
        "name",
        choices=("mnist", "digits"),
        help="from the network, 11 MB; or what scikit-learn carries, without a network",
    )
    add("--out", metavar="FILE", help="file to write (mnist.h5 or digits.h5)")
    add(
        "--from", dest="folder", metavar="FOLDER", help="read MNIST's IDX files (.gz or plain) here"
    )
    add_force(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Write the file, unless it is there and good."""
    out = Path(options.out or f"{options.name}.h5")
    new = (_mnist if options.name == "mnist" else _digits)(options, out)
    size = out.stat().st_size
    line = f"{out}: {size / 1e6:.1f} MB" if new else f"{out} is there already"
    return Result([line], {"out": out, "bytes": size, "new": new})


def _mnist(options: argparse.Namespace, out: Path) -> bool:
    """Whether a file was written."""
    from paysage.datasets import fetching

    if out.exists() and not options.force:
        if not fetching.is_mnist(out):
            raise StorageError(f"{out} exists and is not MNIST: --force replaces it")
        return False
    if options.folder is None:
        fetching.fetch_mnist(out)
    else:
        fetching.mnist_from_folder(options.folder, out)
    return True


def _digits(options: argparse.Namespace, out: Path) -> bool:
    from paysage import datasets
    from paysage.cli.data import HDF5, write_tables

    if options.folder is not None:
        raise ConfigError("--from is for MNIST; the digits come with scikit-learn")
    if check_free(out, options.force).suffix not in HDF5:
        raise ConfigError(f"--out {out}: expected a file that ends with .h5")
    digits = datasets.load_digits()
    write_tables(out, {"images": digits.images, "labels": digits.labels})
    return True
