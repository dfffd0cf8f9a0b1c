"""
The stores that the settings name: Redis, the journal, the audit trail and their key.

Commands that only read open those that exist already, and never make one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fhir_gateway.model.private_file import fault_of_rights, make_private_folder
from fhir_gateway.model.regular_file import fault_of_file, is_absent
from fhir_gateway.model.source import Source
from fhir_gateway.settings import Settings
from fhir_gateway.stores.audit import AuditUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.database_url import sqlite_file
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.log_outbox import LogOutbox
from fhir_gateway.stores.migrations import (
    NoTables,
    check_tables,
    is_without_tables,
)
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.stores.statistics import BookingCounts, CoverageCounts

__all__ = [
    "ExistingAudit",
    "NothingFound",
    "UnusableFolder",
    "check_redis",
    "embedded_redis",
    "existing_audit",
    "existing_index_outbox",
    "existing_journal",
    "existing_outbox",
    "existing_statistics",
    "make_data_folder",
    "running_redis",
    "seal_of",
]

_KEY_FILE: Final = "journal.key"


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


def seal_of(settings: Settings) -> Seal:
    """
    Return the seal of the journal; without configured keys, make a file with one.

    Raises:
        UnusableKey: A key has the wrong form, or the file cannot be read or made.
    """
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
def existing_index_outbox(
    settings: Settings, sources: Iterable[Source]
) -> Iterator[IndexOutbox]:
    """
    Yield the existing outbox of the engagement index, and close it at the exit.

    Raises:
        NothingFound: There is no journal, or no key to it.
        UnusableKey: A key of the journal has the wrong form, or cannot be read.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    indexed = {each.name: each.indexed for each in sources if each.indexed is not None}
    with _existing_database(settings) as (database, seal):
        yield IndexOutbox(database, seal, indexed)


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
def existing_statistics(
    settings: Settings,
) -> Iterator[tuple[BookingCounts, CoverageCounts]]:
    """
    Yield the counts of the existing journal, and close it at the exit.

    Raises:
        NothingFound: There is no journal, or no key to it.
        UnusableKey: A key of the journal has the wrong form, or cannot be read.
        LaterTables: The database belongs to a later release.
        DatabaseUnavailable: The database cannot be reached.
    """
    with _existing_database(settings) as (database, _):
        yield BookingCounts(database), CoverageCounts(database)


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
        yield database, seal_of(settings)
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
