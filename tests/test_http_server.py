"""
The web server's own parts: what a web process does before it answers.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import RawValue

import pytest
from structlog.testing import capture_logs

from fhir_gateway import http_server
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.web.app import GatewayApp


@contextmanager
def _away() -> Iterator[GatewayApp]:
    raise DatabaseUnavailable("hemligt")
    yield  # type: ignore[unreachable] # makes it a generator


def test_a_web_process_that_cannot_start_leaves_one_line() -> None:
    """It ends with one event in the log, and without a traceback."""
    with capture_logs() as events, pytest.raises(SystemExit) as ended:
        http_server._front(_away, 2, RawValue(ctypes.c_bool, False))  # noqa: FBT003 - ctypes knows no keywords

    (event,) = events
    assert ended.value.code == 1
    assert (event["event"], event["log_level"], event["kind"]) == (
        "web process cannot start",
        "error",
        "DatabaseUnavailable",
    )
    assert "hemligt" not in str(event)
