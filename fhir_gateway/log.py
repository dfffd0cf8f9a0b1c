"""
Logging: one JSON object a line on standard error; a constant phrase and its fields.

No field ever holds a personal number, a name, a free text or a body.
"""

import logging
import sys

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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
