"""
The log of staff access: which decisions of the gatekeeper it notes, and how.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from log_entries import NURSE, TOLVAN

from fhir_gateway.access.policy import Interaction
from fhir_gateway.access.staff_log import StaffLog
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.log_entry import LogActivity, LogEntry
from fhir_gateway.model.principal import Principal, Purpose, Role
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

NOW: Final = datetime(2027, 3, 1, 8, 30, 15, tzinfo=UTC)
LEASE: Final = timedelta(minutes=1)
STAFF: Final = Principal(role=Role.STAFF, purpose=Purpose.TREATMENT, staff=NURSE)
CREATE: Final = Interaction("Appointment", "create")


def grant(principal: Principal = STAFF, basis: Basis = Basis.STAFF) -> Grant:
    """Return a grant for Tolvan."""
    return Grant(principal=principal, subject=TOLVAN, basis=basis)


@pytest.fixture(name="outbox")
def _outbox(tmp_path: Path) -> Iterator[LogOutbox]:
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    migrate(database.engine)
    yield LogOutbox(database, Seal((Seal.new_key(),)))
    database.close()


def noted(
    outbox: LogOutbox, given: Grant | None, interaction: Interaction = CREATE
) -> list[LogEntry]:
    """Let the log note a decision; return what is in the outbox."""
    StaffLog(outbox, clock=lambda: NOW).note(
        STAFF if given is None else given.principal,
        interaction,
        subject=TOLVAN,
        booking=None,
        unit=None,
        grant=given,
    )
    return [each.entry for each in outbox.take(limit=10, lease=LEASE)]


@pytest.mark.parametrize(
    ("name", "activity"),
    [
        ("create", LogActivity.WRITE),
        ("$hold", LogActivity.WRITE),
        ("$book", LogActivity.WRITE),
        ("read", LogActivity.READ),
        ("search-type", LogActivity.READ),
    ],
)
def test_a_grant_of_staff_is_noted(
    outbox: LogOutbox, name: str, activity: LogActivity
) -> None:
    """The entry has the employee, the patient, the activity and the time."""
    (entry,) = noted(outbox, grant(), Interaction("Appointment", name))

    assert entry == LogEntry(
        id=entry.id, activity=activity, at=NOW, staff=NURSE, patient=TOLVAN
    )


def test_each_access_has_an_entry_of_its_own(outbox: LogOutbox) -> None:
    """Two accesses to one patient are two entries."""
    (first,), (second,) = noted(outbox, grant()), noted(outbox, grant())

    assert first.id != second.id


@pytest.mark.parametrize(
    "basis", [basis for basis in Basis if basis is not Basis.STAFF]
)
def test_no_other_grant_is_noted(outbox: LogOutbox, basis: Basis) -> None:
    """Residents' own access stays out of the log of staff access."""
    principal = Principal(role=Role.RESIDENT, number=TOLVAN)

    assert noted(outbox, grant(principal, basis)) == []


def test_a_refusal_is_not_noted(outbox: LogOutbox) -> None:
    """Nothing of the patient was used."""
    assert noted(outbox, None) == []


def test_staff_without_an_employee_is_a_fault(outbox: LogOutbox) -> None:
    """An entry must name somebody."""
    with pytest.raises(ValueError, match="no employee"):
        noted(outbox, grant(Principal(role=Role.STAFF)))


def test_what_cannot_be_noted_may_not_happen(tmp_path: Path) -> None:
    """Without the database the access fails."""
    database = Database(f"sqlite:///{tmp_path}/absent/journal.db")
    outbox = LogOutbox(database, Seal((Seal.new_key(),)))

    with pytest.raises(Unavailable):
        noted(outbox, grant())
