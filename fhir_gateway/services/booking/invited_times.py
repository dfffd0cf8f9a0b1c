"""
The free times of one open invitation, asked of its region now, as the resident.

They may be protected: nobody else is shown them. So nothing of them is stored.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import Clock, civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.services.source.invitation_access import InvitationAccess
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.services.source.window import Window, windows

__all__ = ["InvitedTimes", "InvitedTimesSearch"]

_log = structlog.get_logger()

_MOST_AT_ONCE: Final = 4

_Call = tuple[HsaId, Window]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitedTimes:
    """
    The free times of an invitation, earliest first.

    Attributes:
        answered_at: When its region listed them.
        outcomes: What is missing.
    """

    timeslots: tuple[Timeslot, ...]
    answered_at: datetime
    outcomes: tuple[SourceOutcome, ...] = ()


class InvitedTimesSearch:
    """
    Searches for the free times of invitations.

    Args:
        access: The sources.
        invited: Asks sources about invitations.
        clock: Returns the time.
    """

    def __init__(
        self, access: SourceAccess, invited: InvitationAccess, *, clock: Clock
    ) -> None:
        self._access = access
        self._invited = invited
        self._clock = clock

    def find(
        self,
        invitation: OpenInvitation,
        asker: Asker,
        *,
        start: datetime | None,
        before: datetime | None,
        within: timedelta | None = None,
    ) -> InvitedTimes:
        """
        Return the times of an invitation at all units that its region names for it.

        Args:
            invitation: The invitation, read just now.
            asker: Who asks, and for which resident.
            start: They begin at this instant or later; None: now.
            before: They begin earlier than this; None: within the source's horizon.
            within: How long the client waits, if less long than its source may take.

        Raises:
            GatewayError: The region could not be asked for its units.
        """
        source = self._access.source(invitation.source)
        moment = self._clock()
        waits = min(source.live_timeout, within or source.live_timeout)
        deadline = monotonic() + waits.total_seconds()
        units = self._invited.list_units(invitation, asker)
        first = civil_date(max(start or moment, moment))
        last = civil_date(
            min(before or moment + source.horizon, moment + source.horizon)
        )
        # The next days of every unit before the days thereafter.
        wanted = [
            (unit, window)
            for window in windows(first, last, longest=source.window)
            for unit in units
        ]
        calls = wanted[: source.live_calls]
        answers, silent = self._ask(source, invitation, asker, calls, deadline)
        found = {
            each.token: each
            for answer in answers
            for each in answer.timeslots
            if each.start >= max(start or moment, moment)
            and (before is None or each.start < before)
        }
        return InvitedTimes(
            timeslots=tuple(
                sorted(found.values(), key=lambda each: (each.start, each.token))
            ),
            answered_at=moment,
            outcomes=tuple(
                self._outcomes(source, answers, silent, len(wanted) - len(calls))
            ),
        )

    def _ask(
        self,
        source: Source,
        invitation: OpenInvitation,
        asker: Asker,
        calls: Iterable[_Call],
        deadline: float,
    ) -> tuple[list[FreeTimes], list[HsaId]]:
        """Return the answers until the deadline, and the units without one."""

        def ask(call: _Call) -> FreeTimes:
            unit, (first, last) = call
            left = max(0.1, deadline - monotonic())
            return self._invited.list_times(
                invitation, unit, first, last, asker, timeout=left
            )

        executor = ThreadPoolExecutor(
            max_workers=_MOST_AT_ONCE, thread_name_prefix="invited"
        )
        asked: list[tuple[HsaId, Future[FreeTimes]]] = [
            (call[0], executor.submit(ask, call)) for call in calls
        ]
        wait([each for _, each in asked], timeout=max(0.0, deadline - monotonic()))
        # Each call ends at the deadline by itself.
        executor.shutdown(wait=False, cancel_futures=True)
        answers, silent = [], []
        for unit, future in asked:
            if not future.done() or future.cancelled():
                silent.append(unit)
                continue
            try:
                answers.append(future.result())
            except GatewayError as error:
                _log.warning(
                    "invited times not listed",
                    source=source.name,
                    unit=unit,
                    error=str(error),
                )
                silent.append(unit)
        return answers, silent

    def _outcomes(
        self,
        source: Source,
        answers: Iterable[FreeTimes],
        silent: Iterable[HsaId],
        left_out: int,
    ) -> Iterable[SourceOutcome]:
        for unit in dict.fromkeys(silent):
            known = self._access.find_unit(unit)
            yield SourceOutcome(
                source=source.name,
                problem=SourceProblem.UNAVAILABLE,
                detail=(
                    f"{known.name if known else unit} did not answer in time about its"
                    " slots for the invitation; try again, or contact the unit."
                ),
            )
        if any(each.rejected or each.as_of is not None for each in answers):
            yield SourceOutcome(
                source=source.name,
                problem=SourceProblem.INCOMPLETE,
                detail=(
                    f"{source.title} also lists slots for the invitation that are old"
                    " or cannot be read; ask the unit for what is not shown here."
                ),
            )
        if left_out:
            yield SourceOutcome(
                source=source.name,
                problem=SourceProblem.INCOMPLETE,
                detail=(
                    f"{source.title} was not asked for all days and units: give a start"
                    " and an end of the time to search."
                ),
            )
