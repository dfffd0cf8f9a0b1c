"""
The commands `audit verify` and `audit mend`: verifying and mending the audit trail.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, update

from fhir_gateway.cli import main
from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.stores.audit import AuditStore, verify
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

TOLVAN = PersonalIdentityNumber("191212121212")
KEY = Seal.new_key()


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Any:
    """Give a database with three audit rows."""
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    store = AuditStore(database, Seal([KEY]))
    for _ in range(3):
        store.append(
            AuditEntry(
                principal=Principal(role=Role.RESIDENT, number=TOLVAN),
                resource_type="Appointment",
                interaction="read",
                basis=Basis.SELF,
                subject=TOLVAN,
            )
        )
    yield database
    database.close()


def run(tmp_path: Path, *arguments: str, keys: str = KEY) -> Result:
    """Run a command over the database of a test."""
    return CliRunner().invoke(
        main,
        arguments,
        env={
            "FHIR_GATEWAY_DATA_DIR": str(tmp_path),
            "FHIR_GATEWAY_JOURNAL_KEYS": keys,
        },
    )


def head(database: Database) -> str:
    """Return the head of the trail."""
    return str(verify(database, Seal([KEY])).head)


def test_a_chain_that_holds_is_said_so(tmp_path: Path, database: Database) -> None:
    """Exit code 0, the count and the head."""
    result = run(tmp_path, "audit", "verify")

    assert result.exit_code == 0
    assert result.stdout == f"3 rows are in order, up to {head(database)}.\n"


@pytest.mark.parametrize("expects", [False, True])
def test_an_emptied_trail_is_pointed_out(
    tmp_path: Path, database: Database, *, expects: bool
) -> None:
    """Without a head to expect it may be new; with one it is known to be emptied."""
    noted = head(database)
    with database.writing() as connection:
        connection.execute(delete(events))
        connection.execute(delete(anchors))

    expected = ("--expect", noted) if expects else ()
    result = run(tmp_path, "audit", "verify", *expected)

    assert result.exit_code == int(expects)
    assert ("The trail is empty" in result.stdout) is not expects


def test_programs_read_json(tmp_path: Path, database: Database) -> None:
    """The same for a program."""
    result = run(tmp_path, "audit", "verify", "--json")

    assert json.loads(result.stdout) == {
        "holds": True,
        "rows": 3,
        "start": f"0:{'0' * 64}",
        "head": head(database),
        "broken_row": None,
        "fault": None,
    }


def test_a_broken_row_is_named(tmp_path: Path, database: Database) -> None:
    """Exit code 1, and the first broken row; nobody's number is shown."""
    with database.writing() as connection:
        connection.execute(
            update(events).where(events.c.sequence == 2).values(interaction="create")
        )

    result = run(tmp_path, "audit", "verify")
    for_programs = run(tmp_path, "audit", "verify", "--json")

    assert (result.exit_code, for_programs.exit_code) == (1, 1)
    assert "Row 2: this server did not write the row so" in result.stdout
    assert json.loads(for_programs.stdout)["broken_row"] == 2
    assert TOLVAN.reveal() not in result.output


def test_a_noted_head_is_compared(tmp_path: Path, database: Database) -> None:
    """A head of another trail is missed."""
    noted = head(database)
    foreign = f"3:{'ab' * 32}"

    assert run(tmp_path, "audit", "verify", "--expect", noted).exit_code == 0
    assert run(tmp_path, "audit", "verify", "--expect", foreign).exit_code == 1
    assert run(tmp_path, "audit", "verify", "--expect", "x").exit_code == 2


def test_another_key_is_one_clear_line(tmp_path: Path, database: Database) -> None:
    """With foreign keys nothing can be verified, and the first row is named."""
    result = run(tmp_path, "audit", "verify", keys=Seal.new_key())

    assert result.exit_code == 1
    assert "An anchor: the start of the trail is missing" in result.stdout
    assert head(database)


def test_changed_anchors_are_mended(tmp_path: Path, database: Database) -> None:
    """The chain goes on after a row that says so."""
    with database.writing() as connection:
        connection.execute(delete(anchors))

    broken = run(tmp_path, "audit", "verify")
    mended = run(tmp_path, "audit", "mend")
    after = run(tmp_path, "audit", "verify")

    assert (broken.exit_code, mended.exit_code, after.exit_code) == (1, 0, 0)
    assert mended.stdout == f"The audit trail goes on after {head(database)}.\n"
    assert after.stdout.startswith("4 rows are in order")


def test_resealing_seals_the_trail_too(tmp_path: Path, database: Database) -> None:
    """After that the new key alone verifies it."""
    new = Seal.new_key()
    result = run(tmp_path, "journal", "reseal", keys=f"{new},{KEY}")

    assert result.stdout == "3 rows were sealed anew.\n"
    assert run(tmp_path, "audit", "verify", keys=new).exit_code == 0
    assert verify(database, Seal([new])).rows == 3
