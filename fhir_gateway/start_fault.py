"""
Why a command cannot run, in lines that its operator can act on.

Each line is one sentence of our own: a library's message may hold a secret, and is left
out. Exit code 2 means that a setting or a file is wrong, 1 that the command cannot run
just now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_gateway.configured_files import WrongFiles
from fhir_gateway.configured_stores import NothingFound, UnusableFolder
from fhir_gateway.listening import CannotListen
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.settings import Settings, WrongSettings
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.database_fault import DatabaseFault
from fhir_gateway.stores.database_url import WrongDatabase
from fhir_gateway.stores.embedded_redis import EmbeddedRedisFailed
from fhir_gateway.stores.migrations import LaterTables
from fhir_gateway.stores.redis_url import WrongRedis
from fhir_gateway.stores.sealing import SealBroken, UnusableKey
from fhir_gateway.stores.slot_store import StoreUnavailable
from fhir_gateway.worker import WorkerFailed

__all__ = ["CANNOT_RUN", "WRONG_CONFIGURATION", "StartFault", "start_fault"]

CANNOT_RUN: Final = 1
WRONG_CONFIGURATION: Final = 2

_KEYS: Final = "FHIR_GATEWAY_JOURNAL_KEYS"
_OF_A_FILE: Final = frozenset(
    {
        DatabaseFault.NO_DATABASE_FILE,
        DatabaseFault.NO_FILE,
        DatabaseFault.OF_ANOTHER_PROGRAM,
        DatabaseFault.READ_ONLY,
    }
)


_CONFIGURATION: Final = (
    SealBroken,
    UnusableFolder,
    UnusableKey,
    WrongDatabase,
    WrongFiles,
    WrongRedis,
    WrongSettings,
)
_SEVERAL: Final = (WrongSettings, WrongFiles, WrongDatabase, WrongRedis, UnusableKey)
_PREFIXES: Final[Mapping[type[Exception], str]] = {
    WrongDatabase: "DATABASE_URL ",
    WrongRedis: "REDIS_URL ",
    UnusableKey: f"{_KEYS}: ",
}
# Their messages are lines already.
_SAY_ALL: Final = (
    CannotListen,
    EmbeddedRedisFailed,
    NothingFound,
    UnusableFolder,
    WorkerFailed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFault:
    """Why a command cannot run: one line for each fault, and its exit code."""

    lines: tuple[str, ...]
    exit_code: int


def start_fault(error: Exception, settings: Settings | None) -> StartFault:
    """
    Return the lines and the exit code for an error.

    Args:
        error: The error that stopped the command.
        settings: The settings of the command; None where they are at fault.
    """
    return StartFault(
        lines=tuple(map(_one_line, _lines(error, settings))),
        exit_code=WRONG_CONFIGURATION if _is_configuration(error) else CANNOT_RUN,
    )


def _lines(error: Exception, settings: Settings | None) -> Sequence[str]:
    if isinstance(error, _SEVERAL):
        return [f"{_PREFIXES.get(type(error), '')}{each}" for each in error.faults]
    match error:
        case SealBroken():
            return [f"{_KEYS}: {error} Give the keys it was sealed with."]
        case DatabaseUnavailable():
            return [f"{_database(settings, error.fault)}: {error.fault.value}"]
        case LaterTables():
            return [f"DATABASE_URL: {error}"]
        case StoreUnavailable():
            return [f"REDIS_URL: {error.fault.value}"]
    return [str(error) if isinstance(error, _SAY_ALL) else _unforeseen(error)]


def _is_configuration(error: Exception) -> bool:
    match error:
        case NothingFound() | CannotListen():
            return error.is_configuration
        case DatabaseUnavailable():
            return error.fault.is_configuration
    return isinstance(error, _CONFIGURATION)


def _database(settings: Settings | None, fault: DatabaseFault) -> str:
    """Return the name of the setting that locates the database."""
    if settings is not None and settings.has_own_database and fault in _OF_A_FILE:
        return f"FHIR_GATEWAY_DATA_DIR: {settings.data_dir.resolve()}"
    return "DATABASE_URL"


def _unforeseen(error: Exception) -> str:
    place = fault_place(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}"
    return (
        f"a fault in the program ({place['kind']} in {place['file']}, line"
        f" {place['line']}); report it with what you ran"
    )


def _one_line(text: str) -> str:
    """Return a text in which no name of a file or table has a line break."""
    return "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text
    )
