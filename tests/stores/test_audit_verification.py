"""
Verification of the audit trail: each way of tampering is found.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select

from fhir_gateway.stores.audit import (
    AuditStore,
    AuditUpkeep,
    Fault,
    Link,
    Verification,
    verify,
)
from fhir_gateway.stores.audit.anchors import ORIGIN, AnchorKind, Anchors
from fhir_gateway.stores.audit.rows import next_row
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal

from .audit_entries import entry
from .conftest import number

ROWS = 6


@pytest.fixture(name="seal")
def _seal(keys: tuple[str, ...]) -> Seal:
    return Seal(keys)


@pytest.fixture(name="trail")
def _trail(database: Database, seal: Seal) -> Database:
    """Return a database with a trail of six rows, about three persons."""
    store = AuditStore(database, seal)
    for which in range(ROWS):
        store.append(entry(number(which % 3)))
    return database


def _row(connection: Connection, sequence: int) -> dict[str, Any]:
    found = connection.execute(
        select(events).where(events.c.sequence == sequence)
    ).mappings()
    return dict(found.one())


def _remove(connection: Connection, *sequences: int) -> None:
    connection.execute(events.delete().where(events.c.sequence.in_(sequences)))


def _set(connection: Connection, sequence: int, **values: Any) -> None:
    connection.execute(
        events.update().where(events.c.sequence == sequence).values(**values)
    )


def _set_anchor(connection: Connection, kind: AnchorKind, **values: Any) -> None:
    connection.execute(
        anchors.update().where(anchors.c.kind == kind.value).values(**values)
    )


def _swap(connection: Connection, one: int, other: int) -> None:
    """Exchange the contents of two rows, but for their numbers."""
    first, second = _row(connection, one), _row(connection, other)
    _remove(connection, one, other)
    connection.execute(
        events.insert(),
        [first | {"sequence": other}, second | {"sequence": one}],
    )


def _forge(connection: Connection, sequence: int, after: Link) -> None:
    """Replace a row and all that follow it, with hashes that fit but a foreign key."""
    seal = Seal([Seal.new_key()])
    _remove(connection, *range(sequence, ROWS + 1))
    place = after
    while place.sequence < ROWS:
        row, place = next_row(entry(number(7)), place, 1.0, seal)
        connection.execute(events.insert(), [row])
    _set_anchor(connection, AnchorKind.HEAD, hash=place.hash)


def _insert_after_the_end(connection: Connection) -> None:
    row = _row(connection, ROWS)
    connection.execute(events.insert(), [row | {"sequence": ROWS + 1, "id": "another"}])


def _roll_the_head_back(connection: Connection, seal: Seal) -> None:
    """Put back the signed head of an earlier moment."""
    row = _row(connection, 4)
    Anchors(seal).move(connection, AnchorKind.HEAD, Link(4, row["hash"]))


def _copy_sealed(connection: Connection) -> None:
    other = _row(connection, 3)
    _set(connection, 2, persons_sealed=other["persons_sealed"])


def _forge_from_2(connection: Connection) -> None:
    _forge(connection, 2, Link(1, _row(connection, 1)["hash"]))


def _insert_before_the_start(connection: Connection) -> None:
    connection.execute(
        events.insert(), [_row(connection, 1) | {"sequence": 0, "id": "another"}]
    )


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        pytest.param(
            lambda connection: _set(connection, 3, interaction="create"), 3, id="what"
        ),
        pytest.param(
            lambda connection: _set(connection, 3, recorded_at=1.0), 3, id="when"
        ),
        pytest.param(lambda connection: _set(connection, 3, basis=None), 3, id="basis"),
        pytest.param(
            lambda connection: _set(connection, 3, booking=None), 3, id="booking"
        ),
        pytest.param(lambda connection: _set(connection, 3, id="x"), 3, id="id"),
        pytest.param(
            lambda connection: _set(connection, 3, subject_hmac=None), 3, id="person"
        ),
        pytest.param(
            lambda connection: _set(connection, 3, persons_sealed="x"), 3, id="sealed"
        ),
        pytest.param(_copy_sealed, 2, id="sealed of another row"),
        pytest.param(
            lambda connection: _set(connection, 3, hash="0" * 64), 3, id="hash"
        ),
        pytest.param(
            lambda connection: _set(connection, 3, hash_hmac="0" * 64), 3, id="hmac"
        ),
        pytest.param(
            lambda connection: _remove(connection, 3), 3, id="removed in the middle"
        ),
        pytest.param(lambda connection: _remove(connection, 6), 6, id="removed at end"),
        pytest.param(
            lambda connection: _remove(connection, 5, 6), 5, id="two removed at end"
        ),
        pytest.param(
            lambda connection: _remove(connection, 1), 1, id="removed at the beginning"
        ),
        pytest.param(
            lambda connection: _remove(connection, *range(1, 7)), 1, id="all removed"
        ),
        pytest.param(lambda connection: _swap(connection, 2, 4), 2, id="reordered"),
        pytest.param(_insert_after_the_end, 7, id="inserted after the end"),
        pytest.param(_insert_before_the_start, 0, id="inserted before the start"),
        pytest.param(_forge_from_2, None, id="forged with another key"),
        pytest.param(
            lambda connection: _set_anchor(connection, AnchorKind.HEAD, sequence=5),
            None,
            id="head changed",
        ),
        pytest.param(
            lambda connection: _set_anchor(connection, AnchorKind.START, sequence=1),
            None,
            id="start changed",
        ),
        pytest.param(
            lambda connection: connection.execute(anchors.delete()),
            None,
            id="anchors removed",
        ),
    ],
)
def test_tampering_is_found(
    trail: Database,
    seal: Seal,
    tamper: Callable[[Connection], None],
    broken: int | None,
) -> None:
    """The first row that somebody changed, removed, moved or added is named."""
    with trail.writing() as connection:
        tamper(connection)

    fault = verify(trail, seal).fault
    assert fault is not None
    assert fault.sequence == broken


def test_an_earlier_head_is_found(trail: Database, seal: Seal) -> None:
    """A head that was put back leaves rows behind it."""
    with trail.writing() as connection:
        _roll_the_head_back(connection, seal)

    fault = verify(trail, seal).fault
    assert fault is not None
    assert fault.sequence == 5


def test_a_forged_row_with_the_old_head_is_found(trail: Database, seal: Seal) -> None:
    """Rows of a foreign key are found even when nobody touched the head."""
    with trail.writing() as connection:
        head = _row(connection, ROWS)["hash"]
        _forge_from_2(connection)
        _set_anchor(connection, AnchorKind.HEAD, hash=head)

    fault = verify(trail, seal).fault
    assert fault is not None
    assert fault.sequence == 2


def test_an_older_state_is_found_by_a_noted_head(trail: Database, seal: Seal) -> None:
    """Rows and head of an earlier moment fit, but not the head that was noted since."""
    noted = verify(trail, seal).head
    with trail.writing() as connection:
        _roll_the_head_back(connection, seal)
        _remove(connection, 5, 6)

    alone = verify(trail, seal)
    compared = verify(trail, seal, expected=noted)
    assert alone.fault is None
    assert compared.fault == Fault(
        6,
        "the row that you expect is not in the trail: somebody put back an older state"
        " of the database",
    )


def test_another_history_is_found_by_a_noted_head(trail: Database, seal: Seal) -> None:
    """Rows that were written anew after a restore do not hide it."""
    noted = verify(trail, seal).head
    with trail.writing() as connection:
        _roll_the_head_back(connection, seal)
        _remove(connection, 5, 6)
    for _ in range(3):
        AuditStore(trail, seal).append(entry())

    assert verify(trail, seal).fault is None
    assert verify(trail, seal, expected=noted).fault is not None


def test_a_row_of_another_history_is_found(trail: Database, seal: Seal) -> None:
    """A row that this server wrote before a restore does not fit into the new chain."""
    with trail.writing() as connection:
        old = _row(connection, 5)
        _roll_the_head_back(connection, seal)
        _remove(connection, 5, 6)
    for _ in range(3):
        AuditStore(trail, seal).append(entry())
    with trail.writing() as connection:
        _remove(connection, 5)
        connection.execute(events.insert(), [old])

    assert verify(trail, seal).fault == Fault(
        6, "the row was written after another row than the one before it"
    )


def test_an_untouched_trail_holds(trail: Database, seal: Seal) -> None:
    """Each row is counted, and the head is the last row's."""
    seen: list[tuple[int, int]] = []
    found = verify(trail, seal, progress=lambda done, of: seen.append((done, of)))

    with trail.reading() as connection:
        last = _row(connection, ROWS)["hash"]
    assert found == Verification(
        rows=ROWS, start=ORIGIN, head=Link(ROWS, last), fault=None
    )
    assert seen == [(ROWS, ROWS)]
    assert verify(trail, seal, expected=found.head).fault is None


def test_an_empty_trail_holds(database: Database, seal: Seal) -> None:
    """A server that has just been installed has nothing to find."""
    assert verify(database, seal) == Verification(
        rows=0, start=ORIGIN, head=ORIGIN, fault=None
    )


def test_a_noted_head_that_is_removed_since_is_no_fault(
    trail: Database, seal: Seal
) -> None:
    """Housekeeping may have removed the row of a head that was noted long ago."""
    with trail.reading() as connection:
        noted = Link(2, _row(connection, 2)["hash"])
    AuditUpkeep(trail, seal).purge(recorded_before=datetime(2100, 1, 1, tzinfo=UTC))

    assert verify(trail, seal, expected=noted).fault is None


def test_rows_that_are_removed_during_the_walk_are_no_fault(
    trail: Database, seal: Seal
) -> None:
    """Housekeeping and servers work on while the chain is walked."""
    upkeep = AuditUpkeep(trail, seal)
    store = AuditStore(trail, seal)

    class Interrupted(Database):
        __slots__ = ("asked",)

        def reading(self) -> Any:
            """Remove and append rows between the reading of the anchors and rows."""
            self.asked = getattr(self, "asked", 0) + 1
            if self.asked == 2:
                upkeep.purge(recorded_before=datetime(2100, 1, 1, tzinfo=UTC))
                store.append(entry())
            return super().reading()

    interrupted = Interrupted.__new__(Interrupted)
    interrupted.engine = trail.engine
    found = verify(interrupted, seal)

    assert found.fault is None


@pytest.mark.parametrize("text", ["", "1", "1:", "1:xyz", f"-1:{'0' * 64}", "a:b:c"])
def test_a_text_that_is_no_link_is_refused(text: str) -> None:
    """A head is written as a row's number, a colon and 64 hexadecimal digits."""
    with pytest.raises(ValueError, match="expected a row's number"):
        Link.parse(text)


def test_a_link_is_read_as_it_was_written() -> None:
    """The text of a head leads back to it."""
    link = Link(17, "ab" * 32)

    assert Link.parse(str(link)) == link
