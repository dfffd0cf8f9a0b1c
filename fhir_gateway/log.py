"""
Logging: one JSON object a line on standard error; a constant phrase and its fields.

No field ever holds a personal number, a name, a free text or a body.
"""

import logging
import sys
from contextlib import suppress

import structlog

__all__ = ["configure_logging"]


def configure_logging() -> None:
    """Send log events to standard error as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Logger(sys.stderr),
    )


class _Logger(structlog.WriteLogger):
    """
    Writes events, and silently goes on where it cannot write them.

    Each event is one write that includes the line's end: processes share standard
    error, and a killed one could otherwise leave half a line for another to continue. A
    full disk, or a pipe without a reader, must not make a successful booking an answer
    500.
    """

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = exception = msg
