"""
The only place that knows every class and wires them.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.sources import ConfiguredSource, load_sources
from fhir_gateway.fhir.concept_map import meanings_from_concept_map
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.booking import BookingService
from fhir_gateway.services.directory import TimeTypeMap
from fhir_gateway.services.held import HeldTimeslots
from fhir_gateway.services.housekeeping import Housekeeping
from fhir_gateway.services.live_search import LiveSearch
from fhir_gateway.services.read_back import ReadBack
from fhir_gateway.services.recheck import Recheck
from fhir_gateway.services.reconciliation import Reconciliation
from fhir_gateway.services.refresh.source_refresh import SourceRefresh
from fhir_gateway.services.refresh.worker_share import WorkerShare
from fhir_gateway.services.resident_bookings import ResidentBookings
from fhir_gateway.services.search_demand import SearchDemand
from fhir_gateway.services.settlement import Settlement
from fhir_gateway.services.slot_search import SlotSearch
from fhir_gateway.services.slot_view import SlotView
from fhir_gateway.services.source_access import SourceAccess
from fhir_gateway.services.turn import Turns
from fhir_gateway.settings import Settings
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.demand import WRONG, RedisDemand
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.stores.slot_store import RedisSlotStore, SlotStore
from fhir_gateway.stores.source_lease import RedisSourceLeases
from fhir_gateway.web.app import GatewayApp, create_app
from fhir_gateway.web.gateway import Gateway

__all__ = ["Program", "embedded_redis", "meanings_of", "opened_journal", "program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    Everything that a process may need, made but not started.

    Attributes:
        view: Started by a web process.
        search_demand: Likewise.
        refreshes: One for each source.
        share: Runs, in a worker, the refreshes whose sources it has the lease of.
        reconciliation: Run by a worker.
        housekeeping: Run by a worker.
    """

    sources: tuple[ConfiguredSource, ...]
    meanings: TimeTypeMap
    store: SlotStore
    journal: Journal
    view: SlotView
    search_demand: SearchDemand
    app: GatewayApp
    refreshes: tuple[SourceRefresh, ...]
    share: WorkerShare
    reconciliation: Reconciliation
    housekeeping: Housekeeping


@contextmanager
def embedded_redis(settings: Settings) -> Iterator[str]:
    """Give the URL of Redis: the configured one, or one of our own while this lasts."""
    if settings.redis_url is not None:
        yield settings.redis_url
        return
    with EmbeddedRedis(settings.data_dir) as embedded:
        yield embedded.url


def meanings_of(
    sources: Sequence[ConfiguredSource], vocabulary: Vocabulary
) -> TimeTypeMap:
    """
    Return what the sources' time types mean.

    Raises:
        WrongConceptMap: A source's map cannot be used.
    """
    return {
        key: meaning
        for each in sources
        if each.time_types is not None
        for key, meaning in meanings_from_concept_map(
            each.time_types, vocabulary
        ).items()
    }


def _opened(
    settings: Settings,
    database: Database,
    make_journal: Callable[[Database, Seal], Journal],
) -> Journal:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(database.engine)
    seal = (
        Seal(settings.journal_keys)
        if settings.journal_keys
        else Seal.from_file(settings.data_dir / "journal.key")
    )
    journal = make_journal(database, seal)
    journal.check_keys()
    return journal


@contextmanager
def opened_journal(settings: Settings) -> Iterator[Journal]:
    """
    Give the journal alone, and let go of it in the end.

    Raises:
        UnusableKey: A key of the journal has the wrong form, or cannot be kept.
        SealBroken: The journal was sealed with other keys.
        WrongDatabase: The URL of the database has the wrong form.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    database = Database(settings.database_url)
    try:
        yield _opened(settings, database, Journal)
    finally:
        database.close()


@contextmanager
def program(
    settings: Settings,
    redis_url: str,
    *,
    clock: Clock = now,
    make_journal: Callable[[Database, Seal], Journal] = Journal,
) -> Iterator[Program]:
    """
    Make everything, and let go of it in the end.

    Args:
        settings: How it is to run.
        redis_url: Where the slots are kept.
        clock: Tells the time.
        make_journal: A test's own journal watches each step.

    Raises:
        WrongSources: The file of sources cannot be used.
        WrongConceptMap: A source's time types cannot be understood.
        UnusableKey: A key of the journal has the wrong form, or cannot be kept.
        SealBroken: The journal was sealed with other keys.
        WrongDatabase: The URL of the database has the wrong form.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    configured = load_sources(settings.sources)
    vocabulary = Vocabulary(settings.canonical_base)
    meanings = meanings_of(configured, vocabulary)
    sources: Mapping[SourceName, Source] = {
        each.source.name: each.source for each in configured
    }
    adapters: Mapping[SourceName, SchedulingAdapter] = {
        each.source.name: each.adapter for each in configured
    }
    database = Database(settings.database_url)
    journal = _opened(settings, database, make_journal)
    store = RedisSlotStore(redis_url)
    demand = RedisDemand(store.client)
    rechecks = RedisDemand(store.client, WRONG)
    worker = f"{socket.gethostname()}-{os.getpid()}"
    refreshes = tuple(
        SourceRefresh(
            each.source,
            each.adapter,
            store,
            demand,
            meanings,
            rechecks=rechecks,
            others=[other for other in sources.values() if other is not each.source],
            worker=worker,
            clock=clock,
        )
        for each in configured
    )
    held = HeldTimeslots(journal.places, clock=clock)
    search_demand = SearchDemand(demand)
    live = LiveSearch(
        sources,
        adapters,
        store,
        processes=settings.processes,
        most_waiting=max(1, settings.threads // 4),
        clock=clock,
    )
    view = SlotView(sources.values(), meanings, store, held.changes, clock=clock)
    access = SourceAccess(
        sources,
        adapters,
        lambda: view.snapshot.directory,
        Recheck(rechecks),
        lacks=view.lacks,
    )
    read_back = ReadBack(access, journal, clock=clock)
    settlement = Settlement(access, journal, read_back, clock=clock)
    turns = Turns(
        sources,
        answers_within=timedelta(seconds=settings.answers_within_s),
        clock=clock,
    )
    booking = BookingService(access, journal, read_back, settlement, turns, clock=clock)
    gateway = Gateway(
        base_url=settings.base_url,
        hosts=settings.hosts,
        vocabulary=vocabulary,
        slot_search=SlotSearch(
            view, sources, demand=search_demand, live=live, clock=clock
        ),
        booking=booking,
        resident_bookings=ResidentBookings(
            access, journal, booking.current, settlement
        ),
        journal=journal,
        held=held,
        view=view,
        started_at=clock(),
    )
    try:
        yield Program(
            sources=configured,
            meanings=meanings,
            store=store,
            journal=journal,
            view=view,
            search_demand=search_demand,
            app=create_app(gateway),
            refreshes=refreshes,
            share=WorkerShare(
                refreshes,
                RedisSourceLeases(store.client),
                # A process of the same number after a restart is another holder.
                f"{worker}-{token_hex(8)}",
            ),
            reconciliation=Reconciliation(settlement, journal),
            housekeeping=Housekeeping(
                journal,
                wiped_after=timedelta(days=settings.wiped_after_days),
                clock=clock,
            ),
        )
    finally:
        live.close()
        turns.close()
        store.close()
        database.close()
        for adapter in adapters.values():
            adapter.close()
