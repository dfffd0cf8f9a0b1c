"""
The command `index`: what the engagement index has still to learn of our bookings.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result
from engagements import MARKS, TOLVAN
from sqlalchemy import update

from fhir_gateway.cli import main
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import Booking, BookingPermissions
from fhir_gateway.model.engagement import IndexedSource
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.sandbox_sources import write_engagement_index, write_sources
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.tables import index_posts
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

KEY: Final = Seal.new_key()
SYD: Final = SourceName("syd")
UNIT: Final = HsaId("SE2321009903-1001")
START: Final = datetime(2027, 3, 1, 8, tzinfo=UTC)
LEASE: Final = timedelta(minutes=5)
SOURCE: Final = IndexedSource(
    source_system=HsaId("SE2321009903-SYSTEM"), data_controller="SE2321009903"
)


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    write_sources(
        tmp_path, "http://127.0.0.1:8090", 300, Vocabulary(), indexed=("syd",)
    )
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture(name="outbox")
def _outbox(database: Database) -> IndexOutbox:
    """Give an outbox in which one booking waits."""
    seal = Seal((KEY,))
    end = START + timedelta(minutes=30)
    schedule = Schedule(
        unit=UNIT, time_type_id=TimeTypeId("besok"), time_type_name="Besök"
    )
    Journal(database, seal).reports.adopt(
        source=SYD,
        booking=Booking(
            unit=UNIT,
            booking_id=BookingId("B-1"),
            start=START,
            end=end,
            permissions=BookingPermissions(),
        ),
        timeslot=Timeslot(schedule=schedule, start=START, end=end),
        number=TOLVAN,
    )
    return IndexOutbox(database, seal, {SYD: SOURCE})


def run(folder: Path, *arguments: str) -> Result:
    """Run the command over the journal in a folder."""
    return CliRunner().invoke(
        main,
        ["index", *arguments],
        env={
            "FHIR_GATEWAY_SOURCES": str(folder / "sources.toml"),
            "FHIR_GATEWAY_ENGAGEMENT_INDEX": str(
                write_engagement_index(folder, "http://127.0.0.1:8090")
            ),
            "FHIR_GATEWAY_DATA_DIR": str(folder),
            "FHIR_GATEWAY_JOURNAL_KEYS": KEY,
        },
    )


def test_what_waits_is_counted(tmp_path: Path, outbox: IndexOutbox) -> None:
    """A booking that has just changed is no fault, and nobody is named."""
    assert outbox.state().waiting == 1

    text, document = run(tmp_path, "outbox"), run(tmp_path, "outbox", "--json")

    assert (text.output, text.exit_code) == (
        "1 bookings wait for the engagement index.\n",
        0,
    )
    assert (json.loads(document.output), document.exit_code) == (
        {"waiting": 1, "failing_s": None, "refused": 0},
        0,
    )


def test_a_long_failure_is_a_fault(
    tmp_path: Path, outbox: IndexOutbox, database: Database
) -> None:
    """An index that has failed for longer than a quarter of an hour: exit code 3."""
    outbox.postpone(outbox.take(limit=1, lease=LEASE), LEASE)
    with database.writing() as connection:
        connection.execute(
            update(index_posts).values(failing_since=index_posts.c.failing_since - 1000)
        )

    result = run(tmp_path, "outbox")

    assert result.exit_code == 3
    assert "it has failed for 10" in result.output


def test_refused_posts_are_sent_again(tmp_path: Path, outbox: IndexOutbox) -> None:
    """A refusal is a fault until an operator has the posts sent again."""
    (taken,) = outbox.take(limit=1, lease=LEASE)
    outbox.give_up(taken)

    refused = run(tmp_path, "outbox")
    resent = run(tmp_path, "resend")
    after = run(tmp_path, "outbox")

    assert (refused.output.splitlines()[1:], refused.exit_code) == (
        ["1 were refused for good."],
        3,
    )
    assert (resent.output, resent.exit_code) == (
        "The posts of 1 bookings will be sent again.\n",
        0,
    )
    assert after.exit_code == 0
    assert [mark for mark in MARKS if mark in refused.output + resent.output] == []


def test_without_a_journal_there_is_a_line(tmp_path: Path) -> None:
    """Nothing is created, and the exit code is 2."""
    write_sources(tmp_path, "http://127.0.0.1:8090", 300, Vocabulary())

    result = run(tmp_path, "outbox")

    assert result.exit_code == 2
    assert result.output.startswith("fhir-gateway: there is no journal at ")
