"""
The common parts of every FHIR exchange: media types, preferences, answers.

FHIR R4, 3.1.0 (RESTful API): content types, `_format`, `Prefer`.
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
from flask import Response, request

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.r4 import RESOURCES
from fhir_gateway.fhir.resource_xml import UnreadableXml, resource_from_xml
from fhir_gateway.model.json_reading import UnreadableJson, read_json
from fhir_gateway.model.timekeeping import Clock, http_date_text, now
from fhir_gateway.web.answer_form import (
    FHIR_JSON,
    FHIR_XML,
    FORM_PARAMETERS,
    JSON_TYPES,
    SEARCH_FORM_PARAMETERS,
    XML_TYPES,
    check_accept_header,
    check_form,
    is_r4,
    remember_form,
    remember_subset,
    subset_of_request,
)
from fhir_gateway.web.field_value import MediaRange, list_members, word

__all__ = [
    "FHIR_PREFIX",
    "JSON_PATCH",
    "PATCH_TYPES",
    "Preferences",
    "begin_read",
    "check_accept",
    "check_type",
    "fhir_response",
    "is_without_body",
    "own_url",
    "parameters_of_request",
    "preferences",
    "read_body",
    "refuse_parameters",
    "rendered_response",
    "search_parameters_of_request",
]

FHIR_PREFIX: Final = "/fhir"
"""The served path, independent of the clients' base URL."""

JSON_PATCH: Final = "application/json-patch+json"
PATCH_TYPES: Final = (JSON_PATCH, FHIR_JSON, FHIR_XML)
"""The media types of patches: JSON Patch, and FHIRPath Patch as a resource."""

_FORM: Final = "application/x-www-form-urlencoded"
# RFC 7240, 4.3: whole seconds.
_SECONDS: Final = re.compile("[0-9]{1,6}")
_MOST_REMEMBERED: Final = 1024
# Characters of a parameter or a header: the values that clients repeat are short.
_MOST_MEMORABLE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """
    The `Prefer` header.

    Attributes:
        lenient: Ignore unknown search parameters.
        returns: `minimal`, `representation` or `OperationOutcome`.
        refuses_partial: Refuse a search from which a source's part is missing.
        wait: How long the client waits for live sources at most; None for as long as
            each source may take.
        waits_for_region: How long a client that takes an asynchronous answer
            (`respond-async`) waits for the region's; None for any other.
        of_search: The stated preferences that every search heeds, as
            `Preference-Applied` has them; empty for none.
        of_region: Likewise those that a write without a known outcome has heeded.
    """

    lenient: bool
    returns: str
    refuses_partial: bool = False
    wait: timedelta | None = None
    waits_for_region: timedelta | None = None
    of_search: str = ""
    of_region: str = ""


def check_accept() -> None:
    """
    Check that the client accepts JSON or XML; `_format` overrides the Accept header.

    Raises:
        Problem: 406; 400 when `_pretty` is no boolean.
    """
    given = list(request.args.items(multi=True))
    check_form(given)
    if not any(name == "_format" and value for name, value in given):
        check_accept_header()


def begin_read(
    resource_type: str | None = None, *, others: frozenset[str] = frozenset()
) -> None:
    """
    Check the URL of a read, and keep what part of the resource it asks for.

    Args:
        resource_type: What it reads; None for what its interaction is about.
        others: Its parameters beside those of each read.

    Raises:
        Problem: 406 for another format, 400 for a parameter that a read does not have.
    """
    check_accept()
    refuse_parameters(allowed=SEARCH_FORM_PARAMETERS | others)
    given = list(request.args.items(multi=True))
    remember_subset(
        subset_of_request(given, is_search=False, resource_type=resource_type)
    )


def preferences() -> Preferences:
    """Return the client's preferences; unknown ones are ignored."""
    header: str = request.environ.get("HTTP_PREFER", "")
    read = _preferences if len(header) > _MOST_MEMORABLE else _remembered_preferences
    return read(header)


def _preferences(header: str) -> Preferences:
    stated: dict[str, str] = {}
    for preference, *_ in list_members(header):
        name, _, value = preference.partition("=")
        # RFC 7240, 2: of a repeated preference the first counts.
        stated.setdefault(name.strip(" \t").lower(), word(value))
    returns = stated.get("return", "representation")
    wait = stated.get("wait", "")
    waits = timedelta(seconds=int(wait)) if _SECONDS.fullmatch(wait) else None
    is_async = "respond-async" in stated
    asked = ["respond-async", *([] if waits is None else [f"wait={wait}"])]
    heeded = [
        f"{name}={stated[name]}"
        for name, is_known in (
            ("handling", stated.get("handling") in ("strict", "lenient")),
            ("partial", stated.get("partial") in ("allow", "refuse")),
            ("wait", _SECONDS.fullmatch(wait) is not None),
        )
        if is_known
    ]
    return Preferences(
        refuses_partial=stated.get("partial") == "refuse",
        wait=waits,
        waits_for_region=waits or timedelta() if is_async else None,
        of_search=", ".join(heeded),
        of_region=", ".join(asked) if is_async else "",
        lenient=stated.get("handling") == "lenient",
        returns=(
            returns
            if returns in ("minimal", "representation", "OperationOutcome")
            else "representation"
        ),
    )


_remembered_preferences: Final = lru_cache(maxsize=_MOST_REMEMBERED)(_preferences)


def read_body(*media_types: str, types: Container[str] = RESOURCES) -> Any:  # noqa: ANN401 - JSON is any value
    """
    Return the JSON in the request's body, or the same of a resource in XML.

    Args:
        media_types: What it may be, when not a resource in FHIR's JSON or XML.
        types: The types of resources to read from XML.

    Raises:
        Problem: 415 for another media type, 400 when unreadable.
    """
    said = check_type(*media_types)
    body = request.get_data()
    try:
        if said in XML_TYPES:
            return resource_from_xml(body, types=types)
        return read_json(body)
    except (UnreadableJson, UnreadableXml) as error:
        raise Problem(
            [Issue(code="structure", diagnostics=f"It cannot be read: {error}.")],
            kind=ProblemKind.MALFORMED,
        ) from error


def check_type(*media_types: str) -> str:
    """
    Return the media type of the request, also of an empty body.

    Args:
        media_types: What it may be, when not a resource in FHIR's JSON or XML.

    Raises:
        Problem: 415.
    """
    accepted = frozenset(media_types) or JSON_TYPES | XML_TYPES
    said = _content_type()
    if said.type in accepted and _is_utf8(said) and is_r4(said):
        return said.type
    named = sorted(media_types) or [FHIR_JSON, FHIR_XML]
    raise Problem(
        [
            Issue(
                code="not-supported",
                diagnostics=f"Send the body as {' or '.join(named)}, in UTF-8.",
                parameter="Content-Type",
            )
        ],
        kind=ProblemKind.UNSUPPORTED_MEDIA_TYPE,
        # RFC 5789, 2.2: the answer names the accepted forms of a patch.
        headers={"Accept-Patch": ", ".join(named)}
        if request.method == "PATCH"
        else None,
    )


def refuse_parameters(*, allowed: frozenset[str] = FORM_PARAMETERS) -> None:
    """
    Refuse the parameters that an interaction does not have.

    A lenient client's are ignored.

    Args:
        allowed: Those that it has.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    if request.args.keys() <= allowed or preferences().lenient:
        return
    diagnostics = "This URL has no parameters: leave them out."
    if allowed:
        *most, last = sorted(allowed)
        named = f"{', '.join(most)} and {last}" if most else last
        diagnostics = f"This URL has no parameters but {named}: leave the others out."
    raise Problem(
        [Issue(code="not-supported", diagnostics=diagnostics)],
        kind=ProblemKind.MALFORMED,
    )


def is_without_body() -> bool:
    """Return whether the present request has an empty body."""
    return not request.get_data()


def own_url(base_url: str) -> str:
    """Return the clients' URL of the present request, without its query."""
    return base_url + request.path.removeprefix(FHIR_PREFIX)


def search_parameters_of_request(*, is_personal: bool) -> list[tuple[str, str]]:
    """
    Return the parameters of a search, as `parameters_of_request` does.

    It leaves out `_format` and `_pretty`, which concern only the answer's form.
    """
    return [
        pair
        for pair in parameters_of_request(is_personal=is_personal)
        if pair[0] not in FORM_PARAMETERS
    ]


def parameters_of_request(*, is_personal: bool) -> list[tuple[str, str]]:
    """
    Return all parameters of a search, in the client's order.

    Args:
        is_personal: The values are personal data: no cache may hold them.

    Raises:
        Problem: 406 when the client accepts neither JSON nor XML, 415 when a POST is
            not a form, 400 when a name or value is not UTF-8.
    """
    parts = [
        _parameter(part)
        if is_personal or len(part) > _MOST_MEMORABLE
        else _remembered_parameter(part)
        for part in request.query_string.split(b"&")
        if part
    ]
    given = [parameter for parameter in parts if parameter is not None]
    is_text = len(given) == len(parts)
    if request.method == "POST":
        form = _form()
        parts = [_parameter(part) for part in form.split(b"&") if part]
        said = [parameter for parameter in parts if parameter is not None]
        is_text = is_text and len(said) == len(parts)
        given.extend(said)
        remember_form(given)
    check_form(given)
    if not any(name == "_format" and value for name, value in given):
        check_accept_header()
    if not is_text:
        raise Problem(
            [
                Issue(
                    code="structure",
                    diagnostics=(
                        "A parameter is not UTF-8 text, or has the character NUL (%00)."
                    ),
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
    return given


def rendered_response(body: bytes, *, headers: dict[str, str]) -> Response:
    """Return a response with a rendered resource."""
    # Werkzeug makes headers from pairs in half the time that it needs for a mapping.
    return Response(
        body,
        headers=[("Content-Type", f"{FHIR_JSON};charset=utf-8"), *headers.items()],
    )


def fhir_response(
    resource: dict[str, Any] | None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    clock: Clock = now,
) -> Response:
    """Return a response with a resource, or with an empty body."""
    response = Response(
        b"" if resource is None else orjson.dumps(resource),
        status=status,
        content_type=f"{FHIR_JSON};charset=utf-8",
    )
    if resource is None:
        del response.headers["Content-Type"]
    response.headers["Cache-Control"] = "no-store"
    response.headers["Date"] = http_date_text(clock())
    response.headers.update(headers or {})
    return response


def _form() -> bytes:
    """
    Return the form of a search by POST; a body without a type is read as a form.

    Raises:
        Problem: 415.
    """
    said = _content_type()
    if said.type not in (_FORM, "") or not _is_utf8(said):
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=f"Send the parameters as {_FORM}, in UTF-8.",
                    parameter="Content-Type",
                )
            ],
            kind=ProblemKind.UNSUPPORTED_MEDIA_TYPE,
        )
    return request.get_data()


def _parameter(encoded: bytes) -> tuple[str, str] | None:
    """Return name and value of one part of a query; None when it is not UTF-8."""
    if not _is_text(encoded):
        return None
    name, _, value = encoded.replace(b"+", b" ").partition(b"=")
    return (
        unquote_to_bytes(name).decode(),
        unquote_to_bytes(value).decode(),
    )


_remembered_parameter: Final = lru_cache(maxsize=_MOST_REMEMBERED)(_parameter)


def _is_text(encoded: bytes) -> bool:
    decoded = unquote_to_bytes(encoded)
    try:
        decoded.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in decoded


def _is_utf8(said: MediaRange) -> bool:
    return said.parameters.get("charset", "utf-8") in ("utf-8", "utf8")


def _content_type() -> MediaRange:
    return MediaRange.parse(request.headers.get("Content-Type", ""))
