"""
Batches: a Bundle of requests, and the Bundle of their answers (FHIR R4, 3.1.0.11).

An entry is a request of its own. The requests do not depend on each other, so that a
reference from one entry to another has no meaning.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeGuard
from urllib.parse import parse_qsl

import orjson

from fhir_gateway.fhir.limits import MOST_BATCH_ENTRIES
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.timekeeping import (
    http_date_text,
    instant_from_http_date,
    instant_from_text,
    instant_text,
)

__all__ = [
    "BatchAnswer",
    "BatchRequest",
    "batch_response",
    "requests_from_bundle",
]

_FHIR_JSON: Final = "application/fhir+json"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# A segment of dots would lead to another path.
_URL: Final = re.compile(
    r"(?P<path>[A-Za-z][A-Za-z0-9]*(?:/(?!\.{1,2}(?:/|\?|$))[A-Za-z0-9\-.$_]+)*)"
    r"(?:\?(?P<query>[\x21\x23-\x7e]*))?"
)
_MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z]+/[A-Za-z0-9.+\-]+(?: ?; ?[A-Za-z0-9=\-.\"]+)*"
)
_FORM: Final = "application/x-www-form-urlencoded"
_CONDITIONS: Final = {
    "ifNoneMatch": "If-None-Match",
    "ifModifiedSince": "If-Modified-Since",
    "ifMatch": "If-Match",
    "ifNoneExist": "If-None-Exist",
}
_URN: Final = "urn:"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """
    The request in an entry.

    Attributes:
        path: Below the FHIR base, without a slash at the beginning.
        query: What follows the question mark.
        headers: The conditions and the media type.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """
    The answer to the request in an entry.

    Attributes:
        headers: The header fields.
        resource: The body; None for an empty one.
    """

    status: int
    headers: Mapping[str, str]
    resource: dict[str, Any] | None


def requests_from_bundle(
    body: object,
    *,
    base_url: str,
    documents: Sequence[str] = (),
) -> list[BatchRequest | Problem]:
    """
    Return the requests in a batch; a Problem in place of one that cannot be made.

    Args:
        body: The Bundle.
        base_url: What absolute URLs of this server begin with.
        documents: Paths below the base that answer, also below themselves, what is no
            resource.

    Raises:
        Problem: 400 for what is no batch, 422 for a transaction.
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise _refusal("structure", "Send a Bundle.", "Bundle")
    if body.get("type") == "transaction":
        raise _refusal(
            "not-supported",
            "This server has no transactions, since the regions' systems have none."
            " Send a batch, where each entry has its own outcome; Appointment/$book and"
            " Appointment/$reschedule each do their steps together.",
            "Bundle.type",
            kind=ProblemKind.UNPROCESSABLE,
        )
    if body.get("type") != "batch":
        raise _refusal("value", "Send a Bundle of type batch.", "Bundle.type")
    entries = body.get("entry", [])
    if not isinstance(entries, list):
        raise _refusal("structure", "entry is a list.", "Bundle.entry")
    if len(entries) > MOST_BATCH_ENTRIES:
        raise _refusal(
            "too-costly",
            f"A batch has at most {MOST_BATCH_ENTRIES} entries: send several.",
            "Bundle.entry",
        )
    return [
        _request(entry, f"Bundle.entry[{number}]", base_url, documents)
        for number, entry in enumerate(entries)
    ]


def batch_response(
    answers: list[BatchAnswer],
    base_url: str,
) -> dict[str, Any]:
    """Return the Bundle of the answers, in the order of the requests."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "batch-response"}
    if answers:
        bundle["entry"] = [_entry(each, base_url) for each in answers]
        _leave_out_repeated_urls(bundle["entry"])
    return bundle


def _leave_out_repeated_urls(entries: list[dict[str, Any]]) -> None:
    """Keep the first of equal fullUrls alone (FHIR R4, bdl-7)."""
    seen = set()
    for each in entries:
        url = each.get("fullUrl")
        if url in seen:
            del each["fullUrl"]
        elif url is not None:
            seen.add(url)


def _request(
    entry: object, place: str, base_url: str, documents: Sequence[str]
) -> BatchRequest | Problem:
    given = entry if isinstance(entry, dict) else {}
    asked = given.get("request")
    if not isinstance(asked, dict):
        return _refusal("required", "An entry has a request.", f"{place}.request")
    method, url = asked.get("method"), asked.get("url")
    if method not in _METHODS:
        return _refusal(
            "value",
            f"The method is one of {', '.join(_METHODS)}.",
            f"{place}.request.method",
        )
    relative = url.removeprefix(f"{base_url}/") if _is_text(url) else ""
    path = relative.partition("?")[0]
    if any(path == each or path.startswith(f"{each}/") for each in documents):
        return _refusal(
            "not-supported",
            "The answer would be no resource, so that it has no place in a Bundle: send"
            " a GET of its own.",
            f"{place}.request.url",
        )
    match = _URL.fullmatch(relative)
    if match is None:
        return _refusal(
            "value",
            "The url names a type of resource or metadata, relative to the base of this"
            " server, as Slot?status=free or Appointment/id; a batch contains no other"
            " batch.",
            f"{place}.request.url",
        )
    query = match["query"] or ""
    try:
        _check_format(query, f"{place}.request.url")
        headers = dict(_conditions(asked, f"{place}.request"))
        body, media_type = _body(method, given.get("resource"), f"{place}.resource")
    except Problem as problem:
        return problem
    if media_type:
        headers["Content-Type"] = media_type
    return BatchRequest(
        method=method,
        path=match["path"],
        query=query,
        headers=headers,
        body=body,
    )


def _check_format(parameters: str, place: str) -> None:
    if "_format" in dict(parse_qsl(parameters)):
        raise _refusal(
            "not-supported",
            "An entry is answered in the format of the batch: leave _format out.",
            place,
        )


def _conditions(asked: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for element, name in _CONDITIONS.items():
        value = asked.get(element)
        if value is None:
            continue
        if not _is_text(value) or not value.isascii() or not value.isprintable():
            raise _refusal("value", "It is visible ASCII.", f"{place}.{element}")
        if element == "ifModifiedSince":
            instant = instant_from_text(value)
            if instant is None:
                raise _refusal("value", "It is an instant.", f"{place}.{element}")
            value = http_date_text(instant)
        yield name, value


def _body(method: str, resource: object, place: str) -> tuple[bytes, str | None]:
    """Return the body of a request, and its media type."""
    if method not in _WITH_BODY:
        if resource is not None:
            raise _refusal("structure", f"A {method} has no resource.", place)
        return b"", None
    if resource is None:
        return b"", _FHIR_JSON
    if not isinstance(resource, dict):
        raise _refusal("structure", "It is a resource.", place)
    if resource.get("resourceType") == "Binary":
        return _binary(resource, place)
    if _refers_to_entry(resource):
        raise _refusal(
            "not-supported",
            "The entries of a batch cannot refer to each other: refer to what this"
            " server has, by Type/id, or to a contained resource.",
            place,
        )
    return orjson.dumps(resource), _FHIR_JSON


def _binary(resource: dict[str, Any], place: str) -> tuple[bytes, str]:
    """Return what a Binary holds: a JSON Patch, or the form of a search by POST."""
    media_type, data = resource.get("contentType"), resource.get("data")
    if not _is_text(media_type) or not _MEDIA_TYPE.fullmatch(media_type):
        raise _refusal("value", "It is a media type.", f"{place}.contentType")
    try:
        body = base64.b64decode(data if _is_text(data) else "-", validate=True)
    except (binascii.Error, ValueError):
        raise _refusal("value", "It is base64.", f"{place}.data") from None
    if media_type.lower().startswith(_FORM):
        _check_format(body.decode("latin-1"), f"{place}.data")
    return body, media_type


def _refers_to_entry(value: object) -> bool:
    """Return whether a reference in a resource is a URN, as entries have."""
    if isinstance(value, list):
        return any(map(_refers_to_entry, value))
    if not isinstance(value, dict):
        return False
    reference = value.get("reference")
    if _is_text(reference) and reference.startswith(_URN):
        return True
    return any(map(_refers_to_entry, value.values()))


def _entry(answer: BatchAnswer, base_url: str) -> dict[str, Any]:
    reason = HTTPStatus(answer.status).phrase
    response: dict[str, Any] = {"status": f"{answer.status} {reason}"}
    if location := answer.headers.get("Location") or answer.headers.get(
        "Content-Location"
    ):
        response["location"] = location
    if etag := answer.headers.get("ETag"):
        response["etag"] = etag
    changed = instant_from_http_date(answer.headers.get("Last-Modified", ""))
    if changed is not None:
        response["lastModified"] = instant_text(changed)
    resource = answer.resource
    if resource is None:
        return {"response": response}
    if resource["resourceType"] == "OperationOutcome":
        return {"response": {**response, "outcome": resource}}
    named = {}
    if "id" in resource:
        named = {"fullUrl": f"{base_url}/{resource['resourceType']}/{resource['id']}"}
    return {**named, "resource": resource, "response": response}


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _refusal(
    code: str,
    diagnostics: str,
    expression: str,
    *,
    kind: ProblemKind = ProblemKind.MALFORMED,
) -> Problem:
    return Problem(
        [Issue(code=code, diagnostics=diagnostics, expression=expression)], kind=kind
    )
