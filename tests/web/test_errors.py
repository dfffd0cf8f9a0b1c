"""
Failures as HTTP: each kind has its status, and nothing inside is shown.
"""

import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from assertions import assert_outcome, issue
from flask import Flask
from structlog.typing import EventDict

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model import errors
from fhir_gateway.model.errors import Category, GatewayError
from fhir_gateway.model.ids import SourceName
from fhir_gateway.web.errors import PROBLEM_STATUSES, STATUSES, register_error_handlers

_SECRET = "197501019801 Provmarkör"
_NORR = SourceName("norr")


@pytest.fixture(name="failing")
def _failing() -> Callable[[Exception], Any]:
    """Give a function that answers a request which fails so."""

    def failing(error: Exception) -> Any:
        app = Flask("failing")
        register_error_handlers(app)

        def fail() -> str:
            raise error

        app.add_url_rule("/", "fail", fail)
        return app.test_client().get("/")

    return failing


@pytest.fixture(name="events")
def _events() -> Iterator[list[EventDict]]:
    """Give what is logged."""
    events: list[EventDict] = []

    def record(_: object, __: str, event: EventDict) -> EventDict:
        events.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[record],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    yield events
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (errors.Incorrect, 422, "business-rule"),
        (errors.NotFound, 404, "not-found"),
        (errors.Unsupported, 422, "not-supported"),
        (errors.Forbidden, 422, "forbidden"),
        (errors.Conflict, 409, "conflict"),
        (errors.Stale, 412, "conflict"),
        (errors.Busy, 503, "throttled"),
        (errors.Unavailable, 503, "transient"),
        (errors.SourceFault, 503, "transient"),
    ],
)
def test_a_failure_has_its_status_and_code(
    failing: Callable[[Exception], Any],
    kind: type[GatewayError],
    status: int,
    code: str,
) -> None:
    """A failure is reported with its source, under its status and issue code."""
    response = failing(kind("So it is.", source=_NORR, interaction="MakeBooking"))

    assert_outcome(
        response, status, issue(code, "So it is. (source norr, MakeBooking)")
    )
    assert response.headers.get("Retry-After") == ("30" if status == 503 else None)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param(timedelta(seconds=60), "60", id="whole seconds"),
        pytest.param(timedelta(seconds=59.001), "60", id="never too early"),
        pytest.param(timedelta(0), "1", id="never at once"),
        pytest.param(timedelta(seconds=-5), "1", id="past"),
    ],
)
def test_a_limit_says_when_to_come_back(
    failing: Callable[[Exception], Any], retry_after: timedelta, seconds: str
) -> None:
    """A used-up limit is 429 and says in how many seconds it has room again."""
    response = failing(errors.LimitReached("So it is.", retry_after=retry_after))

    assert_outcome(response, 429, issue("throttled", "So it is."))
    assert response.headers["Retry-After"] == seconds


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [(errors.Refused, 422, "business-rule"), (errors.TimeslotRefused, 409, "conflict")],
)
def test_a_regions_refusal_keeps_its_words(
    failing: Callable[[Exception], Any],
    kind: type[GatewayError],
    status: int,
    code: str,
) -> None:
    """A region's text is reported unchanged."""
    assert_outcome(
        failing(kind("Ring oss.", source=_NORR)), status, issue(code, text="Ring oss.")
    )


def test_no_failure_is_a_success() -> None:
    """Every kind of failure has a status that is one, or says that it is open."""
    assert {STATUSES[kind] for kind in Category} <= {
        *(202, 401, 403, 404, 409, 412, 422, 429, 500, 503)
    }


def test_a_bug_shows_its_incident_alone(
    failing: Callable[[Exception], Any], events: list[EventDict]
) -> None:
    """An unforeseen failure is 500; client and log get a number, no message."""
    response = failing(RuntimeError(_SECRET))

    assert response.status_code == 500
    (fault,) = response.json["issue"]
    found = re.fullmatch(
        r"The server failed; report to its operator the incident ([0-9a-f-]{36})\.",
        fault["diagnostics"],
    )
    assert found is not None
    (event,) = events
    assert event["incident"] == found[1]
    assert (event["kind"], event["file"]) == ("RuntimeError", "test_errors.py")
    assert _SECRET not in response.text + str(response.headers) + repr(events)


def test_a_bug_with_a_cause_shows_no_more(
    failing: Callable[[Exception], Any], events: list[EventDict]
) -> None:
    """The cause of an unforeseen failure is not shown either."""
    error = KeyError("x")
    error.__cause__ = ValueError(_SECRET)
    error.add_note(_SECRET)

    response = failing(error)
    assert _SECRET not in response.text + repr(events)


def test_a_problem_keeps_its_headers(failing: Callable[[Exception], Any]) -> None:
    """Headers that belong to a problem are sent with it."""
    problem = Problem(
        [Issue(code="value", diagnostics="No.")],
        kind=ProblemKind.MALFORMED,
        headers={"Allow": "GET"},
    )

    response = failing(problem)
    assert_outcome(response, 400, issue("value", "No."))
    assert response.headers["Allow"] == "GET"


def test_every_kind_of_problem_has_a_status() -> None:
    """Each kind has the HTTP status of its answer."""
    assert set(PROBLEM_STATUSES) == set(ProblemKind)
