"""
Claiming: a time is looked up at its source, this moment, and a place of it made ours.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Incorrect, TimeslotTaken
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import Journal, Place

__all__ = ["Claiming", "check_start"]

_Claim = TypeVar("_Claim")


class Claiming:
    """
    Finds places.

    Args:
        access: The sources.
        journal: Where claims are.
    """

    def __init__(self, access: SourceAccess, journal: Journal) -> None:
        self._access = access
        self._journal = journal

    def claim(
        self,
        token: TimeslotToken,
        number: PersonalIdentityNumber,
        take: Callable[[Timeslot, int], _Claim],
        *,
        moving: BookingId | None = None,
    ) -> _Claim:
        """
        Return what `take` makes of a time that its source lists now.

        Args:
            token: Which time.
            number: The resident's.
            take: Claims a place of the time in the journal; it gets how many there
                are, and raises TimeslotTaken when all are claimed.
            moving: The booking that is to be moved there.

        Raises:
            Incorrect: No source offers such a time type.
            TimeslotTaken: Somebody else has the time, or the source does not list it.
            GatewayError: The source could not be asked, or `take` raised it.
        """
        self._access.check_unlisted(token)
        places = self._journal.places.list_of_timeslot(token.text)
        timeslot = self._access.free_timeslot(token, number, moving=moving)
        try:
            return take(timeslot, _capacity(timeslot, places))
        except TimeslotTaken:
            if all(each.is_settled for each in places) or len(places) == 1:
                raise
        # A place whose booking the region had done and we had not heard of was counted
        # twice: as not listed, and as on its way. By now it has been heard of.
        places = self._journal.places.list_of_timeslot(token.text)
        timeslot = self._access.free_timeslot(token, number, moving=moving)
        return take(timeslot, _capacity(timeslot, places))


def check_start(token: TimeslotToken, clock: Clock) -> None:
    """
    Check that a time is still to come.

    Raises:
        Incorrect: It has begun.
    """
    if token.starts_at <= clock():
        raise Incorrect(
            "The slot has already begun; search for a later one.",
            error_code=ErrorCode.REQUESTED_TIME_HAS_ALREADY_PASSED,
        )


def _capacity(timeslot: Timeslot, places: Sequence[Place]) -> int:
    """
    Return how many places a time has, of which some were claimed here before.

    A source lists the places that are left. Those that were booked here before it was
    asked are not among them; those that are held, or on their way to it, still are. A
    time that never had more than one place has one for ever, even if its source lists
    more.
    """
    if max(len(places), timeslot.count) == 1:
        return 1
    return timeslot.count + sum(each.is_settled for each in places)
