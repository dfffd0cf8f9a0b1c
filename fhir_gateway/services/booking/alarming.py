"""
Alarms: a person is called to a write, by its row in the journal and a line of the log.
"""

from collections.abc import Callable

import structlog

from fhir_gateway.stores.journal import Alarm, Journal, WriteIntent

__all__ = ["raise_alarm", "telling"]

_log = structlog.get_logger()


def raise_alarm(
    journal: Journal, intent: WriteIntent, alarm: Alarm, event: str
) -> None:
    """Call a person, once; twice where a process dies in the middle of it."""
    journal.outcomes.raise_alarm(intent, alarm, tell=telling(intent, event))


def telling(intent: WriteIntent, event: str) -> Callable[[], None]:
    """Return what logs an alarm."""
    return lambda: _log.error(event, booking=intent.booking, kind=intent.kind.value)
