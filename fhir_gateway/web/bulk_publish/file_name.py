"""
The names of the feed's files.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from fhir_gateway.model.ids import SourceName

__all__ = ["OUTCOME", "SLOT", "TYPES", "FileName", "week_text"]

TYPES: Final = (
    *("Location", "Organization", "HealthcareService"),
    *("Practitioner", "PractitionerRole", "Schedule"),
)
"""The types with one file for each source."""

OUTCOME: Final = "OperationOutcome"
SLOT: Final = "Slot"


@dataclass(frozen=True, slots=True)
class FileName:
    """
    What a file holds, and what it is called after.

    Attributes:
        week: The Monday of a week of slots.
    """

    type: str
    source: SourceName
    week: date | None = None

    @property
    def text(self) -> str:
        """Return the name of the file."""
        week = f".{week_text(self.week)}" if self.week is not None else ""
        return f"{self.type}.{self.source}{week}.ndjson"

    @classmethod
    def parse(cls, text: str) -> "FileName":
        """
        Return the name in a text.

        Raises:
            ValueError: It is the name of no possible file.
        """
        type_, source, *week, suffix = text.split(".")
        if suffix != "ndjson" or len(week) != (type_ == SLOT):
            raise ValueError(text)
        if type_ not in (*TYPES, SLOT, OUTCOME):
            raise ValueError(text)
        name = cls(type_, SourceName(source), *map(_monday, week))
        if name.text != text:
            raise ValueError(text)
        return name


def week_text(monday: date) -> str:
    """Return a week as ISO 8601 writes it, as 2026-W49."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def _monday(text: str) -> date:
    year, _, week = text.partition("-W")
    return date.fromisocalendar(int(year), int(week), 1)
