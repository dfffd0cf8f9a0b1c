"""
Privacy: nothing that is a resident's stands in clear, on the disk or in a text.
"""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from granting import GRANT
from sqlalchemy import event

from fhir_gateway.model.booking import (
    Booking,
    CancellationReason,
)
from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    Journal,
)
from fhir_gateway.stores.sealing import Seal

from .conftest import CANCEL, LEASE, NORR, START, UNIT, rows, timeslot

MARKED = SubjectOfCare(
    number=PersonalIdentityNumber("191212121212"),
    first_name="Förnamnson",
    middle_name="Mellannamnson",
    last_name="Efternamnson",
    phone="0701740605",
    email="marked@example.org",
    address="Markgatan 7",
)
REQUEST = RequestKey(
    client="resident\nhttps://idp\napp\n191212121212",
    key="key of 191212121212",
    fingerprint="Efternamnson books",
)
TEXT = "Hej Efternamnson, ta med legitimation"
BOOKING_ID = BookingId("REGION-4711")
MARKS = [
    *MARKED.as_mapping().values(),
    "1212121212",
    "121212-1212",
    "key of",
    "books",
    "legitimation",
    "Hemlig orsak",
    BOOKING_ID,
]


def _lived(journal: Journal) -> None:
    """Leave every kind of row, with a marked resident and marked texts."""
    made = journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=MARKED, request=REQUEST, grant=GRANT
    )
    journal.requests.close(
        REQUEST,
        RecordedAnswer(status=201, headers={}, body=f"{TEXT} {MARKED.number.reveal()}"),
        visit=START,
    )
    record = journal.settlements.settle_booked(
        journal.intents.mark_sent(made, lease=LEASE),
        booking_id=BOOKING_ID,
        permissions=CANCEL,
        message=TEXT,
    )
    moved = journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(1), grant=GRANT), lease=LEASE
    )
    journal.settlements.settle_refused(moved, message=TEXT)
    reason = CancellationReason(text="Hemlig orsak", stated=TEXT)
    cancelled = journal.intents.mark_sent(
        journal.intents.claim_cancel(record, reason=reason, grant=GRANT), lease=LEASE
    )
    journal.settlements.settle_unknown(cancelled)
    journal.reports.adopt(
        source=NORR,
        booking=Booking(
            unit=UNIT,
            booking_id=BookingId(f"{BOOKING_ID}-2"),
            start=START,
            end=None,
            subject_of_care=MARKED.number,
            reason="Hemlig orsak",
            purpose=TEXT,
        ),
        timeslot=timeslot(5),
        number=MARKED.number,
    )


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mark", [pytest.param(mark) for mark in MARKS])
def test_files_hold_nothing_in_clear(
    journal: Journal, tmp_path: Path, mark: str
) -> None:
    """Neither the database's file nor its log holds a mark, in either encoding."""
    _lived(journal)

    found = [
        path.name
        for path in tmp_path.iterdir()
        for encoding in ("utf-8", "utf-16-le", "unicode-escape")
        if mark.encode(encoding) in path.read_bytes()
    ]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [
        ".db",
        ".db-shm",
        ".db-wal",
    ]
    assert found == []


def test_columns_hold_nothing_in_clear(journal: Journal, database: Database) -> None:
    """No column of any table holds a mark."""
    _lived(journal)

    text = repr(rows(database))
    assert [mark for mark in MARKS if mark in text] == []


def sent_to(database: Database) -> list[tuple[str, Any]]:
    """Return a list of the statements that go to a database from now on."""
    sent: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        _, _, statement, parameters, _, _ = given
        sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    return sent


def test_statements_hold_nothing_in_clear(journal: Journal, database: Database) -> None:
    """A server may log each statement with its parameters: none of them is a mark."""
    sent = sent_to(database)
    _lived(journal)

    text = repr(sent)
    assert len(sent) > 20
    # Until no release before this one can run, rows with an id in clear are looked for.
    marks = set(MARKS) - {BOOKING_ID}
    assert [mark for mark in marks if mark in text] == []


def locks_of(database: Database, *keys: str) -> set[int]:
    """Return the locks that a request key takes at a server with some keys."""
    sent = sent_to(database)
    with suppress(RepeatedRequest):
        Journal(database, Seal(keys)).requests.begin(REQUEST, lease=LEASE)
    return {
        lock
        for statement, parameters in sent
        if "pg_advisory_xact_lock" in statement
        for lock in parameters.values()
    }


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_the_lock_of_a_request_key_shows_nothing(database: Database) -> None:
    """Without the journal's key nobody can try which request key a lock belongs to."""
    mine, other = Seal.new_key(), Seal.new_key()

    assert locks_of(database, mine) == locks_of(database, mine)
    assert not locks_of(database, mine) & locks_of(database, other)


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_a_change_of_keys_keeps_repeats_apart(database: Database) -> None:
    """At each step, servers before and after it still wait for each other."""
    old, new = Seal.new_key(), Seal.new_key()
    steps = [(old,), (old, new), (new, old), (new,)]

    for before, after in pairwise(steps):
        assert locks_of(database, *before) & locks_of(database, *after)


def test_every_table_was_filled(journal: Journal, database: Database) -> None:
    """What the scan looks through is not empty."""
    _lived(journal)

    assert {name: len(found) for name, found in rows(database).items()} == {
        "booking": 2,
        "claim": 2,
        "decision": 3,
        "request": 1,
        # Entries of the log of staff access: their own tests look at them.
        "log_outbox": 0,
        # Counts, which name nobody.
        "coverage": 0,
        # Posts of the engagement index: likewise.
        "engagement": 0,
        "engagement_look": 0,
        "index_lease": 1,
        "index_post": 0,
        # Likewise.
        "added_unit": 0,
        "invitation": 0,
    }


def test_reprs_hold_nothing_in_clear(journal: Journal, database: Database) -> None:
    """No repr of any argument or result of the journal holds a mark."""
    _lived(journal)
    (record, adopted) = journal.lookups.list_of_resident(MARKED.number)
    values = (
        record,
        adopted,
        journal.lookups.find_latest(record.id),
        journal,
        database,
        REQUEST,
    )

    assert [mark for mark in MARKS if mark in repr(values)] == []


def test_errors_hold_nothing_in_clear(journal: Journal) -> None:
    """No error about a resident's request holds a mark."""
    _lived(journal)
    with pytest.raises(AlreadyBooked) as already:
        journal.intents.claim_make(
            source=NORR, timeslot=timeslot(), subject=MARKED, grant=GRANT
        )
    with pytest.raises(RepeatedRequest) as repeated:
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=MARKED,
            request=REQUEST,
            grant=GRANT,
        )

    text = f"{already.value!r} {already.value} {repeated.value!r} {repeated.value}"
    assert [mark for mark in MARKS if mark in text] == []


def test_texts_are_returned_in_full(journal: Journal, keys: tuple[str, ...]) -> None:
    """Sealed texts are returned in clear to permitted callers."""
    _lived(journal)
    (record, adopted) = journal.lookups.list_of_resident(MARKED.number)

    assert (record.subject, record.message) == (MARKED, TEXT)
    assert (adopted.subject, adopted.number) == (None, MARKED.number)
    assert repr(Seal(keys)) == "Seal(1 keys)"
