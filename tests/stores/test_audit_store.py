"""
The audit trail: what is stored, who finds it, and what happens when it cannot be.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select

from fhir_gateway.model.grant import Basis
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.principal import Principal, Purpose, Role
from fhir_gateway.stores.audit import (
    AuditStore,
    AuditUpkeep,
    ChainBroken,
    NotWritten,
    verify,
)
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import Database, DatabaseUnavailable
from fhir_gateway.stores.sealing import Seal, SealBroken

from .audit_entries import NURSE, TOLVAN, entry, resident
from .conftest import number

_APPEND = """
import sys
from forked import in_processes
from fhir_gateway.stores.audit import AuditStore
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.sealing import Seal
from stores.audit_entries import entry

url, key = sys.argv[1:]

def append(process):
    database = Database(url)
    store = AuditStore(database, Seal([key]))
    for _ in range(20):
        store.append(entry())
    database.close()

print(in_processes(4, append))
"""
OpenDatabase = Callable[[str], Database]


@pytest.fixture(name="seal")
def _seal(keys: tuple[str, ...]) -> Seal:
    return Seal(keys)


@pytest.fixture(name="store")
def _store(database: Database, seal: Seal) -> AuditStore:
    return AuditStore(database, seal)


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(entry(), id="own"),
        pytest.param(entry(principal=NURSE, basis=Basis.STAFF), id="staff"),
        pytest.param(
            entry(
                principal=resident(number(3)),
                basis=None,
                booking=None,
                sources=(),
                request=None,
            ),
            id="refused",
        ),
        pytest.param(
            entry(sources=(SourceName("norr"), SourceName("syd"))), id="two sources"
        ),
        pytest.param(
            entry(
                principal=Principal(role=Role.SYSTEM, purpose=Purpose.CARE_MANAGEMENT)
            ),
            id="system",
        ),
    ],
)
def test_an_entry_is_found_as_it_was_stored(store: AuditStore, stored: object) -> None:
    """An entry keeps who asked, for whom, what, why and on what ground."""
    store.append(stored)  # type: ignore[arg-type] # a table of entries

    (found,) = store.list_of(TOLVAN, limit=10)
    assert found.entry == stored
    assert store.find(found.id) == found


def test_an_entry_has_the_time_of_the_database(store: AuditStore) -> None:
    """An entry is stored with the present time."""
    store.append(entry())

    (found,) = store.list_of(TOLVAN, limit=1)
    assert abs(found.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)  # noqa: TID251 - compared with the database's clock


def test_a_resident_finds_only_what_concerns_them(store: AuditStore) -> None:
    """Entries of others, and of nobody, are not found."""
    store.append(entry())
    store.append(entry(number(1)))
    store.append(entry(None, basis=None))

    assert [each.sequence for each in store.list_of(TOLVAN, limit=10)] == [1]
    assert [each.sequence for each in store.list_of(number(1), limit=10)] == [2]


def test_the_newest_come_first_and_pages_follow(store: AuditStore) -> None:
    """A page continues where the page before ended."""
    for _ in range(5):
        store.append(entry())

    first = store.list_of(TOLVAN, limit=2)
    second = store.list_of(TOLVAN, limit=2, older_than=first[-1].sequence)
    assert [each.sequence for each in [*first, *second]] == [5, 4, 3, 2]


def test_a_period_bounds_what_is_found(store: AuditStore) -> None:
    """The start is included, and the end is not."""
    store.append(entry())
    (found,) = store.list_of(TOLVAN, limit=1)
    at, later = found.recorded_at, found.recorded_at + timedelta(microseconds=1)

    assert store.list_of(TOLVAN, limit=1, start=at, before=later) == [found]
    assert store.list_of(TOLVAN, limit=1, start=later) == []
    assert store.list_of(TOLVAN, limit=1, before=at) == []


def test_each_row_holds_the_hash_of_the_one_before(
    store: AuditStore, database: Database
) -> None:
    """The rows form a chain."""
    for _ in range(3):
        store.append(entry())

    with database.reading() as connection:
        rows = connection.execute(select(events).order_by(events.c.sequence)).all()
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:2]]


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "mark",
    ["191212121212", "1212121212", "121212-1212", "nurse-7", "NURSE", "request-1"],
)
def test_files_hold_no_person_in_clear(
    store: AuditStore, tmp_path: Path, mark: str
) -> None:
    """Neither the database's file nor its log names a person or a request."""
    store.append(entry(principal=NURSE, basis=Basis.STAFF))
    store.append(entry())

    found = [
        path.name
        for path in tmp_path.iterdir()
        for encoding in ("utf-8", "utf-16-le")
        if mark.encode(encoding) in path.read_bytes()
    ]
    assert found == []


def test_columns_hold_no_person_in_clear(store: AuditStore, database: Database) -> None:
    """No column names a person."""
    store.append(entry(principal=NURSE, basis=Basis.STAFF))

    with database.reading() as connection:
        rows = repr(connection.execute(select(events)).all())
    assert not [
        mark for mark in ("1912", "1212", "nurse", "NURSE", "1177") if mark in rows
    ]


def test_equal_persons_look_different(store: AuditStore, database: Database) -> None:
    """Nobody can try numbers against the digest: each has a random part."""
    store.append(entry())
    store.append(entry())

    with database.reading() as connection:
        digests = connection.execute(select(events.c.persons_digest)).scalars().all()
    assert len(set(digests)) == 2


def test_reprs_hold_no_person() -> None:
    """No repr of an entry names a person."""
    assert repr(entry()) == "AuditEntry(Appointment read)"


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
def test_a_full_disk_stores_nothing(store: AuditStore, database: Database) -> None:
    """An entry that finds no room is refused, and the trail is as before."""
    store.append(entry())

    def fill(connection: object, _record: object, _proxy: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined] # a DBAPI connection
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        cursor.close()

    event.listen(database.engine, "checkout", fill)
    stored = 1 + _append_until_refused(store)
    with pytest.raises(NotWritten) as raised:
        store.append(entry())
    event.remove(database.engine, "checkout", fill)

    assert isinstance(raised.value.__cause__, DatabaseUnavailable)
    assert "the disk is full" in raised.value.__cause__.log_text
    assert len(store.list_of(TOLVAN, limit=2000)) == stored


def _append_until_refused(store: AuditStore) -> int:
    for stored in range(1000):
        try:
            store.append(entry())
        except NotWritten:
            return stored
    raise AssertionError


def test_a_read_only_file_stores_nothing(
    tmp_path: Path, sqlite_template: Path, open_database: OpenDatabase, seal: Seal
) -> None:
    """An entry for a file that may not be written is refused."""
    path = tmp_path / "read-only.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")

    with pytest.raises(NotWritten) as raised:
        AuditStore(database, seal).append(entry())
    assert isinstance(raised.value.__cause__, DatabaseUnavailable)


@pytest.mark.parametrize("kind", ["HEAD", "START"])
def test_a_foreign_anchor_stops_the_trail(
    store: AuditStore, database: Database, seal: Seal, kind: str
) -> None:
    """Nothing is stored after a head that this server did not sign."""
    store.append(entry())
    with database.writing() as connection:
        connection.execute(
            anchors.update().where(anchors.c.kind == kind).values(sequence=7)
        )

    if kind == "START":
        with pytest.raises(ChainBroken):
            AuditUpkeep(database, seal).purge(recorded_before=datetime.now(UTC))  # noqa: TID251 - only the past
        return
    with pytest.raises(NotWritten) as raised:
        store.append(entry())
    assert isinstance(raised.value.__cause__, ChainBroken)


def test_removed_anchors_stop_the_trail(store: AuditStore, database: Database) -> None:
    """A trail with rows gets no new anchors."""
    store.append(entry())
    with database.writing() as connection:
        connection.execute(anchors.delete())

    with pytest.raises(NotWritten) as raised:
        store.append(entry())
    assert isinstance(raised.value.__cause__, ChainBroken)


def test_mended_anchors_let_the_trail_go_on(
    store: AuditStore, database: Database, seal: Seal
) -> None:
    """The chain continues after the last row, with a row that says so."""
    for _ in range(3):
        store.append(entry())
    with database.writing() as connection:
        connection.execute(anchors.delete())

    head = AuditUpkeep(database, seal).mend_anchors()
    store.append(entry())

    found = verify(database, seal)
    assert head.sequence == 4
    assert (found.rows, found.head.sequence, found.fault) == (5, 5, None)
    with database.reading() as connection:
        noted = connection.execute(
            select(events.c.interaction).where(events.c.sequence == 4)
        ).scalar_one()
    assert noted == "mend"


def test_old_rows_are_removed_and_the_chain_holds(
    store: AuditStore, database: Database, seal: Seal
) -> None:
    """A removed beginning leaves an anchor, and the rest stays."""
    store.append(entry())
    (first,) = (last,) = store.list_of(TOLVAN, limit=1)
    while last.recorded_at == first.recorded_at:
        store.append(entry())
        (last,) = store.list_of(TOLVAN, limit=1)
    upkeep = AuditUpkeep(database, seal)

    removed = upkeep.purge(recorded_before=last.recorded_at)
    again = upkeep.purge(recorded_before=last.recorded_at)

    found = verify(database, seal)
    assert (removed, again, upkeep.count()) == (last.sequence - 1, 0, 1)
    assert (found.rows, found.start.sequence, found.fault) == (1, removed, None)


def test_a_trail_without_rows_goes_on(
    store: AuditStore, database: Database, seal: Seal
) -> None:
    """After all rows were old enough, the next one continues the chain."""
    store.append(entry())
    AuditUpkeep(database, seal).purge(recorded_before=datetime(2100, 1, 1, tzinfo=UTC))
    empty = verify(database, seal)
    store.append(entry())

    found = verify(database, seal)
    assert (empty.rows, empty.fault) == (0, None)
    assert (found.rows, found.head.sequence, found.fault) == (1, 2, None)


def test_a_row_made_older_is_not_removed(
    store: AuditStore, database: Database, seal: Seal
) -> None:
    """Nobody gets a row removed by changing its time."""
    store.append(entry())
    with database.writing() as connection:
        connection.execute(events.update().values(recorded_at=0.0))

    upkeep = AuditUpkeep(database, seal)
    assert upkeep.purge(recorded_before=datetime(2020, 1, 1, tzinfo=UTC)) == 0
    assert upkeep.count() == 1


def test_a_new_key_seals_and_signs_all(database: Database) -> None:
    """After resealing, the new key alone opens, finds and verifies every row."""
    old, new = Seal.new_key(), Seal.new_key()
    AuditStore(database, Seal([old])).append(entry())
    store = AuditStore(database, Seal([new, old]))
    store.append(entry())

    done = list(AuditUpkeep(database, Seal([new, old])).reseal())

    fresh = Seal([new])
    found = verify(database, fresh)
    assert done == [(2, 1)]
    assert (found.rows, found.fault) == (2, None)
    assert len(AuditStore(database, fresh).list_of(TOLVAN, limit=9)) == 2


def test_while_keys_change_both_find_all(database: Database) -> None:
    """A process that has the new key last still works beside one that has it first."""
    old, new = Seal.new_key(), Seal.new_key()
    AuditStore(database, Seal([new, old])).append(entry())
    AuditStore(database, Seal([old, new])).append(entry())

    found = verify(database, Seal([old, new]))
    assert (found.rows, found.fault) == (2, None)


def test_foreign_keys_are_found_at_start(store: AuditStore, database: Database) -> None:
    """A server with other keys than the trail's does not start."""
    store.append(entry())

    with pytest.raises(SealBroken):
        AuditUpkeep(database, Seal([Seal.new_key()])).check_keys()


def test_threads_append_one_chain(
    store: AuditStore, database: Database, seal: Seal
) -> None:
    """Sixteen threads at once lose nothing, and the chain holds."""

    def append() -> None:
        for _ in range(10):
            store.append(entry())

    threads = [threading.Thread(target=append) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = verify(database, seal)
    assert (found.rows, found.fault) == (160, None)


def test_threads_without_a_shared_group_append_one_chain(
    database: Database, seal: Seal
) -> None:
    """The first entries of several processes at once make one pair of anchors."""
    start = threading.Barrier(8)
    failed: list[BaseException] = []

    def append() -> None:
        store = AuditStore(database, seal)
        start.wait()
        try:
            for _ in range(5):
                store.append(entry())
        except NotWritten as error:
            failed.append(error)

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = verify(database, seal)
    assert (failed, found.rows, found.fault) == ([], 40, None)


def test_processes_append_one_chain(url: str, keys: tuple[str, ...]) -> None:
    """Four processes at once lose nothing, and the chain holds."""
    finished = subprocess.run(
        [sys.executable, "-c", _APPEND, url, *keys],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    database = Database(url)
    found = verify(database, Seal(keys))
    database.close()
    assert finished.stdout == "[0, 0, 0, 0]\n"
    assert (found.rows, found.fault) == (80, None)


def test_a_failed_group_fails_for_each_member(
    store: AuditStore, database: Database
) -> None:
    """Each caller that waited for a failed transaction gets the error."""
    store.append(entry())
    with database.writing() as connection:
        connection.execute(anchors.delete())
    failed = []

    def append() -> None:
        try:
            store.append(entry())
        except NotWritten as error:
            failed.append(type(error.__cause__))

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == [ChainBroken] * 8
