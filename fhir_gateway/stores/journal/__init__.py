"""
The booking journal: the SQL record of what this server did, and may have done.

A write to a region is committed here before it is sent, and settled here afterwards. A
crash in between leaves what this server needs to find the outcome.
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
    timeslot_taken,
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
    "timeslot_taken",
]
