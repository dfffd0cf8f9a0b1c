"""
The objects of the engagement index, made and connected for `bootstrap`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.national.engagement_index import (
    EngagementIndex10,
    EngagementIndexOptions,
    NotificationEndpoint,
)
from fhir_gateway.services.engagement.delivery import IndexDelivery
from fhir_gateway.services.engagement.notifications import Notifications
from fhir_gateway.services.engagement.resident_posts import (
    NoIndex,
    ResidentPosts,
    StoredPosts,
)
from fhir_gateway.services.engagement.upkeep import IndexUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.engagements import Engagements
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.sealing import Seal

__all__ = ["IndexParts", "index_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexParts:
    """
    What a process needs of the engagement index.

    Attributes:
        resident_posts: What the index says of residents.
        notification_endpoint: Answers its notifications.
        notifiers: The HSA-ids and thumbprints of the certificates that may notify.
        delivery: A worker runs it; None without an index.
        upkeep: Likewise.
    """

    resident_posts: ResidentPosts
    notification_endpoint: NotificationEndpoint
    notifiers: frozenset[str] = frozenset()
    delivery: IndexDelivery | None = None
    upkeep: IndexUpkeep | None = None


def index_parts(
    options: EngagementIndexOptions | None,
    database: Database,
    seal: Seal,
    sources: Iterable[Source],
    *,
    holder: str,
    clock: Clock,
) -> IndexParts:
    """
    Return the objects; without an index, those that know nothing and admit nobody.

    Args:
        options: How to reach the index.
        database: Where the journal is.
        seal: Opens and seals what is personal.
        sources: The configured sources.
        holder: The name of this process, which no other has.
        clock: Returns the time.
    """
    store = Engagements(database, seal)
    endpoint = NotificationEndpoint(
        Notifications(store), notified_as=options.notified_as if options else None
    )
    if options is None:
        return IndexParts(resident_posts=NoIndex(), notification_endpoint=endpoint)
    index = EngagementIndex10(options)
    outbox = IndexOutbox(
        database,
        seal,
        {each.name: each.indexed for each in sources if each.indexed is not None},
        holder=holder,
    )
    return IndexParts(
        resident_posts=StoredPosts(
            store,
            index if options.finds_content else None,
            asked_again_after=options.asked_again_after,
            clock=clock,
        ),
        notification_endpoint=endpoint,
        notifiers=options.notifiers,
        delivery=IndexDelivery(outbox, index),
        upkeep=IndexUpkeep(outbox, store, kept=options.kept, clock=clock),
    )
