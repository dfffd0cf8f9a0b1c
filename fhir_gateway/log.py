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
    Writes events, and goes on without a word where they cannot be written.

    Each is one write with its line's end in it: processes share standard error, and one
    that is killed in between would leave half a line for another to go on with. A disk
    that is full, or a pipe that nobody reads any more, must not turn a booking that was
    made into an answer 500.
    """

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = exception = msg
