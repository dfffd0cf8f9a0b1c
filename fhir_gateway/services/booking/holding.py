"""
Holding: other clients cannot book a free time while a resident decides.

No contract has holds, so a hold binds the clients of this server only: the region may
give the time to somebody else, and then the booking fails with TimeslotTaken.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Incorrect
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.booking.write_checks import check_ability
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingRecord,
    Journal,
    timeslot_taken,
)

__all__ = ["LONGEST_HOLD", "HoldRequest", "Holding"]

LONGEST_HOLD: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HoldRequest:
    """
    A request to hold a free time for a resident.

    Attributes:
        token: Which time.
        number: The resident's personal number; a resident holds at most two times.
        grant: Who holds it.
        subject: The same person with a name; without it, the booking must have it.
        lasts: How long, at most five minutes.
        request: The client's key of this request.
    """

    token: TimeslotToken
    number: PersonalIdentityNumber
    grant: Grant
    subject: SubjectOfCare | None = None
    lasts: timedelta = LONGEST_HOLD
    request: RequestKey | None = None


class Holding:
    """
    Holds free times.

    Args:
        access: The sources.
        journal: Where holds are stored.
        claiming: Claims a place.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        claiming: Claiming,
        *,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._claiming = claiming
        self._clock = clock

    def hold(self, request: HoldRequest) -> BookingRecord:
        """
        Hold a free time that its source lists at this moment.

        If the same resident holds the time already, that hold is returned, with its own
        end.

        Raises:
            Incorrect: There is no such time, it is past, it cannot be held for so long,
                or the name is another person's.
            AlreadyBooked: The resident has booked that time already.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            TooManyHolds: The resident holds two other times.
            RepeatedRequest: The client has used its key before.
            Unavailable: The source could not be asked.
        """
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        check_ability(self._access, request.token.unit, UnitAbility.BOOK)
        _check_length(request.lasts)
        if request.subject is not None and request.subject.number != request.number:
            raise Incorrect(
                "The patient's number and the contained Patient are of two persons:"
                " send both of one person."
            )
        try:
            return self._claiming.claim(
                request.token,
                request.grant.asker,
                lambda timeslot, capacity: self._journal.holds.make(
                    source=source.name,
                    timeslot=timeslot,
                    number=request.number,
                    subject=request.subject,
                    lasts=request.lasts,
                    grant=request.grant,
                    capacity=capacity,
                    request=request.request,
                ),
            )
        except AlreadyBooked as error:
            record, intent = self._journal.lookups.get_with_pending(error.booking)
            is_hold = intent is not None and intent.held_until is not None
            if not request.grant.covers(record.owner(is_hold=is_hold)):
                # To a principal that may not see it, the time is taken.
                raise timeslot_taken(source.name) from error
            if intent is None or not is_hold or intent.is_lapsed:
                raise
            return record

    def renew(self, booking: str, grant: Grant, *, lasts: timedelta) -> BookingRecord:
        """
        Extend a hold to that long from now, up to a quarter of an hour in all.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It has expired, or is not a hold any more.
            Incorrect: It cannot be held for so long.
        """
        _check_length(lasts)
        return self._journal.holds.renew(booking, grant, lasts=lasts)

    def release(
        self, booking: str, *, reason: CancellationReason | None = None
    ) -> BookingRecord:
        """
        End a hold. A hold that is released or expired already stays as it is.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It is booked, or a booking of it is under way.
        """
        return self._journal.holds.release(booking, reason=reason)


def _check_length(lasts: timedelta) -> None:
    if not timedelta() < lasts <= LONGEST_HOLD:
        minutes = LONGEST_HOLD // timedelta(minutes=1)
        raise Incorrect(f"A hold must last more than 0 and at most {minutes} minutes.")
