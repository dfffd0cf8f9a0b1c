"""
Asks for one resident's lists: aggregating services, sources, and units with a relation.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from fhir_gateway.model.booking import BookedTimes
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.source import Aggregate
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.services.engagement.resident_posts import IndexedPosts
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.services.resident.care_relations import MOST_ASKED, CareRelations
from fhir_gateway.services.resident.list_outcomes import INDEX
from fhir_gateway.services.resident.list_request import ListRequest, list_requests
from fhir_gateway.services.resident.list_round import ListRound
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import BookingRecord

__all__ = ["ListInquiry"]

# What the engagement index names can still be asked in the rest of the time.
_SHARE_OF_INDEX: Final = 0.4
_INDEX_IS_LATE: Final = (
    "The engagement index did not answer in time, so that bookings at units where you"
    " have not been before may be missing; ask again later."
)


class ListInquiry:
    """
    The inquiry for one list.

    Args:
        threads: Make the calls.
        access: The sources.
        relations: Names the units to ask directly.
        grant: Who asks, and for which resident.
        clock: Returns the time.

    Attributes:
        sources: The sources with units that the principal may see.
        indexed: What the engagement index said in time.
    """

    def __init__(
        self,
        threads: CallThreads,
        access: SourceAccess,
        relations: CareRelations,
        grant: Grant,
        *,
        clock: Clock,
    ) -> None:
        self._threads = threads
        self._access = access
        self._relations = relations
        self._grant = grant
        self._clock = clock
        self.sources = [
            each for each in access.sources.values() if grant.reaches(each.prefixes)
        ]
        self.indexed = IndexedPosts()

    def begin(
        self,
        records: Iterable[BookingRecord],
        waits: timedelta,
        record_late: Callable[[ListRequest, BookedTimes], None],
    ) -> ListRound:
        """
        Begin to ask, and wait for the engagement index for a part of the time.

        Args:
            records: The resident's bookings that the journal has.
            waits: How long the client waits for the list.
            record_late: Records an answer that arrives after that.
        """
        posts = self._threads.submit(
            INDEX, partial(self._relations.indexed, self._grant, within=waits)
        )
        units = self._relations.known_units(self._grant, records)
        lists = ListRound(
            self._threads,
            list_requests(self._owned(units), self.sources, self._aggregates()),
            self._ask,
            record_late,
        )
        self.indexed = _posts_within(posts, waits * _SHARE_OF_INDEX)
        reached = [each for each in self.indexed.units if self._grant.reaches((each,))]
        room = max(0, MOST_ASKED - len(units))
        lists.add(list_requests(self._owned(reached[:room]), self.sources))
        return lists

    def _owned(self, units: Iterable[HsaId]) -> list[tuple[SourceName, HsaId]]:
        """Return the units that a source answers for, with that source."""
        return [
            (owner, unit)
            for unit in units
            if (owner := self._access.find_owner(unit)) is not None
        ]

    def _aggregates(self) -> list[Aggregate]:
        """Return the aggregating services that ask no unit beyond the grant."""
        reached = {each.name for each in self.sources}
        return [
            each for each in self._access.aggregates.values() if each.sources <= reached
        ]

    def _ask(self, request: ListRequest) -> BookedTimes:
        answer = self._access.booked_times(
            request.asked, request.address, self._grant.asker
        )
        if request.unit is not None:
            answer = answer.with_silence_of(request.address)
        moment = self._clock()
        return replace(
            answer,
            kept=tuple(
                replace(each, since=_not_after(moment, each.since))
                for each in answer.kept
            ),
            silences=tuple(
                replace(
                    each, last_answered_at=_not_after(moment, each.last_answered_at)
                )
                for each in answer.silences
            ),
        )


def _posts_within(posts: Future[IndexedPosts], within: timedelta) -> IndexedPosts:
    """Return what the engagement index says, if it is soon enough to be followed."""
    wait([posts], timeout=within.total_seconds())
    if posts.done():
        return posts.result()
    posts.cancel()
    return IndexedPosts(missing=_INDEX_IS_LATE)


def _not_after(moment: datetime, stated: datetime | None) -> datetime | None:
    """Return a time that another system states, unless it is in the future."""
    return None if stated is None or stated > moment else stated
