"""
Corrections of blocks: what a source says of one time after a block was asked for.

A correction is kept beside its block, since a refresh that asked before may answer
after: whoever writes a block applies what is kept, so the younger word wins whichever
comes first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np

from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.stores.slot_block import SlotBlock

__all__ = ["Correction", "corrected"]

_FORMAT: Final = "{asked_at} {is_listed:d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """
    Whether a source lists a time.

    Attributes:
        token: Which time.
        is_listed: Whether it is free.
        asked_at: When the source was asked.
    """

    token: TimeslotToken
    is_listed: bool
    asked_at: datetime

    def pack(self) -> str:
        """Return it as text, without the token."""
        return _FORMAT.format(
            asked_at=self.asked_at.timestamp(), is_listed=self.is_listed
        )

    @classmethod
    def unpack(cls, token: str, packed: str) -> Self:
        """
        Return the correction that `pack` made.

        Raises:
            ValueError: It is none.
        """
        asked_at, is_listed = packed.split(" ")
        return cls(
            token=TimeslotToken.parse(token),
            is_listed=is_listed == "1",
            asked_at=datetime.fromtimestamp(float(asked_at), UTC),
        )


def corrected(block: SlotBlock, corrections: Iterable[Correction]) -> SlotBlock | None:
    """
    Return a block with the corrections that are younger than it.

    A time is added only where the block knows whose time it is: others it has never
    been offered to. None when nothing changes.
    """
    rows = block.rows
    numbers = {each.token: number for number, each in enumerate(block.schedules)}
    for correction in corrections:
        token = correction.token
        number = numbers.get(token.schedule)
        if correction.asked_at <= block.asked_at or number is None:
            continue
        same = (
            (rows["start"] == token.start)
            & (rows["length"] == token.length)
            & (rows["schedule"] == number)
        )
        if correction.is_listed and not same.any():
            added = np.array(
                [(token.start, token.length, number, 1)], dtype=block.rows.dtype
            )
            rows = np.concatenate((rows, added))
            rows.sort(order=("start", "schedule", "length"))
        elif not correction.is_listed and same.any():
            rows = rows[~same]
    return None if rows is block.rows else replace(block, rows=rows)
