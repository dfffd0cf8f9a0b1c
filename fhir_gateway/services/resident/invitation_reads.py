"""
Reads a resident's open invitations in threads, until the deadline of the list.

No list has them. Each that this server knows is read by its id; so is each id that the
engagement index has, and that no list and no booking here explains.
"""

from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.engagement import Engagement
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.services.booking.invitations import Invitations
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.services.source.source_access import SourceAccess

__all__ = ["InvitationReads", "ReadInvitations"]

_log = structlog.get_logger()

# Of one list; each is a call of its own.
_MOST_DISCOVERED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadInvitations:
    """
    The open and withdrawn invitations of a resident.

    Attributes:
        were_asked: Units were asked, so that one may have become a booking.
        unread: The units, with their sources, that did not answer in time about one.
    """

    invitations: tuple[OpenInvitation, ...]
    were_asked: bool
    unread: tuple[tuple[SourceName, HsaId], ...] = ()


class InvitationReads:
    """
    The reads of one list.

    Args:
        threads: Make the calls.
        access: The sources.
        invitations: Reads one invitation and records what it finds.
        grant: Who asks, and for which resident.
    """

    def __init__(
        self,
        threads: CallThreads,
        access: SourceAccess,
        invitations: Invitations,
        grant: Grant,
    ) -> None:
        self._threads = threads
        self._access = access
        self._invitations = invitations
        self._grant = grant
        self._known: tuple[OpenInvitation, ...] = ()
        self._started: dict[
            tuple[SourceName, HsaId, BookingId], Future[OpenInvitation | None]
        ] = {}

    def start(self) -> None:
        """Read the invitations that this server knows, unless that has begun."""
        self._known = self._invitations.list_of(self._grant)
        for each in self._known:
            key = each.source, each.unit, each.booking_id
            if each.status is not BookingStatus.PROPOSED or key in self._started:
                continue
            self._started[key] = self._threads.submit(
                each.source,
                partial(self._invitations.read, each.id, self._grant),
                about=each.unit,
            )

    def discover(
        self, posts: Iterable[Engagement], known: set[tuple[HsaId, BookingId]]
    ) -> None:
        """
        Ask units about ids that the engagement index has.

        Args:
            posts: What the index has of the resident.
            known: The units and ids of the bookings that are known or listed.
        """
        room = _MOST_DISCOVERED
        for post in posts:
            source = self._access.find_owner(post.unit)
            if (
                source is None
                or (post.unit, post.booking_id) in known
                or (source, post.unit, post.booking_id) in self._started
                or not self._grant.reaches((post.unit,))
            ):
                continue
            if room == 0:
                return
            room -= 1
            self._started[source, post.unit, post.booking_id] = self._threads.submit(
                source,
                partial(
                    self._invitations.discover,
                    source,
                    post.unit,
                    post.booking_id,
                    self._grant,
                ),
                about=post.unit,
            )

    def gather(self, deadline: float) -> ReadInvitations:
        """
        Return the invitations; one that was not read until then as last known.

        What a later answer shows is recorded all the same.
        """
        if not self._started:
            return ReadInvitations(invitations=self._known, were_asked=False)
        wait(self._started.values(), timeout=max(0.0, deadline - monotonic()))
        read: dict[str, OpenInvitation] = {}
        unread = []
        for (source, unit, _), started in self._started.items():
            if not started.done():
                unread.append((source, unit))
                if not started.cancel():
                    started.add_done_callback(_log_failure)
                continue
            try:
                found = started.result()
            except GatewayError:
                unread.append((source, unit))
                continue
            if found is not None:
                read[found.id] = found
        return ReadInvitations(
            invitations=tuple(
                read.get(each.id, each)
                for each in self._invitations.list_of(self._grant)
            ),
            were_asked=True,
            unread=tuple(dict.fromkeys(unread)),
        )


def _log_failure(late: Future[OpenInvitation | None]) -> None:
    error = None if late.cancelled() else late.exception()
    if error is not None and not isinstance(error, GatewayError):
        _log.error("unforeseen failure", **fault_place(error))
