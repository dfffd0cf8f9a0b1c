"""
A resident's list leaves counts of the ways that found its bookings, and nobody's name.
"""

from pathlib import Path

from fhir_gateway.model.found_booking import Lack
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import CoverageCount
from fhir_gateway.model.timekeeping import now
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.statistics import CoverageCounts

from .bodies import PERSONNUMMER
from .running import OtherPrograms, own_regions

_TOLVAN = "191212121212"


def test_a_list_is_counted_by_the_ways_that_found_it(
    other_programs: OtherPrograms, tmp_path: Path
) -> None:
    """When the gateway stops, the database has the counts of its lists."""
    month = Month.of(now())
    with (
        own_regions(tmp_path) as (_, sources),
        other_programs.start(sources=sources) as made,
    ):
        found = made.app.test_client().post(
            "/fhir/Appointment/_search",
            data={"patient.identifier": f"{PERSONNUMMER}|{_TOLVAN}"},
        )
    folder = other_programs.settings.data_dir / f"other-{other_programs.started}"
    database = Database(f"sqlite:///{folder / 'journal.sqlite'}")
    counts = CoverageCounts(database).of_month(month)
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM coverage").all()
    database.close()

    assert found.status_code == 200, found.text
    assert counts == (
        CoverageCount(
            month=month,
            source=SourceName("norr"),
            aggregated=Lack.NOT_ASKED,
            direct=None,
            count=1,
        ),
    )
    assert _TOLVAN not in repr(rows)
