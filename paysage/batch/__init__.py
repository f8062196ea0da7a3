"""Where minibatches come from: tables in memory and in files, and the shuffling of files."""

from paysage.batch.batch import Batch, in_memory_batch, split_tensor
from paysage.batch.hdf import HDFtable
from paysage.batch.shuffle import DataShuffler
from paysage.batch.table import InMemoryTable

__all__ = ["Batch", "DataShuffler", "HDFtable", "InMemoryTable", "in_memory_batch", "split_tensor"]
