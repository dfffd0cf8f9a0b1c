"""
The services that the web layer uses; `bootstrap` makes them.
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.access.audit_events import AuditEvents
from fhir_gateway.access.gatekeeper import Gatekeeper
from fhir_gateway.access.identity import Identifies
from fhir_gateway.access.issuers import Issuer
from fhir_gateway.access.limits import Limits
from fhir_gateway.fhir.published import PublishedResources
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.national.engagement_index import NotificationEndpoint
from fhir_gateway.services.booking.booking import BookingService
from fhir_gateway.services.booking.client_requests import ClientRequests
from fhir_gateway.services.feed.feed_files import FeedFiles
from fhir_gateway.services.resident.resident_bookings import ResidentBookings
from fhir_gateway.services.search.held_timeslots import HeldTimeslots
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.statistics.statistics import Statistics
from fhir_gateway.web.peer import TrustedProxies

__all__ = ["Gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """
    The services behind the routes.

    Attributes:
        base_url: The FHIR base that clients use, without a slash at the end.
        hosts: The names that clients may call this server by.
        proxies: The proxies that may report a client's address and certificate.
        origins: The origins of the web pages that may call this server.
        published: The resources that describe this server.
        terminology: Knows codes.
        identity: Finds out who sends a request.
        gatekeeper: Decides what they may do.
        limits: Counts what each client does.
        issuers: The issuers of tokens; none in an open demo.
        started_at: When this process started.
        feed_files: Keeps the files of the open feed.
        booking_link: The page where a resident begins to book; `{slot}` in it stands
            for the slot's id.
        is_open_data_public: Free times and the directory need no token.
        notification_endpoint: Answers notifications of the engagement index.
        notifiers: The HSA-ids and thumbprints of the certificates that may notify.
        clock: Returns the time.
    """

    base_url: str
    hosts: frozenset[str]
    proxies: TrustedProxies
    origins: frozenset[str]
    vocabulary: Vocabulary
    published: PublishedResources
    terminology: Terminology
    slot_search: SlotSearch
    booking: BookingService
    resident_bookings: ResidentBookings
    requests: ClientRequests
    audit_events: AuditEvents
    statistics: Statistics
    held: HeldTimeslots
    view: SlotView
    identity: Identifies
    gatekeeper: Gatekeeper
    limits: Limits
    issuers: tuple[Issuer, ...]
    started_at: datetime
    feed_files: FeedFiles
    booking_link: str | None
    is_open_data_public: bool
    notification_endpoint: NotificationEndpoint
    notifiers: frozenset[str]
    clock: Clock
