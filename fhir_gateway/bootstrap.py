"""
The only module that creates all objects and connects them.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import token_hex
from typing import Final

import structlog

from fhir_gateway.access.audit import AuditTrail
from fhir_gateway.access.audit_events import AuditEvents
from fhir_gateway.access.gatekeeper import Gatekeeper
from fhir_gateway.access.identity import Identity, OpenDemo
from fhir_gateway.access.issuers import (
    TrustedIssuers,
)
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.access.limits import Limits
from fhir_gateway.access.may_act import MayAct, NobodyElse
from fhir_gateway.access.staff_log import StaffLog
from fhir_gateway.adapters.mandate_register import MandateRegister
from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.sources import (
    ConfiguredSource,
)
from fhir_gateway.adapters.store_log import (
    StoreLog20,
)
from fhir_gateway.configured_files import (
    read_aggregates,
    read_concept_maps,
    read_engagement_index,
    read_issuers,
    read_log_service,
    read_service_catalogues,
    read_sources,
    read_standard_time_types,
)
from fhir_gateway.configured_stores import make_data_folder, seal_of
from fhir_gateway.fhir.publication import published_resources
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.time_type_maps import TimeTypeMaps
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.index_parts import IndexParts, index_parts
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.national.service_catalogue import ServiceCatalogue20
from fhir_gateway.services.access_log.delivery import LogDelivery
from fhir_gateway.services.booking.booking import BookingService
from fhir_gateway.services.booking.bulkhead import Bulkhead
from fhir_gateway.services.booking.client_requests import ClientRequests
from fhir_gateway.services.booking.housekeeping import Housekeeping
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.feed.feed_files import FeedFiles
from fhir_gateway.services.refresh.catalogue_refresh import (
    AskedCatalogue,
    CatalogueRefresh,
)
from fhir_gateway.services.refresh.source_refresh import SourceRefresh
from fhir_gateway.services.refresh.worker_share import WorkerShare
from fhir_gateway.services.resident.care_relations import CareRelations
from fhir_gateway.services.resident.resident_bookings import ResidentBookings
from fhir_gateway.services.search.changed_places import ChangedPlaces
from fhir_gateway.services.search.held_timeslots import HeldTimeslots
from fhir_gateway.services.search.live_search import LiveSearch
from fhir_gateway.services.search.search_hint import SearchHints
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.services.source.loss_log import ResidentLossLog
from fhir_gateway.services.source.recheck import Recheck
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.services.statistics.coverage_collection import CoverageCollection
from fhir_gateway.services.statistics.statistics import Statistics
from fhir_gateway.settings import Settings
from fhir_gateway.stores.audit import AuditStore, AuditUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.database_url import sqlite_file
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import (
    check_owner,
    migrate,
)
from fhir_gateway.stores.refresh_hint import WRONG, RedisRefreshHints
from fhir_gateway.stores.request_counts import RedisRequestCounts
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.stores.sightings import RedisSightings
from fhir_gateway.stores.slot_store import RedisSlotStore, SlotStore
from fhir_gateway.stores.source_lease import RedisSourceLeases
from fhir_gateway.stores.statistics import BookingCounts, CoverageCounts
from fhir_gateway.web.app import GatewayApp, create_app
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.limiting import count_live_calls
from fhir_gateway.web.request_id import present_request_id

__all__ = ["Program", "program"]

_log = structlog.get_logger()

# What the hash of clients in Redis is made from; no client has a name of this kind.
_LIMITS: Final = "limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    All objects that a process may need, made but not started.

    Attributes:
        view: A web process starts it.
        search_hints: A web process starts it.
        identity: Likewise; None in an open demo.
        refreshes: One for each source.
        share: A worker runs it: it runs the refresh of each source that it has leased.
        reconciliation: A worker runs it.
        housekeeping: A worker runs it.
        log_delivery: A worker runs it; None without a log service.
        catalogue_refresh: A worker runs it; without service catalogues it does nothing.
        index: The parts of the engagement index.
    """

    sources: tuple[ConfiguredSource, ...]
    meanings: TimeTypeMap
    store: SlotStore
    journal: Journal
    view: SlotView
    search_hints: SearchHints
    identity: Identity | None
    app: GatewayApp
    refreshes: tuple[SourceRefresh, ...]
    share: WorkerShare
    reconciliation: Reconciliation
    housekeeping: Housekeeping
    log_delivery: LogDelivery | None
    catalogue_refresh: CatalogueRefresh
    index: IndexParts


def _may_act(settings: Settings) -> MayAct:
    if settings.mandates is None:
        return NobodyElse()
    return MandateRegister(settings.mandates)


def _identity(trusted: TrustedIssuers, clock: Clock) -> Identity:
    return Identity(
        [KeySet(each) for each in trusted.issuers],
        trusted.clients,
        clock=clock,
    )


def _open_or_create_journal(
    settings: Settings,
    database: Database,
    make_journal: Callable[..., Journal],
) -> tuple[Journal, Seal]:
    if settings.has_own_database or not settings.journal_keys:
        make_data_folder(settings)
    file = sqlite_file(settings.database_url)
    if file is not None:
        check_owner(file)
    migrate(database.engine)
    seal = seal_of(settings)
    journal = make_journal(database, seal, limits=settings.limits)
    journal.upkeep.check_keys()
    AuditUpkeep(database, seal).check_keys()
    return journal, seal


def _catalogue_refresh(
    settings: Settings,
    configured: Sequence[ConfiguredSource],
    refreshes: Sequence[SourceRefresh],
    clock: Clock,
) -> CatalogueRefresh:
    return CatalogueRefresh(
        [
            AskedCatalogue(
                name=each.name,
                catalogue=ServiceCatalogue20(each.name, each.options),
                refreshes=[
                    refresh for refresh in refreshes if refresh.source in each.sources
                ],
                asked_every=each.options.asked_every,
                kept=each.options.kept,
            )
            for each in read_service_catalogues(settings.sources, configured)
        ],
        clock=clock,
    )


@contextmanager
def program(
    settings: Settings,
    redis_url: str,
    *,
    clock: Clock = now,
    make_journal: Callable[..., Journal] = Journal,
) -> Iterator[Program]:
    """
    Make all objects of the program, and close them at the exit.

    Args:
        settings: The settings.
        redis_url: The URL of the Redis with the slots.
        clock: Returns the current time.
        make_journal: Makes the journal; a test passes one that observes each step.

    Raises:
        WrongFiles: The file of sources, or a ConceptMap, cannot be used.
        UnusableFolder: The data folder cannot be made.
        UnusableKey: A key of the journal has the wrong form, or cannot be kept.
        SealBroken: The journal was sealed with other keys.
        WrongDatabase: The URL of the database has the wrong form.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    vocabulary = Vocabulary(settings.canonical_base)
    issuers = (
        None
        if settings.issuers is None
        else read_issuers(settings.issuers, audience=settings.base_url)
    )
    log_service = read_log_service(settings.log_service, issuers)
    identity = None if issuers is None else _identity(issuers, clock)
    configured, meanings = read_sources(settings.sources, vocabulary)
    sources: Mapping[SourceName, Source] = {
        each.source.name: each.source for each in configured
    }
    adapters: Mapping[SourceName, SchedulingAdapter] = {
        each.source.name: each.adapter for each in configured
    }
    aggregates = read_aggregates(settings.sources)
    index_options = read_engagement_index(settings.engagement_index, configured)
    database = Database(settings.database_url)
    journal, seal = _open_or_create_journal(settings, database, make_journal)
    audit = AuditStore(database, seal)
    outbox = LogOutbox(database, seal)
    store = RedisSlotStore(redis_url)
    hints = RedisRefreshHints(store.client)
    rechecks = RedisRefreshHints(store.client, WRONG)
    sightings = RedisSightings(store.client, clock=clock)
    worker = f"{socket.gethostname()}-{os.getpid()}"
    # After a restart another process may have the same number: the random part makes it
    # another holder.
    holder = f"{worker}-{token_hex(8)}"
    index = index_parts(
        index_options, database, seal, sources.values(), holder=holder, clock=clock
    )
    refreshes = tuple(
        SourceRefresh(
            each.source,
            each.adapter,
            store,
            hints,
            meanings,
            rechecks=rechecks,
            others=[other for other in sources.values() if other is not each.source],
            worker=worker,
            clock=clock,
        )
        for each in configured
    )
    catalogue_refresh = _catalogue_refresh(settings, configured, refreshes, clock)
    held = HeldTimeslots(journal.places, clock=clock)
    search_hints = SearchHints(hints)
    limits = Limits(
        settings.limits,
        RedisRequestCounts(store.client),
        secret=seal_of(settings).lookup(_LIMITS, ""),
        processes=settings.processes,
        clock=clock,
    )
    live = LiveSearch(
        sources,
        adapters,
        store,
        processes=settings.processes,
        most_waiting=max(1, settings.threads // 4),
        sightings=sightings,
        before_calls=partial(count_live_calls, limits),
        clock=clock,
    )
    view = SlotView(sources.values(), meanings, store, held.changes, clock=clock)
    access = SourceAccess(
        sources,
        {**adapters, **{each.aggregate.name: each.adapter for each in aggregates}},
        lambda: view.snapshot.directory,
        Recheck(rechecks),
        lacks=view.lacks,
        losses=ResidentLossLog(sightings, clock=clock),
        aggregates={each.aggregate.name: each.aggregate for each in aggregates},
    )
    read_back = ReadBack(access, journal, clock=clock)
    settlement = Settlement(access, journal, read_back, clock=clock)
    bulkhead = Bulkhead(
        sources,
        answers_within=timedelta(seconds=settings.answers_within_s),
        clock=clock,
    )
    booking = BookingService(
        access,
        journal,
        read_back,
        settlement,
        bulkhead,
        search_notice=ChangedPlaces(held, view),
        clock=clock,
    )
    coverage_counts = CoverageCounts(database)
    coverage = CoverageCollection(coverage_counts.add, clock=clock)
    resident_bookings = ResidentBookings(
        access,
        journal,
        booking.current,
        settlement,
        CareRelations(access, journal, posts=index.resident_posts),
        invitations=booking.invitations,
        within=timedelta(seconds=settings.lists_within_s),
        count_found=coverage.count,
        clock=clock,
    )
    maps = read_concept_maps(configured, meanings, vocabulary)
    published, standard = published_resources(
        maps,
        base_url=settings.base_url,
        vocabulary=vocabulary,
        supplement=read_standard_time_types(settings.standard_time_types),
    )
    feed_files = FeedFiles(
        settings.data_dir, most_waiting=max(1, settings.threads // 8), clock=clock
    )
    gateway = Gateway(
        base_url=settings.base_url,
        hosts=settings.hosts,
        proxies=settings.proxies,
        origins=settings.origins,
        vocabulary=vocabulary,
        published=published,
        terminology=Terminology(published, standard, TimeTypeMaps(maps), vocabulary),
        slot_search=SlotSearch(
            view, sources, hints=search_hints, live=live, clock=clock
        ),
        booking=booking,
        resident_bookings=resident_bookings,
        requests=ClientRequests(journal),
        audit_events=AuditEvents(audit),
        statistics=Statistics(
            BookingCounts(database).of_month, coverage_counts.of_month, meanings
        ),
        held=held,
        view=view,
        identity=identity or OpenDemo(),
        gatekeeper=Gatekeeper(
            booking.find_owner,
            _may_act(settings),
            (
                AuditTrail(audit, sources.values(), present_request_id),
                StaffLog(outbox, clock=clock),
            ),
            is_open_to_anybody=settings.public_search,
            clock=clock,
        ),
        limits=limits,
        issuers=() if issuers is None else issuers.issuers,
        started_at=clock(),
        feed_files=feed_files,
        booking_link=settings.booking_link,
        is_open_data_public=settings.public_search or identity is None,
        notification_endpoint=index.notification_endpoint,
        notifiers=index.notifiers,
        clock=clock,
    )
    try:
        yield Program(
            sources=configured,
            meanings=meanings,
            store=store,
            journal=journal,
            view=view,
            search_hints=search_hints,
            identity=identity,
            app=create_app(gateway),
            refreshes=refreshes,
            share=WorkerShare(refreshes, RedisSourceLeases(store.client), holder),
            reconciliation=Reconciliation(settlement, journal),
            housekeeping=Housekeeping(
                journal,
                AuditUpkeep(database, seal),
                wiped_after=timedelta(days=settings.wiped_after_days),
                audit_kept=timedelta(days=settings.audit_kept_days),
                clock=clock,
            ),
            log_delivery=(
                None
                if log_service is None
                else LogDelivery(outbox, StoreLog20(log_service))
            ),
            catalogue_refresh=catalogue_refresh,
            index=index,
        )
    finally:
        for close in (
            # What writes at its end stands before the database.
            live.close,
            resident_bookings.close,
            coverage.close,
            feed_files.close,
            bulkhead.close,
            limits.close,
            catalogue_refresh.close,
            store.close,
            database.close,
            *(adapter.close for adapter in adapters.values()),
            *(aggregate.adapter.close for aggregate in aggregates),
        ):
            close()
