"""
Batch at the base: each entry is a request of its own (FHIR R4, 3.1.0.11).

An entry goes through the same application as a request over HTTP: it is authorised,
limited and audited by the same code, and it can do nothing that such a request cannot.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Final
from wsgiref.types import WSGIApplication, WSGIEnvironment

import orjson
from flask import Response, current_app, request

from fhir_gateway.fhir.batch import (
    BatchAnswer,
    BatchRequest,
    batch_response,
    requests_from_bundle,
)
from fhir_gateway.fhir.limits import MOST_SENT_BACK_BYTES
from fhir_gateway.fhir.outcome import Issue, Problem, operation_outcome
from fhir_gateway.fhir.r4 import BATCHED
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.web.answer_form import FHIR_JSON
from fhir_gateway.web.errors import PROBLEM_STATUSES
from fhir_gateway.web.exchange import (
    FHIR_PREFIX,
    check_accept,
    fhir_response,
    read_body,
    refuse_parameters,
)
from fhir_gateway.web.idempotency import IDEMPOTENCY_KEY
from fhir_gateway.web.request_head import FIELDS, REPEATED, UNDERSCORED
from fhir_gateway.web.resource import Handling

__all__ = ["BATCH_HANDLING", "batch_view"]

BATCH_HANDLING: Final = Handling(may_wait=True, most_bytes=MOST_SENT_BACK_BYTES)
"""How the server handles a batch."""

_WITHIN: Final = timedelta(seconds=30)
# Fields of the batch that hold for each entry: who asks, from where, and how to read.
_KEPT: Final = frozenset(
    {
        *("HTTP_AUTHORIZATION", "HTTP_HOST", "HTTP_PREFER", "HTTP_X_REQUEST_ID"),
        *("HTTP_FORWARDED", "HTTP_CLIENT_CERT", "HTTP_ACCEPT_LANGUAGE"),
    }
)
_FORWARDED: Final = "HTTP_X_FORWARDED_"
_WITHOUT_FIELDS: Final = frozenset({FIELDS, REPEATED, UNDERSCORED})


def batch_view(
    app: WSGIApplication,
    base_url: str,
    documents: Sequence[str] = (),
    clock: Clock = now,
) -> Callable[[], Response]:
    """
    Return the view that answers a batch.

    Args:
        app: Answers the entries.
        base_url: The FHIR base that clients use.
        documents: The paths below the base of what is no resource.
        clock: The present time. An entry that would begin 30 s after the first is not
            done, and its answer says so.
    """

    def answer() -> Response:
        check_accept()
        refuse_parameters()
        wanted = requests_from_bundle(
            read_body(types=BATCHED), base_url=base_url, documents=documents
        )
        deadline = clock() + _WITHIN
        answers = []
        for number, each in enumerate(wanted):
            if isinstance(each, Problem):
                answers.append(_refused(each))
            elif clock() >= deadline:
                answers.append(_too_late())
            else:
                answers.append(_answered(app, _environ(each, number)))
        return fhir_response(batch_response(answers, base_url))

    return answer


def _environ(wanted: BatchRequest, number: int) -> WSGIEnvironment:
    """Return the environment (PEP 3333) of an entry's request."""
    path = f"{FHIR_PREFIX}/{wanted.path}"
    environ = {
        name: value
        for name, value in request.environ.items()
        if name in _KEPT
        or name.startswith(_FORWARDED)
        or not name.startswith(("HTTP_", "CONTENT_", "werkzeug.", "flask."))
    }
    for name in _WITHOUT_FIELDS:
        environ.pop(name, None)
    environ |= {
        "REQUEST_METHOD": wanted.method,
        "PATH_INFO": path,
        "QUERY_STRING": wanted.query,
        "REQUEST_URI": f"{path}?{wanted.query}" if wanted.query else path,
        "HTTP_ACCEPT": FHIR_JSON,
        "CONTENT_LENGTH": str(len(wanted.body)),
        "wsgi.input": BytesIO(wanted.body),
    }
    for name, value in wanted.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    request_key = request.headers.get(IDEMPOTENCY_KEY)
    if request_key is not None:
        # A repeated batch repeats each of its entries.
        environ["HTTP_IDEMPOTENCY_KEY"] = f"{request_key}-{number}"
    return environ


def _answered(app: WSGIApplication, environ: WSGIEnvironment) -> BatchAnswer:
    status = HTTPStatus.INTERNAL_SERVER_ERROR.value
    headers: dict[str, str] = {}

    def start_response(
        line: str, given: list[tuple[str, str]], _: object = None, /
    ) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = int(line[:3]), dict(given)
        return _no_write

    # Of its own: what an entry keeps for the rest of its request is not the next one's.
    with current_app.app_context():
        answer = app(environ, start_response)
        body = b"".join(answer)
        if close := getattr(answer, "close", None):
            close()
    # Another document than a resource has no place in a Bundle.
    is_resource = body and headers.get("Content-Type", "").startswith(FHIR_JSON)
    return BatchAnswer(
        status=status,
        headers=headers,
        resource=orjson.loads(body) if is_resource else None,
    )


def _refused(problem: Problem) -> BatchAnswer:
    return BatchAnswer(
        status=PROBLEM_STATUSES[problem.kind],
        headers=problem.headers,
        resource=operation_outcome(problem.issues),
    )


def _too_late() -> BatchAnswer:
    issue = Issue(
        code="throttled",
        diagnostics=(
            "The entries before this one took too long, and nothing was done for it:"
            " send it again, in a batch of its own."
        ),
    )
    return BatchAnswer(
        status=HTTPStatus.SERVICE_UNAVAILABLE.value,
        headers={},
        resource=operation_outcome([issue]),
    )


def _no_write(_: bytes) -> object:
    raise NotImplementedError("an answer is returned, never written")
