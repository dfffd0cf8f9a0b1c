"""
A resident's booked times at all sources, within one deadline.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Final

from fhir_gateway.model.booking import BookedTimes, ManagedBooking
from fhir_gateway.model.found_booking import FoundBooking
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.invitations import Invitations
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.services.resident.care_relations import CareRelations
from fhir_gateway.services.resident.invitation_reads import InvitationReads
from fhir_gateway.services.resident.journal_match import JournalMatch
from fhir_gateway.services.resident.list_description import ListDescription
from fhir_gateway.services.resident.list_inquiry import ListInquiry
from fhir_gateway.services.resident.list_outcomes import ListOutcomes
from fhir_gateway.services.resident.list_request import (
    ListRequest,
    RequestKey,
    direct_request_about,
)
from fhir_gateway.services.resident.list_round import Heard
from fhir_gateway.services.resident.merged_list import (
    MOST_BOOKINGS,
    ListedBooking,
    SourceList,
    found_booking,
    merge,
)
from fhir_gateway.services.resident.single_reads import SingleReads
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import BookingRecord, Journal

__all__ = ["LISTS_WITHIN", "ResidentBookings", "ResidentsTimes"]

LISTS_WITHIN: Final = timedelta(seconds=5)
"""How long a list waits for its regions; `Prefer: wait=` shortens it."""

_UNSHOWN: Final = "a booking without a start, or one that repeats another"
_BEYOND: Final = f"a booking beyond {MOST_BOOKINGS} of one answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentsTimes:
    """
    A resident's bookings, earliest first.

    Attributes:
        invitations: The open invitations, and those that were taken back.
        outcomes: What is missing, source by source.
        found: By which ways the listed bookings were found.
        is_unknown: Regions were asked, and none has answered.
    """

    bookings: tuple[ManagedBooking, ...]
    outcomes: tuple[SourceOutcome, ...]
    invitations: tuple[OpenInvitation, ...] = ()
    found: tuple[FoundBooking, ...] = field(default=(), compare=False)
    is_unknown: bool = False


class ResidentBookings:
    """
    Lists a resident's bookings.

    Args:
        access: The sources.
        journal: The bookings that this server knows.
        current: Reads single bookings.
        settlement: Corrects bookings that are wrongly NOT_MADE.
        relations: Names the units to ask directly.
        invitations: Reads open invitations.
        within: How long a list waits for its sources.
        count_found: Counts by which ways bookings were found.
        clock: Returns the time.

    Attributes:
        relations: The same.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        current: CurrentBookings,
        settlement: Settlement,
        relations: CareRelations,
        *,
        invitations: Invitations,
        within: timedelta = LISTS_WITHIN,
        count_found: Callable[[tuple[FoundBooking, ...]], None] = lambda _: None,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._current = current
        self._match = JournalMatch(access, journal, settlement, clock=clock)
        self.relations = relations
        self._invitations = invitations
        self._within = within
        self._count_found = count_found
        self._threads = CallThreads()
        self._clock = clock

    def close(self) -> None:
        """Make no more calls, and record no late answers."""
        self._threads.close()

    def list_of(
        self, grant: Grant, *, within: timedelta | None = None
    ) -> ResidentsTimes:
        """
        Return a resident's booked, pending and cancelled times.

        The outcomes name each source that has not answered when the time is over; its
        known bookings are returned in their last confirmed state. A later answer still
        confirms them. Only sources with units that the principal may see are asked, and
        only bookings that it may see are returned.

        Args:
            grant: Who asks, and for which resident.
            within: How long the client waits, if less long than the setting says.
        """
        waits = self._within if within is None else min(within, self._within)
        deadline = monotonic() + waits.total_seconds()
        records = self._records(grant)
        inquiry = ListInquiry(
            self._threads, self._access, self.relations, grant, clock=self._clock
        )
        description = ListDescription(
            self._current,
            SingleReads(
                self._threads, lambda booking: self._current.read(booking, grant)
            ),
            self._access.sources,
            clock=self._clock,
        )
        invited = InvitationReads(self._threads, self._access, self._invitations, grant)
        invited.start()
        lists = inquiry.begin(records, waits, partial(self._record_late, grant))
        heard = lists.gather(deadline, partial(description.read_unlisted, records))
        merged = merge(heard.answers, self._access.sources.values(), self._clock())
        matched, unshown = self._match_all(merged, grant, records, heard)
        found = tuple(
            found_booking(each.source, listed, heard)
            for each in merged
            for listed in each.listed
        )
        self._count_found(found)
        if any(
            listed.booking.is_open_invitation
            for each in merged
            for listed in each.listed
        ):
            # They are recorded by now.
            invited.start()
        invited.discover(inquiry.indexed.possible_invitations, _ids_of(records, merged))
        invitations = invited.gather(deadline)
        # An invitation may have been booked since.
        if invitations.were_asked or not matched.keys() <= {
            each.id for each in records
        }:
            records = self._records(grant)
        silent = {each.key for each in (*heard.late, *heard.failed)}
        described = description.describe(
            records,
            matched,
            self._match.confirm(records, matched),
            silent=silent,
            cut={each.source for each in merged if each.beyond},
            deadline=deadline,
        )
        outcomes = ListOutcomes(
            heard, waits, grant, self._access.find_unit, inquiry.indexed.missing
        )
        unread = (
            *((each.source, each.timeslot.schedule.unit) for each in described.unread),
            *invitations.unread,
        )
        said = (
            *outcomes.of_requests(),
            *outcomes.of_answers(
                unshown, {each.source: each.beyond for each in merged}
            ),
            *(
                outcomes.of_unread(source, unit)
                for name, unit in unread
                if (source := self._access.sources.get(name))
            ),
            *outcomes.of_unasked(inquiry.sources),
        )
        return ResidentsTimes(
            bookings=described.bookings,
            outcomes=tuple(dict.fromkeys(said)),
            invitations=invitations.invitations,
            found=found,
            is_unknown=bool(silent) and not heard.answers,
        )

    def _records(self, grant: Grant) -> tuple[BookingRecord, ...]:
        return tuple(
            record
            for record in self._journal.lookups.list_of_resident(grant.subject)
            if grant.covers(record.owner(is_hold=False))
        )

    def _match_all(
        self,
        merged: Iterable[SourceList],
        grant: Grant,
        records: tuple[BookingRecord, ...],
        heard: Heard,
    ) -> tuple[dict[str, ListedBooking], dict[SourceName, int]]:
        """Return which listed booking describes which record; count the others."""
        answered: set[RequestKey] = {each.key for each in heard.answers}
        described: dict[str, ListedBooking] = {}
        unshown: dict[SourceName, int] = {}
        for each in merged:
            matched = self._match.match(
                self._without_invitations(each, grant),
                grant.subject,
                records,
                is_answered=lambda record: (
                    direct_request_about(record, self._access.sources) in answered
                ),
            )
            described.update(matched.described)
            unshown[each.source] = matched.unshown
            self._access.note_not_shown(
                each.source, {_UNSHOWN: matched.unshown, _BEYOND: each.beyond}
            )
        return described, unshown

    def _without_invitations(self, of_source: SourceList, grant: Grant) -> SourceList:
        """
        Return a list without its open invitations, which are recorded by themselves.

        By the contract no list has any; some sources list them all the same.
        """
        listed = []
        for each in of_source.listed:
            if not each.booking.is_open_invitation:
                listed.append(each)
            elif each.part is None:
                self._invitations.adopt(of_source.source, each.booking, grant)
        return replace(of_source, listed=tuple(listed))

    def _record_late(
        self, grant: Grant, request: ListRequest, answer: BookedTimes
    ) -> None:
        """Record what a late answer reports."""
        heard = Heard(answers={request: answer})
        merged = merge(heard.answers, self._access.sources.values(), self._clock())
        records = self._records(grant)
        described, _ = self._match_all(merged, grant, records, heard)
        self._match.confirm(self._records(grant), described)


def _ids_of(
    records: Iterable[BookingRecord], merged: Iterable[SourceList]
) -> set[tuple[HsaId, BookingId]]:
    """Return the units and ids of the bookings that are known or listed."""
    known = [
        *((each.timeslot.schedule.unit, each.booking_id) for each in records),
        *(
            (listed.booking.unit, listed.booking.booking_id)
            for each in merged
            for listed in each.listed
        ),
    ]
    return {(unit, each) for unit, each in known if each is not None}
