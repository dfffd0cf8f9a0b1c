"""
The command `report`: statistics for a terminal, for programs, and as a page.
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
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import BookingPermissions
from fhir_gateway.model.month import Month
from fhir_gateway.model.timekeeping import now
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

KEY = Seal.new_key()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Any:
    """Give a data folder with one booking in its journal."""
    write_sources(tmp_path / "sources", "http://127.0.0.1:1", 100, Vocabulary())
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    journal = Journal(database, Seal([KEY]))
    intent = journal.intents.claim_make(
        source=NORR, timeslot=timeslot(24, after=now()), subject=subject(), grant=GRANT
    )
    journal.settlements.settle_booked(
        journal.intents.mark_sent(intent, lease=timedelta(minutes=1)),
        booking_id=None,
        permissions=BookingPermissions(),
    )
    yield tmp_path
    database.close()


def run(folder: Path, *arguments: str) -> Result:
    """Run the command over the folder of a test."""
    return CliRunner().invoke(
        main,
        ["report", *arguments],
        env={
            "FHIR_GATEWAY_DATA_DIR": str(folder),
            "FHIR_GATEWAY_JOURNAL_KEYS": KEY,
            "FHIR_GATEWAY_SOURCES": str(folder / "sources" / "sources.toml"),
            "COLUMNS": "200",
        },
    )


def test_a_single_booking_is_hidden(folder: Path) -> None:
    """One booking is counted, and nobody sees where or that it was one."""
    month = str(Month.of(now()))
    result = run(folder, "bookings", "--month", month, "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["months"] == [
        {
            "month": month,
            "counts": {
                kind: {
                    "total": 0,
                    "is_at_least": kind == "booked",
                    "sources": {NORR: {"total": None}} if kind == "booked" else {},
                }
                for kind in (
                    *("booked", "moved", "cancelled", "refused"),
                    *("not-done", "unsettled"),
                )
            },
        }
    ]
    assert number().reveal() not in result.output


def test_tables_are_printed(folder: Path) -> None:
    """Without options there are tables of a year."""
    result = run(folder, "bookings")

    assert result.exit_code == 0, result.output
    assert "By month" in result.output
    assert str(Month.of(now()).plus(-11)) in result.output


def test_a_page_is_written(folder: Path) -> None:
    """The page stands in one file."""
    page = folder / "new" / "report.html"
    result = run(folder, "coverage", "--html", str(page))

    assert result.exit_code == 0, result.output
    assert "Nothing was counted in this period." in page.read_text(encoding="utf-8")


def test_nothing_counted_is_no_failure(folder: Path) -> None:
    """A report of nothing says so, and exits with 0."""
    result = run(folder, "coverage", "--month", "2026-01")

    assert (result.exit_code, result.output) == (
        0,
        "Nothing was counted in 2026-01.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--month", "2026-13"], "write it like 2026-11"),
        (["--month", "2026-01", "--to", "2026-02"], "--month, or --from and --to"),
        (["--from", "2026-02", "--to", "2026-01"], "must not be before"),
        (["--from", "2000-01", "--to", "2026-01"], "120 months at most"),
        (["--json", "--html", "x.html"], "one of them only"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], message: str, folder: Path
) -> None:
    """A wrong option exits with 2, and says what to write."""
    result = run(folder, "bookings", *arguments)

    assert result.exit_code == 2
    assert message in result.output


def test_without_a_journal_nothing_is_made(folder: Path, tmp_path: Path) -> None:
    """The command makes no journal, and exits with 2."""
    (folder / "journal.sqlite").unlink()
    result = run(folder, "bookings")

    assert result.exit_code == 2
    assert not (tmp_path / "journal.sqlite").exists()
