"""
The booking journal: the SQL truth of what this server did, and may have done.

A write to a region is committed here before it is sent and settled here after, so that
a crash in between leaves what is needed to find out how it went.
"""

from fhir_gateway.stores.journal.journal import Journal
from fhir_gateway.stores.journal.places import Place, Reading
from fhir_gateway.stores.journal.records import (
    Alarm,
    AlreadyBooked,
    BookingIdTaken,
    BookingRecord,
    BookingState,
    HoldOver,
    LostIntent,
    TooManyHolds,
    WriteIntent,
    WriteKind,
    WriteState,
)

__all__ = [
    "Alarm",
    "AlreadyBooked",
    "BookingIdTaken",
    "BookingRecord",
    "BookingState",
    "HoldOver",
    "Journal",
    "LostIntent",
    "Place",
    "Reading",
    "TooManyHolds",
    "WriteIntent",
    "WriteKind",
    "WriteState",
]
