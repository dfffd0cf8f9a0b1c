"""
The command `audit`: what of staff access waits for the log service.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from log_entries import MARKS, log_entry
from sqlalchemy import update

from fhir_gateway.cli import main
from fhir_gateway.model.log_entry import LogResult
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.tables import log_outbox
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

KEY = Seal.new_key()
LEASE = timedelta(minutes=5)


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture(name="outbox")
def _outbox(database: Database) -> LogOutbox:
    return LogOutbox(database, Seal((KEY,)))


def run(folder: Path, *arguments: str) -> Result:
    """Run the command over the journal in a folder."""
    return CliRunner().invoke(
        main,
        ["audit", *arguments],
        env={
            "FHIR_GATEWAY_DATA_DIR": str(folder),
            "FHIR_GATEWAY_JOURNAL_KEYS": KEY,
        },
    )


def test_an_empty_outbox_is_well(tmp_path: Path, outbox: LogOutbox) -> None:
    """Nothing waits, and the exit code is 0."""
    assert outbox.state().waiting == 0

    result = run(tmp_path, "outbox")

    assert (result.output, result.exit_code) == ("0 log entries wait.\n", 0)


def test_what_waits_is_counted(tmp_path: Path, outbox: LogOutbox) -> None:
    """Entries that have just come are no fault."""
    for which in range(3):
        outbox.add(log_entry(which))

    result = run(tmp_path, "outbox", "--json")

    found = json.loads(result.output)
    assert 0 <= found.pop("oldest_s") < 60
    assert (found, result.exit_code) == ({"waiting": 3, "refused": {}}, 0)


def test_an_old_entry_is_a_fault(
    tmp_path: Path, outbox: LogOutbox, database: Database
) -> None:
    """One that has waited longer than a quarter of an hour: exit code 3."""
    outbox.add(log_entry())
    with database.writing() as connection:
        connection.execute(
            update(log_outbox).values(queued_at=log_outbox.c.queued_at - 1000)
        )

    result = run(tmp_path, "outbox")

    assert result.exit_code == 3
    assert "the oldest for 10" in result.output


def test_a_refused_entry_is_a_fault(tmp_path: Path, outbox: LogOutbox) -> None:
    """The reason is shown, and nobody is named."""
    outbox.add(log_entry())
    (taken,) = outbox.take(limit=1, lease=LEASE)
    outbox.give_up(taken, LogResult.INVALID)

    text, document = run(tmp_path, "outbox"), run(tmp_path, "outbox", "--json")

    assert (text.output, text.exit_code) == (
        "0 log entries wait.\n1 were refused for good (invalid).\n",
        3,
    )
    assert (json.loads(document.output), document.exit_code) == (
        {"waiting": 0, "oldest_s": None, "refused": {"invalid": 1}},
        3,
    )
    assert [m for m in MARKS if m in text.output + document.output] == []


def test_refused_entries_are_sent_again(tmp_path: Path, outbox: LogOutbox) -> None:
    """They wait again, and nothing is refused."""
    outbox.add(log_entry())
    (taken,) = outbox.take(limit=1, lease=LEASE)
    outbox.give_up(taken, LogResult.DENIED)

    result = run(tmp_path, "resend")

    assert (result.output, result.exit_code) == (
        "1 log entries will be sent again.\n",
        0,
    )
    state = outbox.state()
    assert (state.waiting, state.refused) == (1, {})


def test_without_a_journal_there_is_a_line(tmp_path: Path) -> None:
    """Nothing is created, and the exit code is 2."""
    result = run(tmp_path, "outbox")

    assert result.exit_code == 2
    assert result.output.startswith("fhir-gateway: there is no journal at ")
    assert list(tmp_path.iterdir()) == []
