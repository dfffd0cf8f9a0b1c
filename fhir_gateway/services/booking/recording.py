"""
Recording: after a region's yes, checks what the region did, and records it.
"""

from typing import TypeAlias

import structlog

from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.alarming import raise_alarm
from fhir_gateway.services.booking.read_back import (
    ReadBack,
    Sighting,
    is_the_same_time,
)
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.source_access import AnothersBookings, SourceAccess
from fhir_gateway.stores.journal import (
    Alarm,
    BookingIdTaken,
    BookingRecord,
    Journal,
    WriteIntent,
    WriteKind,
)

__all__ = ["Recording", "WriteOutcome", "log_not_read"]

_log = structlog.get_logger()

# A booking after a write, with its source's description, if there is one.
WriteOutcome: TypeAlias = tuple[BookingRecord, Booking | None]


class _YesNotSeen(Exception):
    """
    A region said yes, but its list and its details do not confirm that.

    Args:
        alarm: Why this needs manual follow-up; None while the list may only lag.
    """

    def __init__(self, alarm: Alarm | None) -> None:
        super().__init__()
        self.alarm = alarm


class Recording:
    """
    Records the writes that regions confirmed.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        read_back: Reads bookings at their sources.
        settlement: Raises alarms.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
    ) -> None:
        self._access = access
        self._journal = journal
        self._read_back = read_back
        self._settlement = settlement

    def record_made(
        self,
        source: Source,
        intent: WriteIntent,
        timeslot: Timeslot,
        result: WriteResult,
    ) -> WriteOutcome:
        """
        Record that a region made a booking, after checking that it is the wanted one.

        Args:
            source: The region's source.
            intent: The write.
            timeslot: The wanted time.
            result: The region's answer.
        """
        record = self._journal.lookups.get(intent.booking)
        try:
            details = self._find_details(record, timeslot, result.booking_id)
        except _YesNotSeen as doubt:
            return self._doubt_yes(record, intent, doubt.alarm)
        except AnothersBookings:
            return self._doubt_yes(record, intent, Alarm.SOMETHING_ELSE)
        try:
            settled = self._journal.settlements.settle_booked(
                intent,
                booking_id=(
                    details.booking_id or result.booking_id
                    if details
                    else result.booking_id
                ),
                permissions=details.permissions if details else BookingPermissions(),
                is_invitation=bool(details and details.is_invitation),
                message=_text_to_show(result),
                is_seen=details is not None,
                look_again_in=None if details else source.settles_within,
            )
        except BookingIdTaken as error:
            return self._reject_booking_id(intent, error)
        # Settling has recorded all of the description.
        return settled, details

    def record_moved(
        self, intent: WriteIntent, timeslot: Timeslot, result: WriteResult
    ) -> WriteOutcome:
        """Record that a region moved a booking, after finding it at the new time."""
        record = self._journal.lookups.get(intent.booking)
        sighting = self._look(record, timeslot)
        if sighting is None or not sighting.matches:
            # Not listed at the new time: its new id is unknown as well.
            return self._doubt_yes(record, intent, None)
        details = sighting.matches[0]
        try:
            self._settlement.flag_left_behind(record, intent, sighting)
        except GatewayError as error:
            log_not_read(record, error)
        try:
            moved = self._journal.settlements.settle_moved(
                intent,
                booking_id=details.booking_id,
                permissions=details.permissions,
                is_invitation=details.is_invitation,
                message=_text_to_show(result),
            )
        except BookingIdTaken as error:
            return self._reject_booking_id(intent, error)
        return self._read_back.confirm(moved, details), details

    def _doubt_yes(
        self, record: BookingRecord, intent: WriteIntent, alarm: Alarm | None
    ) -> WriteOutcome:
        """Record an unknown outcome for a write that the region said yes to."""
        _log.warning(
            "cancelled booking is still listed"
            if intent.kind is WriteKind.CANCEL
            else "confirmed booking is not listed",
            source=record.source,
            booking=record.id,
        )
        if alarm is not None:
            # Another time, place or person than requested: what was booked is unknown,
            # so the booking stays pending.
            raise_alarm(
                self._journal,
                intent,
                alarm,
                "region booked something else"
                if alarm is Alarm.SOMETHING_ELSE
                else "outcome ambiguous",
            )
        unknown = self._journal.settlements.settle_unknown(intent, said_yes=True)
        return unknown, None

    def _reject_booking_id(
        self, intent: WriteIntent, error: BookingIdTaken
    ) -> WriteOutcome:
        _log.warning("booking id rejected", booking=intent.booking, error=str(error))
        raise_alarm(
            self._journal, intent, Alarm.SOMETHING_ELSE, "booking id is already in use"
        )
        return self._journal.settlements.settle_unknown(intent), None

    def _find_details(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        booking_id: BookingId | None,
    ) -> Booking | None:
        """
        Return the description of a booking just made; None if the list is unreadable.

        The resident's list comes first: it shows whether the platform has delivered the
        booking twice.

        Raises:
            AnothersBookings: The answer is about another person.
            _YesNotSeen: The list can be read and lacks the booking, and the details of
                that id do not describe it.
        """
        try:
            sighting = self._read_back.look(record, timeslot, booking_id=booking_id)
        except AnothersBookings:
            raise
        except GatewayError as error:
            log_not_read(record, error)
            return None
        found = sighting.matches
        if found:
            named = [each for each in found if each.booking_id == booking_id]
            return (named or found)[0]
        if booking_id is not None and any(
            each.booking_id == booking_id and None not in (each.start, each.end)
            for each in sighting.candidates
        ):
            raise _YesNotSeen(Alarm.SOMETHING_ELSE)
        details = self._get_details(record, timeslot, booking_id)
        if details is None:
            doubts = self._settlement.find_doubts(record, sighting)
            raise _YesNotSeen(Alarm.AMBIGUOUS if doubts else None)
        if not is_the_same_time(details, timeslot):
            raise _YesNotSeen(Alarm.SOMETHING_ELSE)
        return details

    def _get_details(
        self, record: BookingRecord, timeslot: Timeslot, booking_id: BookingId | None
    ) -> Booking | None:
        """
        Return the details of the id that the region answered; None if there are none.

        Raises:
            AnothersBookings: They are about another person.
        """
        if booking_id is None:
            return None
        try:
            return self._access.booking_details(
                record.source, timeslot.schedule.unit, booking_id, record.asker
            )
        except AnothersBookings:
            raise
        except GatewayError as error:
            log_not_read(record, error)
            return None

    def record_cancelled(
        self, source: Source, intent: WriteIntent, result: WriteResult
    ) -> WriteOutcome:
        """
        Record that a region has cancelled a booking, if it shows it no more.

        Args:
            source: The region's source.
            intent: The write.
            result: The region's answer.
        """
        record = self._journal.lookups.get(intent.booking)
        sighting = self._look(record, record.timeslot)
        is_read = sighting is not None
        if sighting is not None:
            if self._read_back.find_standing(record, sighting):
                return self._doubt_yes(record, intent, None)
            try:
                if self._read_back.find_details(record) is not None:
                    # The list may never have had the booking.
                    return self._doubt_yes(record, intent, None)
            except GatewayError as error:
                log_not_read(record, error)
                is_read = False
        cancelled = self._journal.settlements.settle_cancelled(
            intent,
            message=_text_to_show(result),
            look_again_in=None if is_read else source.settles_within,
        )
        return cancelled, None

    def _look(self, record: BookingRecord, timeslot: Timeslot) -> Sighting | None:
        """Return what the resident's list has at a time; None if it is unreadable."""
        try:
            return self._read_back.look(record, timeslot)
        except GatewayError as error:
            log_not_read(record, error)
            return None


def log_not_read(record: BookingRecord, error: GatewayError) -> None:
    """Log that a booking could not be read back."""
    _log.info(
        "booking not read back",
        source=record.source,
        booking=record.id,
        error=str(error),
    )


def _text_to_show(result: WriteResult) -> str | None:
    """Return the text that must be shown by the contract: that of INFO."""
    return result.text if result.code is ResultCode.INFO else None
