"""
The counts of coverage: by which ways the bookings of residents' lists were found.
"""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_on_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite

from fhir_gateway.model.found_booking import Lack
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.month import Month
from fhir_gateway.model.statistics import CoverageCount
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.tables import coverage

__all__ = ["CoverageCounts", "CoverageKey"]

CoverageKey = tuple[Month, SourceName, Lack | None, Lack | None]
"""A row: its month, its source, and why each way did not find the bookings."""


class CoverageCounts:
    """
    Stores counts; each method is one transaction.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Mapping[CoverageKey, int]) -> None:
        """Add to the counts, all of them or none."""
        with self._database.writing() as connection:
            insert = (
                insert_on_sqlite
                if connection.dialect.name == "sqlite"
                else insert_on_postgresql
            )
            # In one order, so that no two processes wait for each other.
            for key in sorted(counts, key=_text_of):
                month, source, aggregated, direct = key
                new = insert(coverage).values(
                    month=str(month),
                    source=source,
                    aggregated=_stored(aggregated),
                    direct=_stored(direct),
                    count=counts[key],
                )
                connection.execute(
                    new.on_conflict_do_update(
                        index_elements=list(coverage.primary_key.columns),
                        set_={"count": coverage.c.count + new.excluded.count},
                    )
                )

    def of_month(self, month: Month) -> tuple[CoverageCount, ...]:
        """Return the counts of a month."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(coverage, coverage.c.count.label("listed")).where(
                    coverage.c.month == str(month)
                )
            ).all()
        return tuple(
            CoverageCount(
                month=month,
                source=SourceName(row.source),
                aggregated=_lack(row.aggregated),
                direct=_lack(row.direct),
                count=row.listed,
            )
            for row in rows
        )


def _text_of(key: CoverageKey) -> tuple[str, str, str, str]:
    month, source, aggregated, direct = key
    return str(month), source, _stored(aggregated), _stored(direct)


def _stored(lack: Lack | None) -> str:
    return "" if lack is None else lack.value


def _lack(text: str) -> Lack | None:
    return Lack(text) if text else None
