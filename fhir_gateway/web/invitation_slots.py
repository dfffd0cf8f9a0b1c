"""
The slots of one open invitation: `Slot?invitation=` and `$find` with `invitation`.

The region is asked within the search, as the resident who is invited. Who may not read
the invitation gets the answer for an id that there is not, and nothing is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fhir_gateway.fhir.appointment import proposed_appointment
from fhir_gateway.fhir.outcome import (
    Issue,
    Problem,
    ProblemKind,
    Severity,
    issue_from_source_outcome,
)
from fhir_gateway.fhir.slot import SlotStatus, slot_from_timeslot
from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timekeeping import epoch_seconds, minute_of_week
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken, TimeType
from fhir_gateway.model.weekly_hours import DAYS, MINUTES_OF_A_DAY
from fhir_gateway.web.exchange import preferences
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import grant_to_read_booking
from fhir_gateway.web.limiting import count_absent, count_live_calls
from fhir_gateway.web.partial_answer import check_completeness
from fhir_gateway.web.searching import can_be_found, cursor_text
from fhir_gateway.web.slot_criteria import statuses_of
from fhir_gateway.web.slot_query import SlotQuery

__all__ = ["InvitationPage", "InvitationSlots"]

_NAME: Final = "invitation"
_WITH: Final = frozenset(
    {
        *(_NAME, "start", "end", "time-of-day", "day-of-week", "status", "_id"),
        *("_sort", "_count", "_total", "_cursor"),
    }
)
_FOUND: Final = frozenset({SlotStatus.FREE.value})
# The invitation itself, its units, and the times of a few units.
_CALLS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationPage:
    """
    A page of the slots of an invitation.

    Attributes:
        source: The invitation's source.
        answered_at: When the region listed them.
        total: How many fit in all; None when that is not known.
        cursor: Of the next page; None for the last one.
        issues: What is missing.
    """

    source: SourceName
    timeslots: tuple[Timeslot, ...]
    answered_at: datetime
    total: int | None
    cursor: str | None
    issues: tuple[Issue, ...]


class InvitationSlots:
    """
    Searches for the slots of open invitations.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def page(self, query: SlotQuery, given: Iterable[str]) -> InvitationPage:
        """
        Return a page of the slots of the invitation that a search names.

        Args:
            query: The search.
            given: The names of its parameters.

        Raises:
            Problem: 400: it names two, or has a parameter that does not apply.
            Unauthenticated: It has no token.
            NotFound: There is no such invitation, or the principal may not see it.
            GatewayError: The region could not be asked.
        """
        identifier = _only_one(query)
        _check_parameters(given)
        grant = self._grant(identifier)
        count_live_calls(self._gateway.limits, _CALLS)
        invitation = self._gateway.booking.invitations.read(identifier, grant)
        if invitation is None or invitation.status is not BookingStatus.PROPOSED:
            return self._not_open(identifier, grant, invitation)
        times = self._gateway.booking.invited_times.find(
            invitation,
            grant.asker,
            start=query.start.start,
            before=query.start.before,
            within=preferences().wait,
        )
        check_completeness(times.outcomes)
        fitting = [each for each in times.timeslots if _fits(each, query)]
        if query.sort == "-start":
            fitting.reverse()
        shown, cursor = _page_of(fitting, query)
        return InvitationPage(
            source=invitation.source,
            timeslots=shown,
            answered_at=times.answered_at,
            total=(None if times.outcomes or query.total == "none" else len(fitting)),
            cursor=cursor,
            issues=tuple(map(issue_from_source_outcome, times.outcomes)),
        )

    def slot(self, timeslot: Timeslot, page: InvitationPage) -> dict[str, Any]:
        """Return one of a page's times as a Slot."""
        return slot_from_timeslot(
            timeslot,
            self._time_type(timeslot),
            source=page.source,
            answered_at=page.answered_at,
            vocabulary=self._gateway.vocabulary,
        )

    def proposal(self, timeslot: Timeslot, page: InvitationPage) -> dict[str, Any]:
        """Return one of a page's times as `$find` proposes it."""
        unit = self._gateway.slot_search.snapshot.directory.units.get(
            timeslot.schedule.unit
        )
        return proposed_appointment(
            timeslot,
            self._time_type(timeslot),
            unit_name=unit.name if unit else timeslot.schedule.unit,
            source=page.source,
            answered_at=page.answered_at,
            vocabulary=self._gateway.vocabulary,
        )

    def _time_type(self, timeslot: Timeslot) -> TimeType:
        schedule = timeslot.schedule
        token = TimeslotToken.parse(timeslot.token)
        offerings = self._gateway.slot_search.snapshot.directory.offerings
        offering = offerings.get(token.time_type)
        if offering is not None:
            return offering.time_type
        return TimeType(id=schedule.time_type_id, name=schedule.time_type_name)

    def _grant(self, identifier: str) -> Grant:
        try:
            return grant_to_read_booking(self._gateway, identifier)
        except NotFound:
            count_absent(self._gateway.limits)
            raise

    def _not_open(
        self, identifier: str, grant: Grant, invitation: OpenInvitation | None
    ) -> InvitationPage:
        """Return the page of an own Appointment that is no open invitation."""
        present = invitation or self._gateway.booking.last_known(identifier, grant)
        return InvitationPage(
            source=present.source,
            timeslots=(),
            answered_at=self._gateway.clock(),
            total=None,
            cursor=None,
            issues=(
                Issue(
                    severity=Severity.WARNING,
                    code="business-rule",
                    error_code=ErrorCode.APPOINTMENT_IS_NOT_ALLOWED,
                    diagnostics=(
                        "invitation: the appointment is no open invitation (any more):"
                        " it has no slots of its own; read it again."
                    ),
                    parameter=_NAME,
                ),
            ),
        )


def _only_one(query: SlotQuery) -> str:
    """
    Return the id of the one invitation that a search names.

    Raises:
        Problem: 400: it names two.
    """
    named = {each for group in query.invitation for each in group}
    if len(named) != 1:
        raise _refused("value", f"{_NAME}: name exactly one invitation.", _NAME)
    return min(named)


def _check_parameters(given: Iterable[str]) -> None:
    """
    Refuse parameters that the search within an invitation does not apply.

    Raises:
        Problem: 400, with an issue for each.
    """
    others = sorted({each for each in given if each not in _WITH})
    if others:
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=(
                        f"{each}: an invitation has its own unit and time type, so that"
                        f" {_NAME} cannot be combined with it; narrow the search with"
                        " start, end, time-of-day or day-of-week."
                    ),
                    parameter=each,
                )
                for each in others
            ],
            kind=ProblemKind.MALFORMED,
        )


def _refused(code: str, diagnostics: str, parameter: str) -> Problem:
    return Problem(
        [Issue(code=code, diagnostics=diagnostics, parameter=parameter)],
        kind=ProblemKind.MALFORMED,
    )


def _fits(timeslot: Timeslot, query: SlotQuery) -> bool:
    weekday, minute = divmod(minute_of_week(timeslot.start), MINUTES_OF_A_DAY)
    return (
        query.start.has(timeslot.start)
        and query.end.has(timeslot.end)
        and can_be_found(statuses_of(query), _FOUND)
        and (query.time_of_day is None or bool(query.time_of_day >> minute & 1))
        and all(
            any(token.code == DAYS[weekday] for token in group)
            for group in query.day_of_week
        )
        and all(
            any(token.code == timeslot.token for token in group) for group in query.id
        )
    )


def _page_of(
    fitting: list[Timeslot], query: SlotQuery
) -> tuple[tuple[Timeslot, ...], str | None]:
    """Return a page, and the cursor of the next one where others follow."""
    after = fitting
    if query.cursor is not None:
        place = query.cursor.after.start, query.cursor.after.text
        descends = query.sort == "-start"
        after = [
            each
            for each in fitting
            if (_place(each) < place if descends else _place(each) > place)
        ]
    shown = tuple(after[: query.count])
    if not shown or len(after) == len(shown):
        return shown, None
    return shown, cursor_text(shown[-1].token)


def _place(timeslot: Timeslot) -> tuple[int, str]:
    return epoch_seconds(timeslot.start), timeslot.token
