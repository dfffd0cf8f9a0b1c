"""
The command `journal`: alarms and resealing.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NORR, number, subject, timeslot
from click.testing import CliRunner, Result
from granting import GRANT

from fhir_gateway.cli import main
from fhir_gateway.model.timekeeping import now
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Alarm, Journal, WriteIntent
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Any:
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    yield database
    database.close()


def run(tmp_path: Path, *arguments: str, keys: str) -> Result:
    """Run the command over the journal of a test."""
    return CliRunner().invoke(
        main,
        ["journal", *arguments],
        env={
            "FHIR_GATEWAY_DATA_DIR": str(tmp_path),
            "FHIR_GATEWAY_JOURNAL_KEYS": keys,
            "COLUMNS": "200",
        },
    )


def claimed(journal: Journal) -> WriteIntent:
    """Claim a time of tomorrow."""
    return journal.intents.claim_make(
        source=NORR, timeslot=timeslot(24, after=now()), subject=subject(), grant=GRANT
    )


def test_alarms_are_listed(tmp_path: Path, database: Database) -> None:
    """Each has its booking, and nothing personal."""
    key = Seal.new_key()
    journal = Journal(database, Seal((key,)))
    intent = claimed(journal)
    journal.outcomes.raise_alarm(intent, Alarm.DUPLICATE)

    result = run(tmp_path, "alarms", keys=key)

    assert result.exit_code == 0
    assert "DUPLICATE" in result.output
    assert intent.booking in result.output
    assert number().reveal() not in result.output


def test_alarms_are_listed_for_programs(tmp_path: Path, database: Database) -> None:
    """The same as JSON; what has not been sent has no time of sending."""
    key = Seal.new_key()
    journal = Journal(database, Seal((key,)))
    intent = claimed(journal)
    journal.outcomes.raise_alarm(intent, Alarm.DUPLICATE)

    result = run(tmp_path, "alarms", "--json", keys=key)

    assert json.loads(result.output) == [
        {
            "alarm": "DUPLICATE",
            "booking": intent.booking,
            "source": "norr",
            "unit": timeslot(24).schedule.unit,
            "write": "MAKE",
            "state": "CLAIMED",
            "sent": None,
        }
    ]


def test_everything_is_resealed(tmp_path: Path, database: Database) -> None:
    """Then the journal opens with the new key alone."""
    old, new = Seal.new_key(), Seal.new_key()
    booking = claimed(Journal(database, Seal((old,)))).booking

    result = run(tmp_path, "reseal", keys=f"{new},{old}")

    assert result.exit_code == 0
    assert result.stdout == "1 rows were sealed anew.\n"
    assert Journal(database, Seal((new,))).lookups.get(booking).subject == subject()


def test_a_missing_key_is_one_clear_line(tmp_path: Path, database: Database) -> None:
    """Without the old key nothing is touched, and the exit code says why."""
    claimed(Journal(database, Seal((Seal.new_key(),))))

    result = run(tmp_path, "reseal", keys=Seal.new_key())

    assert result.exit_code == 2
    assert "FHIR_GATEWAY_JOURNAL_KEYS" in result.output


@pytest.mark.parametrize(
    ("says", "state"), [("--done", "BOOKED"), ("--not-done", "NOT_MADE")]
)
def test_what_the_unit_says_settles(
    tmp_path: Path, database: Database, says: str, state: str
) -> None:
    """A write that nobody else can find out about is settled by a person."""
    key = Seal.new_key()
    journal = Journal(database, Seal((key,)))
    sent = journal.intents.mark_sent(claimed(journal), lease=timedelta(minutes=1))
    journal.settlements.settle_unknown(sent)

    result = run(tmp_path, "settle", sent.booking, says, keys=key)

    assert (result.exit_code, result.output) == (0, f"{sent.booking} is {state}.\n")
    assert journal.lookups.get(sent.booking).state.value == state


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["--done"], 1, id="not unknown"),
        pytest.param([], 2, id="says nothing"),
        pytest.param(["--done", "--not-done"], 2, id="says both"),
    ],
)
def test_what_is_not_unknown_is_not_settled(
    tmp_path: Path, database: Database, arguments: list[str], code: int
) -> None:
    """What this server is about to do, or knows, is nobody's to say."""
    key = Seal.new_key()
    intent = claimed(Journal(database, Seal((key,))))

    result = run(tmp_path, "settle", intent.booking, *arguments, keys=key)

    assert result.exit_code == code
