"""
Claiming: look up a time at its source now, and claim one of its places.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Incorrect, TimeslotTaken
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.source.invitation_access import InvitationAccess
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import Journal, Place

__all__ = ["Claiming", "check_start"]

_Claim = TypeVar("_Claim")


class Claiming:
    """
    Claims places of free times.

    Args:
        access: The sources.
        invited: Asks sources about open invitations.
        journal: Where claims are stored.
    """

    def __init__(
        self, access: SourceAccess, invited: InvitationAccess, journal: Journal
    ) -> None:
        self._access = access
        self._invited = invited
        self._journal = journal

    def claim(
        self,
        token: TimeslotToken,
        asker: Asker,
        take: Callable[[Timeslot, int], _Claim],
        *,
        moving: BookingId | None = None,
    ) -> _Claim:
        """
        Look up a time at its source, claim a place of it, and return the claim.

        Args:
            token: Which time.
            asker: Who asks, and for which resident.
            take: Claims a place in the journal and returns the claim; its arguments are
                the time and its number of places. Raises TimeslotTaken if all are
                claimed.
            moving: The booking to move to that time.

        Raises:
            Incorrect: No source has such a time type.
            TimeslotTaken: Somebody else has the time, or the source does not list it.
            GatewayError: The source could not be asked, or `take` raised it.
        """
        self._access.check_unlisted(token)
        return self._claim(
            token,
            lambda: self._access.free_timeslot(token, asker, moving=moving),
            take,
        )

    def claim_invited(
        self,
        token: TimeslotToken,
        asker: Asker,
        take: Callable[[Timeslot, int], _Claim],
        *,
        invitation: OpenInvitation,
    ) -> _Claim:
        """
        Look up a time that an open invitation offers, as `claim` does any other time.

        Raises:
            TimeslotTaken: Somebody else has the time, or the source does not list it.
            GatewayError: The source could not be asked, or `take` raised it.
        """
        return self._claim(
            token, lambda: self._invited.find_time(token, invitation, asker), take
        )

    def _claim(
        self,
        token: TimeslotToken,
        find: Callable[[], Timeslot],
        take: Callable[[Timeslot, int], _Claim],
    ) -> _Claim:
        places = self._journal.places.list_of_timeslot(token.text)
        timeslot = find()
        try:
            return take(timeslot, _capacity(timeslot, places))
        except TimeslotTaken:
            if all(each.is_settled for each in places) or len(places) == 1:
                raise
        # The region may have booked a place before its answer reached the journal: then
        # the place was neither listed nor settled, so it was missing. Count again.
        places = self._journal.places.list_of_timeslot(token.text)
        timeslot = find()
        return take(timeslot, _capacity(timeslot, places))


def check_start(token: TimeslotToken, clock: Clock) -> None:
    """
    Check that a time has not begun.

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
    Return how many places a time has, including those claimed here.

    A source lists the places that are left. It does not list places with a settled
    booking from here; it still lists places that are only held, or of which the write
    is under way. If the listed count and the claims here are at most one, the time has
    one place, also after it was booked.
    """
    if max(len(places), timeslot.count) == 1:
        return 1
    return timeslot.count + sum(each.is_settled for each in places)
