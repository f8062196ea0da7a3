"""Fetch MNIST and store it beside this script: `paysage fetch mnist` with that file for --out.

    python examples/mnist/download_mnist.py [--out PATH] [--from FOLDER] [--force]

The file holds the keys train/images, train/labels, test/images and test/labels, in uint8:

    pandas.read_hdf('mnist.h5', key='train/images').values    # (60000, 784)
"""

import sys
from pathlib import Path

from paysage import cli

DEFAULT_OUT = Path(__file__).resolve().parent / "mnist.h5"


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit status."""
    return cli.main(["fetch", "mnist", "--out", str(DEFAULT_OUT), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
