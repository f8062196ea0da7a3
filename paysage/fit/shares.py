"""Which rows of a phase each of several processes makes."""

from __future__ import annotations

from typing import NamedTuple

from paysage.errors import ConfigError


class Share(NamedTuple):
    """One of so many equal parts of the rows of a phase.

    The blocks that rows are cut into stay what they are whatever the number of processes: a process
    makes some of them, and pieces of those that are cut between two.
    """

    rank: int = 0
    size: int = 1

    def of_blocks(self, blocks: list[slice]) -> list[slice]:
        """Of each block the rows that are in this share; there may be none.

        The cut is the same part of a block, whatever its rows, so that both phases, if they have as
        many blocks, have rows in the same ones.
        """
        return [self._within(block, k, len(blocks)) for k, block in enumerate(blocks)]

    def _within(self, block: slice, k: int, number: int) -> slice:
        # counted in such parts of a block that it has `size` of them, and a share `number`
        shared = (number * self.rank, number * (self.rank + 1))
        ends = (min(max(end - k * self.size, 0), self.size) for end in shared)
        rows = block.stop - block.start
        return slice(*(block.start + rows * end // self.size for end in ends))

    def of(self, blocks: list[slice]) -> slice:
        """All rows of the blocks that are in this share, which are next to one another."""
        self.check(blocks[-1].stop, "a phase")
        found = [part for part in self.of_blocks(blocks) if part.stop > part.start]
        return slice(found[0].start, found[-1].stop)

    def check(self, rows: int, what: str) -> None:
        """Raise a ConfigError unless there is a row for each share."""
        if rows < self.size:
            raise ConfigError(
                f"{what} of {rows} rows is too small for {self.size} processes, expected a row "
                "for each"
            )
