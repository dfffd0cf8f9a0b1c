"""
Real databases, SQLite and PostgreSQL, and builders of what is kept in them.

Numbers are of Skatteverket's test kind: birth numbers from 980.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from granting import GRANT
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from sqlalchemy import event, select

from fhir_gateway.model.booking import Booking, BookingPermissions
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import BookingRecord, Journal, WriteIntent
from fhir_gateway.stores.journal.tables import metadata
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

UNIT = HsaId("SE2321000016-A01")
NORR = SourceName("norr")
START = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
LEASE = timedelta(minutes=2)
CANCEL = BookingPermissions(cancel=True)


@pytest.fixture(name="postgresql_server", scope="session")
def _postgresql_server() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            template = Database(server.new_url())
            migrate(template.engine)
            template.close()
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


@pytest.fixture(name="sqlite_template", scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database.engine)
    database.close()
    return path


_KINDS = [pytest.param(kind, id=kind) for kind in ("sqlite", "postgresql")]


@pytest.fixture(name="new_url", params=_KINDS)
def _new_url(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """Return the URL of one more database, migrated or empty."""
    urls: list[str] = []

    def new_sqlite_url(*, migrated: bool) -> str:
        path = tmp_path / f"journal{len(urls)}.db"
        if migrated:
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
        urls.append(f"sqlite:///{path}")
        return urls[-1]

    if request.param == "sqlite":
        yield new_sqlite_url
        return

    server: PostgresqlServer = request.getfixturevalue("postgresql_server")

    def new_postgresql_url(*, migrated: bool) -> str:
        urls.append(server.new_url(template="journal1" if migrated else "template1"))
        return urls[-1]

    yield new_postgresql_url
    for url in urls:
        server.drop(url)


@pytest.fixture(name="empty_url")
def _empty_url(new_url: Callable[..., str]) -> str:
    return new_url(migrated=False)


@pytest.fixture(name="url")
def _url(new_url: Callable[..., str]) -> str:
    return new_url(migrated=True)


@pytest.fixture(name="open_database")
def _open_database() -> Iterator[Callable[[str], Database]]:
    opened = []

    def open_database(url: str) -> Database:
        database = Database(url)
        opened.append(database)
        return database

    yield open_database
    for database in opened:
        database.close()


@pytest.fixture(name="database")
def _database(url: str, open_database: Callable[[str], Database]) -> Database:
    return open_database(url)


@pytest.fixture(name="keys", scope="session")
def _keys() -> tuple[str, ...]:
    return (Seal.new_key(),)


@pytest.fixture(name="journal")
def _journal(database: Database, keys: tuple[str, ...]) -> Journal:
    return Journal(database, Seal(keys))


def number(which: int = 0) -> PersonalIdentityNumber:
    """Return the personal number of the resident of that ordinal."""
    born = START - timedelta(days=15_000 + which // 10)
    first = f"{born:%Y%m%d}98{which % 10}"
    for check in range(10):
        try:
            return PersonalIdentityNumber(f"{first}{check}")
        except ValueError:
            continue
    raise AssertionError


def subject(which: int = 0) -> SubjectOfCare:
    """Return the resident of that ordinal."""
    return SubjectOfCare(
        number=number(which), first_name="Tolvan", last_name=f"Test{which}"
    )


def timeslot(hours: int = 0, *, count: int = 1, unit: HsaId = UNIT) -> Timeslot:
    """Return a time of half an hour, so many hours after the first one."""
    start = START + timedelta(hours=hours)
    return Timeslot(
        schedule=Schedule(
            unit=unit, time_type_id=TimeTypeId("besok"), time_type_name="Besök"
        ),
        start=start,
        end=start + timedelta(minutes=30),
        count=count,
    )


def reported(
    booking_id: str | None = "B1",
    *,
    permissions: BookingPermissions = CANCEL,
    is_invitation: bool = False,
) -> Booking:
    """Return a booking as a source reports it."""
    return Booking(
        unit=UNIT,
        booking_id=None if booking_id is None else BookingId(booking_id),
        start=START,
        end=START + timedelta(minutes=30),
        permissions=permissions,
        is_invitation=is_invitation,
    )


def claimed(
    journal: Journal, who: int = 0, hours: int = 0, *, source: SourceName = NORR
) -> WriteIntent:
    """Return a MAKE that has been claimed."""
    return journal.intents.claim_make(
        source=source, timeslot=timeslot(hours), subject=subject(who), grant=GRANT
    )


def sent(
    journal: Journal,
    who: int = 0,
    hours: int = 0,
    *,
    lease: timedelta = LEASE,
    source: SourceName = NORR,
) -> WriteIntent:
    """Return a MAKE that has been sent."""
    return journal.intents.mark_sent(
        claimed(journal, who, hours, source=source), lease=lease
    )


def booked(
    journal: Journal, who: int = 0, hours: int = 0, *, booking_id: str | None = "B1"
) -> BookingRecord:
    """Return a booking that its region has said yes to."""
    return journal.settlements.settle_booked(
        sent(journal, who, hours),
        booking_id=None if booking_id is None else BookingId(booking_id),
        permissions=CANCEL,
    )


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return everything that stands in the journal's tables."""
    with database.reading() as connection:
        return {
            name: sorted(
                (tuple(row) for row in connection.execute(select(table))), key=repr
            )
            for name, table in metadata.tables.items()
        }


def live_tokens(journal: Journal) -> dict[str, int]:
    """Return how many places of each time are claimed, whenever it is."""
    live = journal.places.read_live(starting_after=START - timedelta(days=1))
    return {token: len(claims) for token, claims in live.held.items()}


def plans(database: Database, ask: Callable[[], object]) -> str:
    """Return how the database goes about what is asked of its tables."""
    asked: list[tuple[Any, ...]] = []

    def remember(*arguments: Any) -> None:
        asked.append(arguments[2:4])

    event.listen(database.engine, "before_cursor_execute", remember)
    ask()
    event.remove(database.engine, "before_cursor_execute", remember)
    ((statement, parameters),) = [
        (text, values)
        for text, values in asked
        if "FROM claim" in str(text) or "FROM decision" in str(text)
    ]
    with database.reading() as connection:
        if database.engine.dialect.name == "sqlite":
            explain = "EXPLAIN QUERY PLAN"
        else:
            explain = "EXPLAIN"
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
    return str(plan)
