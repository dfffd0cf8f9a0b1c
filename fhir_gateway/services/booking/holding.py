"""
Holding: a free time is kept from other clients while a resident makes up their mind.

No contract has a hold, so it binds this server's own clients only: the region may give
the time to somebody else, and then booking it says so.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Incorrect
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingRecord,
    Journal,
)

__all__ = ["LONGEST_HOLD", "HoldRequest", "Holding"]

LONGEST_HOLD: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HoldRequest:
    """
    A resident wants a free time to be kept for them.

    Attributes:
        token: Which time.
        number: The resident's: nobody holds more than two times at once.
        subject: The same person with a name; without it the booking has to bring it.
        lasts: How long, at most five minutes.
        request: What the client calls this request.
    """

    token: TimeslotToken
    number: PersonalIdentityNumber
    subject: SubjectOfCare | None = None
    lasts: timedelta = LONGEST_HOLD
    request: RequestKey | None = None


class Holding:
    """
    Holds free times.

    Args:
        access: The sources.
        journal: Where holds are kept.
        claiming: Finds a place.
        clock: Tells the time.
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
        Hold a free time, once its source has just listed it.

        A time that the same resident holds already goes on being held, as long as it
        was to be.

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
        _check_length(request.lasts)
        if request.subject is not None and request.subject.number != request.number:
            raise Incorrect("The slot is to be held for one person, not for two.")
        try:
            return self._claiming.claim(
                request.token,
                request.number,
                lambda timeslot, capacity: self._journal.holds.make(
                    source=source.name,
                    timeslot=timeslot,
                    number=request.number,
                    subject=request.subject,
                    lasts=request.lasts,
                    capacity=capacity,
                    request=request.request,
                ),
            )
        except AlreadyBooked as error:
            intent = self._journal.lookups.find_pending(error.booking)
            if intent is None or intent.held_until is None or intent.is_lapsed:
                raise
            return self._journal.lookups.get(error.booking)

    def renew(self, booking: str, *, lasts: timedelta) -> BookingRecord:
        """
        Let a hold last that long from now, up to a quarter of an hour in all.

        Raises:
            NotFound: There is no such booking.
            HoldOver: It is over, or no hold any more.
            Incorrect: It cannot be held for so long.
        """
        _check_length(lasts)
        return self._journal.holds.renew(booking, lasts=lasts)

    def release(
        self, booking: str, *, reason: CancellationReason | None = None
    ) -> BookingRecord:
        """
        End a hold; one that has been released, or is over, is returned as it is.

        Raises:
            NotFound: There is no such booking.
            Conflict: It has been booked, or is being booked.
        """
        return self._journal.holds.release(booking, reason=reason)


def _check_length(lasts: timedelta) -> None:
    if not timedelta() < lasts <= LONGEST_HOLD:
        minutes = LONGEST_HOLD // timedelta(minutes=1)
        raise Incorrect(
            f"A slot can be held for up to {minutes} minutes, and not for no time."
        )
