"""
Housekeeping: what the worker makes the journal forget.
"""

import threading
from datetime import timedelta

import pytest
from builders import subject
from structlog.testing import capture_logs

from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import NotFound
from fhir_gateway.services.booking.housekeeping import Housekeeping
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from services.conftest import Wireless

DAY = timedelta(days=1)


def test_a_visit_is_wiped_some_days_after(wireless: Wireless) -> None:
    """On the last day it is there, and on the next it is not."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    housekeeping = Housekeeping(
        wireless.desk.journal, wiped_after=30 * DAY, clock=wireless.desk.clock
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
        {"event": "housekeeping done", "log_level": "info", "purged": 0, "wiped": 1}
    ]


def test_nothing_to_do_is_not_logged(wireless: Wireless) -> None:
    """A journal with nothing to forget is left alone."""
    journal = wireless.desk.journal
    journal.requests.begin(
        RequestKey(client="app", key="k", fingerprint="f"), lease=DAY
    )
    with capture_logs() as logs:
        Housekeeping(journal, wiped_after=30 * DAY).run_once()

    assert logs == []


def test_a_journal_that_is_away_ends_nothing(
    own_database: Database, own_journal: Journal
) -> None:
    """Housekeeping logs it and continues."""
    with own_database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE request RENAME TO gone")
    stop = threading.Event()
    with capture_logs() as logs:
        thread = threading.Thread(
            target=Housekeeping(own_journal, wiped_after=DAY).run, args=(stop,)
        )
        thread.start()
        while not logs and thread.is_alive():
            stop.wait(0.01)
        stop.set()
        thread.join()

    assert [each["event"] for each in logs] == ["housekeeping failed"]
