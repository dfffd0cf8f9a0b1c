"""
Housekeeping: what the worker makes the journal forget.
"""

import threading
from datetime import timedelta

import pytest
from builders import subject
from structlog.testing import capture_logs

from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.timekeeping import now
from fhir_gateway.services.booking.housekeeping import Housekeeping
from fhir_gateway.stores.audit import AuditStore, AuditUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.sealing import Seal
from services.conftest import Wireless

DAY = timedelta(days=1)


YEAR = 366 * DAY


@pytest.fixture(name="audit")
def _audit(own_database: Database, seal: Seal) -> AuditUpkeep:
    return AuditUpkeep(own_database, seal)


def test_a_visit_is_wiped_some_days_after(
    wireless: Wireless, audit: AuditUpkeep
) -> None:
    """On the last day it is there, and on the next it is not."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    housekeeping = Housekeeping(
        wireless.desk.journal,
        audit,
        wiped_after=30 * DAY,
        audit_kept=YEAR,
        clock=wireless.desk.clock,
    )
    wireless.desk.clock.instant = wanted.end + 30 * DAY
    housekeeping.run_once()
    kept = wireless.desk.journal.lookups.get(made.id)
    wireless.desk.clock.forward(seconds=2)
    with capture_logs() as logs:
        housekeeping.run_once()

    assert kept.subject == subject(0)
    with pytest.raises(NotFound):
        wireless.desk.booking.read(made.id)
    assert logs == [
        {
            "event": "housekeeping done",
            "log_level": "info",
            "purged": 0,
            "wiped": 1,
            "sealed": 0,
        }
    ]


def test_nothing_to_do_is_not_logged(wireless: Wireless, audit: AuditUpkeep) -> None:
    """A journal with nothing to forget is left alone."""
    journal = wireless.desk.journal
    journal.requests.begin(
        RequestKey(client="app", key="k", fingerprint="f"), lease=DAY
    )
    with capture_logs() as logs:
        Housekeeping(journal, audit, wiped_after=30 * DAY, audit_kept=YEAR).run_once()

    assert logs == []


def test_a_journal_that_is_away_ends_nothing(
    own_database: Database, own_journal: Journal, audit: AuditUpkeep
) -> None:
    """Housekeeping logs it and continues."""
    with own_database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE request RENAME TO gone")
    stop = threading.Event()
    with capture_logs() as logs:
        thread = threading.Thread(
            target=Housekeeping(
                own_journal, audit, wiped_after=DAY, audit_kept=YEAR
            ).run,
            args=(stop,),
        )
        thread.start()
        while not logs and thread.is_alive():
            stop.wait(0.01)
        stop.set()
        thread.join()

    assert [each["event"] for each in logs] == ["housekeeping failed"]


def test_old_audit_rows_are_removed_and_the_head_is_logged(
    own_database: Database, own_journal: Journal, audit: AuditUpkeep, seal: Seal
) -> None:
    """The log has the head of the audit trail, once for each, and no person."""
    store = AuditStore(own_database, seal)
    for _ in range(3):
        store.append(
            AuditEntry(
                principal=Principal(role=Role.DEMO),
                resource_type="Appointment",
                interaction="read",
                basis=None,
                subject=None,
            )
        )
    moment = now()
    clock = [moment]
    housekeeping = Housekeeping(
        own_journal, audit, wiped_after=DAY, audit_kept=YEAR, clock=lambda: clock[0]
    )
    with capture_logs() as logs:
        housekeeping.run_once()
        housekeeping.run_once()
        clock[0] = moment + YEAR + DAY
        housekeeping.run_once()

    assert audit.count() == 0
    assert logs == [
        {
            "event": "audit trail",
            "log_level": "info",
            "head": str(audit.head()),
            "removed": removed,
        }
        for removed in (0, 3)
    ]
