"""
The only module that creates all objects and connects them.

It has over 400 lines, since no other module may do so: each function makes one part.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Final

import structlog

from fhir_gateway.access.audit import AuditTrail
from fhir_gateway.access.audit_events import AuditEvents
from fhir_gateway.access.gatekeeper import Gatekeeper
from fhir_gateway.access.identity import Identity, OpenDemo
from fhir_gateway.access.issuers import (
    TrustedIssuers,
    WrongIssuers,
    load_issuers,
)
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.access.limits import Limits
from fhir_gateway.access.may_act import MayAct, NobodyElse
from fhir_gateway.access.staff_log import StaffLog
from fhir_gateway.adapters.mandate_register import MandateRegister
from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.sources import (
    ConfiguredSource,
    WrongSources,
    load_sources,
    source_of_unit,
)
from fhir_gateway.adapters.store_log import (
    LogServiceOptions,
    StoreLog20,
    WrongLogService,
    log_service_options,
)
from fhir_gateway.fhir.concept_map import WrongConceptMap, meanings_from_concept_map
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.principal import Role
from fhir_gateway.model.private_file import fault_of_rights, make_private_folder
from fhir_gateway.model.regular_file import fault_of_file, is_absent
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import StandardTimeType
from fhir_gateway.services.access_log.delivery import LogDelivery
from fhir_gateway.services.booking.booking import BookingService
from fhir_gateway.services.booking.bulkhead import Bulkhead
from fhir_gateway.services.booking.client_requests import ClientRequests
from fhir_gateway.services.booking.housekeeping import Housekeeping
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.services.booking.resident_bookings import ResidentBookings
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.refresh.source_refresh import SourceRefresh
from fhir_gateway.services.refresh.worker_share import WorkerShare
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
from fhir_gateway.settings import Settings
from fhir_gateway.stores.audit import AuditStore, AuditUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.database_url import sqlite_file
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import (
    NoTables,
    check_owner,
    check_tables,
    is_without_tables,
    migrate,
)
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.refresh_hint import WRONG, RedisRefreshHints
from fhir_gateway.stores.request_counts import RedisRequestCounts
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.stores.sightings import RedisSightings
from fhir_gateway.stores.slot_store import RedisSlotStore, SlotStore
from fhir_gateway.stores.source_lease import RedisSourceLeases
from fhir_gateway.web.app import GatewayApp, create_app
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.limiting import count_live_calls
from fhir_gateway.web.request_id import present_request_id

__all__ = [
    "ExistingAudit",
    "NothingFound",
    "Program",
    "UnusableFolder",
    "WrongFiles",
    "check_redis",
    "embedded_redis",
    "existing_audit",
    "existing_journal",
    "existing_outbox",
    "make_data_folder",
    "program",
    "read_issuers",
    "read_log_service",
    "read_sources",
    "running_redis",
]

_log = structlog.get_logger()

# The most units that one line of the log lists.
_MOST_NAMED: Final = 5
_KEY_FILE: Final = "journal.key"
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


class UnusableFolder(Exception):
    """The data folder cannot be made or written in; the message names it."""


class NothingFound(Exception):
    """
    A command that only reads has found nothing to read; the message states where.

    Attributes:
        is_configuration: Whether the settings may be wrong: the place does not exist.
    """

    def __init__(self, message: str, *, is_configuration: bool = True) -> None:
        super().__init__(message)
        self.is_configuration = is_configuration


@contextmanager
def embedded_redis(settings: Settings) -> Iterator[str]:
    """
    Yield the URL of Redis: the configured one, or that of an embedded Redis.

    The embedded Redis stops at the exit.

    Raises:
        EmbeddedRedisFailed: The embedded Redis does not start.
        UnusableFolder: Its folder cannot be used.
    """
    if settings.redis_url is not None:
        yield settings.redis_url
        return
    make_data_folder(settings)
    embedded = EmbeddedRedis(settings.data_dir)
    try:
        embedded.start()
    except OSError as error:
        raise _unusable_folder(settings.data_dir, error) from error
    try:
        yield embedded.url
    finally:
        embedded.stop()


def running_redis(settings: Settings) -> str:
    """
    Return the URL of Redis: the configured one, or that of a running embedded Redis.

    Raises:
        NothingFound: None is configured, and no embedded Redis runs.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    folder = settings.data_dir.resolve()
    embedded = EmbeddedRedis(settings.data_dir)
    try:
        is_there = folder.is_dir()
        answers = is_there and embedded.answers()
    except OSError as error:
        raise NothingFound(
            f"FHIR_GATEWAY_DATA_DIR: {folder} cannot be looked into ({error.strerror});"
            " run this as a user who may, or give REDIS_URL"
        ) from error
    if not is_there:
        raise NothingFound(
            f"FHIR_GATEWAY_DATA_DIR: there is no folder {folder}; say where the gateway"
            " and the worker keep theirs, or give REDIS_URL"
        )
    if not answers:
        raise NothingFound(
            f"FHIR_GATEWAY_DATA_DIR: no Redis runs in {folder}; start the gateway or"
            " the worker there, or give REDIS_URL",
            is_configuration=False,
        )
    return embedded.url


def check_redis(url: str) -> str:
    """
    Return the URL of a Redis that accepts our login, or cannot be reached now.

    Raises:
        WrongRedis: It refuses our login, or is no Redis.
    """
    client = RedisClient(url)
    try:
        client.check()
    finally:
        client.close()
    return url


class WrongFiles(ValueError):
    """
    A file that a setting names, or a file that it names itself, cannot be used.

    Attributes:
        faults: One sentence each, with the file.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def read_sources(
    path: Path, vocabulary: Vocabulary, *, is_rehearsal: bool = False
) -> tuple[tuple[ConfiguredSource, ...], TimeTypeMap]:
    """
    Return the sources of a file, and the standard codes of their time types.

    Rows of a ConceptMap about units of another source are left out, and logged.

    Args:
        path: The file.
        vocabulary: Our canonicals.
        is_rehearsal: The file is only checked, so nothing is logged.

    Raises:
        WrongFiles: The file, or a ConceptMap, cannot be used; all faults are listed.
    """
    faults: list[str] = []
    configured: tuple[ConfiguredSource, ...] = ()
    try:
        configured = load_sources(path)
    except WrongSources as error:
        where = _absolute(path)
        faults.extend(f"{where}: {fault}" for fault in error.faults)
        maps: Sequence[tuple[Path, Source | None]] = [
            (each, None) for each in error.time_types
        ]
    else:
        maps = [
            (each.time_types, each.source)
            for each in configured
            if each.time_types is not None
        ]
    sources = [each.source for each in configured]
    meanings: dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]] = {}
    for path_of_map, source in maps:
        try:
            found = meanings_from_concept_map(path_of_map, vocabulary)
            # Only the map of a unit's own source may map its time types.
            owners = {unit: source_of_unit(sources, unit) for unit, _ in found}
            meanings.update(
                {key: found[key] for key in found if owners[key[0]] == source}
            )
            strange = sorted(unit for unit in owners if owners[unit] != source)
            if source is not None and strange and not is_rehearsal:
                _log.warning(
                    "mapped units left out",
                    source=source.name,
                    units=len(strange),
                    first=strange[:_MOST_NAMED],
                )
        except WrongConceptMap as error:
            faults.extend(error.faults)
    if faults:
        for each in configured:
            each.adapter.close()
        raise WrongFiles(faults)
    return configured, meanings


def read_issuers(path: Path, *, audience: str) -> TrustedIssuers:
    """
    Return the trusted issuers and the known clients of a file.

    Args:
        path: The file.
        audience: The audience where the file names none.

    Raises:
        WrongFiles: The file cannot be used; all faults are listed.
    """
    try:
        return load_issuers(path, audience=audience)
    except WrongIssuers as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def read_log_service(
    path: Path | None, issuers: TrustedIssuers | None
) -> LogServiceOptions | None:
    """
    Return how to reach the log service; None without one.

    Args:
        path: Its file.
        issuers: The trusted issuers; None where none are configured.

    Raises:
        WrongFiles: The file cannot be used, or there is none and an issuer may give
            the role of staff.
    """
    if path is None:
        faults = [
            f"FHIR_GATEWAY_LOG_SERVICE: the issuer {issuer.issuer} may give the role"
            " staff, and each access of staff must reach a log service; name the file"
            " of one, or take staff out of the issuer's roles"
            for issuer in (issuers.issuers if issuers is not None else ())
            if Role.STAFF in issuer.roles
        ]
        if faults:
            raise WrongFiles(faults)
        return None
    try:
        return log_service_options(path)
    except WrongLogService as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


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


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except FileNotFoundError:
        # The working directory of this process has been removed.
        return path


def make_data_folder(settings: Settings) -> None:
    """
    Make the data folder for its owner only, for a caller that is about to write in it.

    Raises:
        UnusableFolder: It cannot be made, or everybody on this machine may write in it.
    """
    folder = settings.data_dir
    try:
        make_private_folder(folder)
    except OSError as error:
        raise _unusable_folder(folder, error) from error
    if fault := fault_of_rights(folder, is_secret=False):
        raise UnusableFolder(f"FHIR_GATEWAY_DATA_DIR: {folder.resolve()} {fault}")


def _unusable_folder(folder: Path, error: OSError) -> UnusableFolder:
    return UnusableFolder(
        f"FHIR_GATEWAY_DATA_DIR: {folder.resolve()} cannot be made, or written in"
        f" ({error.strerror}); give a folder where this process may write"
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
    seal = _seal(settings)
    journal = make_journal(database, seal, limits=settings.limits)
    journal.upkeep.check_keys()
    AuditUpkeep(database, seal).check_keys()
    return journal, seal


def _seal(settings: Settings) -> Seal:
    if settings.journal_keys:
        return Seal(settings.journal_keys)
    return Seal.from_file(settings.data_dir / _KEY_FILE)


@dataclass(frozen=True, slots=True)
class ExistingAudit:
    """
    An audit trail that is there.

    Attributes:
        database: Where it is.
        seal: The keys that sealed and signed it.
        upkeep: Counts, reseals and mends.
    """

    database: Database
    seal: Seal
    upkeep: AuditUpkeep


@contextmanager
def existing_journal(settings: Settings) -> Iterator[Journal]:
    """
    Yield the existing journal, and close it at the exit; never make one.

    Raises:
        NothingFound: There is no journal, or no key to it.
        UnusableKey: A key of the journal has the wrong form, or cannot be read.
        SealBroken: The journal was sealed with other keys.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _existing_database(settings) as (database, seal):
        journal = Journal(database, seal)
        journal.upkeep.check_keys()
        yield journal


@contextmanager
def existing_outbox(settings: Settings) -> Iterator[LogOutbox]:
    """
    Yield the outbox of the existing journal, and close it at the exit.

    Raises:
        NothingFound: There is no journal, or no key to it.
        UnusableKey: A key of the journal has the wrong form, or cannot be read.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _existing_database(settings) as (database, seal):
        yield LogOutbox(database, seal)


@contextmanager
def existing_audit(settings: Settings) -> Iterator[ExistingAudit]:
    """
    Yield the existing audit trail, and close it at the exit; never make one.

    Raises:
        NothingFound: There is no journal, or no key to it.
        UnusableKey: A key of the journal has the wrong form, or cannot be read.
        SealBroken: The journal was sealed with other keys.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _existing_database(settings) as (database, seal):
        Journal(database, seal).upkeep.check_keys()
        yield ExistingAudit(database, seal, AuditUpkeep(database, seal))


@contextmanager
def _existing_database(settings: Settings) -> Iterator[tuple[Database, Seal]]:
    if not settings.journal_keys:
        _expect_file(settings.data_dir / _KEY_FILE, "key of a journal")
    file = sqlite_file(settings.database_url)
    if file is not None:
        _expect_file(file, "journal")
        if is_without_tables(file):
            raise NothingFound(f"there is no journal in {file.resolve()}")
    database = Database(settings.database_url)
    try:
        try:
            check_tables(database.engine)
        except NoTables as error:
            where = f"in {file}" if file else "at DATABASE_URL"
            raise NothingFound(f"{error} ({where})") from error
        yield database, _seal(settings)
    finally:
        database.close()


def _expect_file(path: Path, what: str) -> None:
    where = (
        "say in FHIR_GATEWAY_DATA_DIR, or DATABASE_URL and FHIR_GATEWAY_JOURNAL_KEYS,"
        " where the gateway keeps them"
    )
    if is_absent(path):
        raise NothingFound(f"there is no {what} at {path.resolve()}; {where}")
    if fault := fault_of_file(path):
        raise NothingFound(
            f"the {what} at {path.resolve()} {fault}; run this as a user who may read"
            f" it, or {where}"
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
    database = Database(settings.database_url)
    journal, seal = _open_or_create_journal(settings, database, make_journal)
    audit = AuditStore(database, seal)
    outbox = LogOutbox(database, seal)
    store = RedisSlotStore(redis_url)
    hints = RedisRefreshHints(store.client)
    rechecks = RedisRefreshHints(store.client, WRONG)
    sightings = RedisSightings(store.client, clock=clock)
    worker = f"{socket.gethostname()}-{os.getpid()}"
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
    held = HeldTimeslots(journal.places, clock=clock)
    search_hints = SearchHints(hints)
    limits = Limits(
        settings.limits,
        RedisRequestCounts(store.client),
        secret=_seal(settings).lookup(_LIMITS, ""),
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
        adapters,
        lambda: view.snapshot.directory,
        Recheck(rechecks),
        lacks=view.lacks,
        losses=ResidentLossLog(sightings, clock=clock),
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
    gateway = Gateway(
        base_url=settings.base_url,
        hosts=settings.hosts,
        proxies=settings.proxies,
        origins=settings.origins,
        vocabulary=vocabulary,
        slot_search=SlotSearch(
            view, sources, hints=search_hints, live=live, clock=clock
        ),
        booking=booking,
        resident_bookings=ResidentBookings(
            access, journal, booking.current, settlement
        ),
        requests=ClientRequests(journal),
        audit_events=AuditEvents(audit),
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
            share=WorkerShare(
                refreshes,
                RedisSourceLeases(store.client),
                # After a restart another process may have the same number: the random
                # part makes it another holder.
                f"{worker}-{token_hex(8)}",
            ),
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
        )
    finally:
        live.close()
        bulkhead.close()
        limits.close()
        store.close()
        database.close()
        for adapter in adapters.values():
            adapter.close()
