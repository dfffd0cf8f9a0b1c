"""
Verification of the audit trail: walks the chain, and finds the first broken row.

It reads in batches, each in a transaction of its own, while servers append and the
worker removes old rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, func, literal, select, true

from fhir_gateway.stores.audit.anchors import ORIGIN, AnchorKind, Anchors, Link
from fhir_gateway.stores.audit.rows import fault_of_row
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal

__all__ = ["Fault", "Verification", "verify"]

_BATCH: Final = 1000
_BEYOND: Final = (
    "the row stands after the head: somebody added it, or put back an older head"
)
_ONE: Final = select(literal(1).label("one")).subquery()
_ANCHOR_FAULTS: Final = {
    kind: f"the {name} of the trail is missing, or this server did not sign it"
    for kind, name in ((AnchorKind.START, "start"), (AnchorKind.HEAD, "head"))
}
_BEFORE: Final = (
    "the row stands before the start: somebody added it, or moved the start"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """
    What is wrong.

    Attributes:
        sequence: The number of the first broken row; None where an anchor is broken.
        text: What is wrong, for the operator.
    """

    sequence: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """
    The result of a walk.

    Attributes:
        rows: How many rows are in order.
        start: The place before the first of them.
        head: The place of the last of them: note it elsewhere, and expect it next time.
        fault: The first fault; None where the chain holds.
    """

    rows: int
    start: Link
    head: Link
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class _State:
    """The anchors at one moment, and what is wrong with them or beyond them."""

    start: Link
    head: Link
    fault: Fault | None


def verify(
    database: Database,
    seal: Seal,
    *,
    expected: Link | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Verification:
    """
    Walk the chain from its start to its head.

    Args:
        database: Where the tables are.
        seal: The keys that sealed and signed.
        expected: A head that was noted earlier: its row must still be there, unless it
            was removed since as old enough.
        progress: Called after each batch with the rows done, and how many there are.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    walk = _Walk(database, seal)
    state = walk.state()
    place, rows, fault = state.start, 0, state.fault
    is_found = expected is None or expected.sequence <= place.sequence
    head = state.head
    of = head.sequence - place.sequence
    while fault is None and place.sequence < head.sequence:
        batch = walk.batch(place)
        if not batch or batch[0]["sequence"] != place.sequence + 1:
            moved = walk.state()
            if moved.fault is None and moved.start.sequence > place.sequence:
                # Housekeeping has just removed the rows up to there.
                place = moved.start
                is_found = is_found or _is_before(expected, place)
                continue
        if not batch:
            fault = Fault(place.sequence + 1, "the row is missing")
        for row in batch:
            text = fault_of_row(row, place, seal)
            if text is not None:
                fault = Fault(place.sequence + 1, text)
                break
            place = Link(row["sequence"], row["hash"])
            rows += 1
            is_found = is_found or place == expected
            if place.sequence == head.sequence:
                break
        progress(rows, of)
    if fault is None and place != head:
        fault = Fault(place.sequence, "the row's hash is not the one of the head")
    if fault is None and not is_found and expected is not None:
        fault = Fault(
            expected.sequence,
            "the row that you expect is not in the trail: somebody put back an older"
            " state of the database",
        )
    return Verification(rows=rows, start=state.start, head=place, fault=fault)


def _is_before(expected: Link | None, place: Link) -> bool:
    return expected is not None and expected.sequence <= place.sequence


class _Walk:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._anchors = Anchors(seal)

    def state(self) -> _State:
        """Return the anchors, compared with the ends of the rows at that moment."""
        first = select(func.min(events.c.sequence)).scalar_subquery()
        last = select(func.max(events.c.sequence)).scalar_subquery()
        with self._database.reading() as connection:
            # One statement: on PostgreSQL, two would see two moments.
            found = connection.execute(
                select(
                    first.label("first"),
                    last.label("last"),
                    anchors,
                ).select_from(_ONE.outerjoin(anchors, true()))
            ).all()
        links: dict[AnchorKind, Link] = {}
        for row in found:
            if row.kind is None:
                continue
            kind, link = AnchorKind(row.kind), Link(row.sequence, row.hash)
            if self._anchors.is_signed(kind, link, row.hash_hmac):
                links[kind] = link
        start = links.get(AnchorKind.START, ORIGIN)
        head = links.get(AnchorKind.HEAD, start)
        is_unused = found[0].kind is None and found[0].last is None
        if is_unused:
            return _State(start, head, None)
        for kind, text in _ANCHOR_FAULTS.items():
            if kind not in links:
                return _State(start, head, Fault(None, text))
        if found[0].last is not None and found[0].last > head.sequence:
            return _State(start, head, Fault(head.sequence + 1, _BEYOND))
        if found[0].first is not None and found[0].first <= start.sequence:
            return _State(start, head, Fault(found[0].first, _BEFORE))
        return _State(start, head, None)

    def batch(self, after: Link) -> Sequence[RowMapping]:
        """Return the next rows."""
        with self._database.reading() as connection:
            return (
                connection.execute(
                    select(events)
                    .where(events.c.sequence > after.sequence)
                    .order_by(events.c.sequence)
                    .limit(_BATCH)
                )
                .mappings()
                .all()
            )
