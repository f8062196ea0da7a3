"""Where minibatches come from: tables in memory, and the shuffling of files."""

from paysage.batch.batch import Batch, in_memory_batch, split_tensor
from paysage.batch.shuffle import DataShuffler
from paysage.batch.table import InMemoryTable

__all__ = ["Batch", "DataShuffler", "InMemoryTable", "in_memory_batch", "split_tensor"]
