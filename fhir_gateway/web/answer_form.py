"""
The form of an answer: JSON or XML, indented, in parts (FHIR R4, 3.1.0.1 and 3.1.1.5).

Views answer whole resources in compact JSON. What a client asks for beyond that happens
here, in one place, after the view: an answer that needs nothing of it passes untouched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from flask import Response, g, request

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.resource_xml import xml_from_resource
from fhir_gateway.fhir.subset import (
    SUBSET_PARAMETERS,
    WHOLE,
    Subset,
    subset_from_parameters,
    subset_of_answer,
)
from fhir_gateway.web.field_value import MediaRange, list_members

__all__ = [
    "FHIR_JSON",
    "FHIR_XML",
    "FORM_PARAMETERS",
    "JSON_TYPES",
    "SEARCH_FORM_PARAMETERS",
    "XML_TYPES",
    "check_accept_header",
    "check_form",
    "form_parameters_of_url",
    "in_asked_form",
    "is_r4",
    "remember_form",
    "remember_subset",
    "subset_of_request",
]

FHIR_JSON: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"
JSON_TYPES: Final = frozenset(
    {FHIR_JSON, "application/json", "text/json", "application/json+fhir"}
)
XML_TYPES: Final = frozenset(
    {FHIR_XML, "application/xml", "text/xml", "application/xml+fhir"}
)
FORM_PARAMETERS: Final = frozenset({"_format", "_pretty"})
"""The parameters of every interaction."""

SEARCH_FORM_PARAMETERS: Final = FORM_PARAMETERS | SUBSET_PARAMETERS
"""The parameters of every read and search."""

_IN_JSON: Final = f"{FHIR_JSON};charset=utf-8"
_IN_XML: Final = f"{FHIR_XML};charset=utf-8"
_PAGE: Final = "text/html"
_WILD: Final = frozenset({"application/*", "text/*", "*/*"})
_OURS: Final = JSON_TYPES | XML_TYPES | _WILD | {_PAGE}
# A client that accepts one of these also accepts FHIR's JSON.
_OTHER_JSON: Final = (JSON_TYPES - {FHIR_JSON}) | {"text/*"}
_OTHER_XML: Final = XML_TYPES - {FHIR_XML}
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
_BOOLEANS: Final = frozenset({"true", "false"})
_MOST_REMEMBERED: Final = 1024
# Characters of a parameter or a header: the values that clients repeat are short.
_MOST_MEMORABLE: Final = 256

Parameters = Sequence[tuple[str, str]]


# No cache holds queries: they may be personal. Most have neither these names, nor any
# name in percent signs.
_MAY_SAY_FORM: Final = re.compile(rb"(?:^|&)(?:_format|_pretty|[^=&]*%)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What the parameters say; None where they do not."""

    content_type: str | None = None
    is_pretty: bool = False


_PLAIN: Final = _Form()


def check_form(given: Parameters) -> None:
    """
    Check `_format` and `_pretty` among the parameters of a request.

    Raises:
        Problem: 406 when the server does not have that format, or two contradict each
            other; 400 when `_pretty` is no boolean.
    """
    formats = _formats(given)
    if len(formats) > 1 or None in formats:
        raise _not_acceptable("_format")
    pretty = {value for name, value in given if name == "_pretty" and value}
    if len(pretty) > 1 or not pretty <= _BOOLEANS:
        raise Problem(
            [
                Issue(
                    code="value",
                    diagnostics="_pretty must be true or false, given once.",
                    parameter="_pretty",
                )
            ],
            kind=ProblemKind.MALFORMED,
        )


def check_accept_header() -> None:
    """
    Check that the Accept header allows JSON or XML, for a request without `_format`.

    Raises:
        Problem: 406.
    """
    g.fhir_gateway_accepted = _accepted()
    if g.fhir_gateway_accepted is None:
        raise _not_acceptable("Accept")


def remember_form(given: Parameters) -> None:
    """Keep what the parameters in a form say of the answer's form."""
    g.fhir_gateway_form = _read_form(given)


def remember_subset(subset: Subset) -> None:
    """Keep the part that the present request asks for."""
    if not subset.is_whole:
        g.fhir_gateway_subset = subset


def subset_of_request(
    given: Parameters, *, is_search: bool, resource_type: str | None = None
) -> Subset:
    """
    Return the part of the resources that the present read or search asks for.

    Args:
        given: Its parameters.
        is_search: It is a search.
        resource_type: What it reads; None for what its interaction is about.

    Raises:
        Problem: 400, with an issue for each fault.
    """
    return subset_from_parameters(
        given, resource_type or g.interaction.type, is_search=is_search
    )


def form_parameters_of_url() -> Parameters:
    """Return the parameters in the URL that shape the answer."""
    return [
        pair
        for pair in request.args.items(multi=True)
        if pair[0] in SEARCH_FORM_PARAMETERS and pair[1]
    ]


def in_asked_form(response: Response) -> Response:
    """Return an answer of the server in the form that the request asks for."""
    form: _Form = g.get("fhir_gateway_form") or _form_of_url()
    accepted: str | None = g.get("fhir_gateway_accepted")
    content_type = form.content_type or accepted or _accepted() or _IN_JSON
    subset: Subset = g.get("fhir_gateway_subset", WHOLE)
    if (content_type is _IN_JSON and not form.is_pretty and subset is WHOLE) or (
        response.headers.get("Content-Type") != _IN_JSON
    ):
        return response
    resource = orjson.loads(response.get_data())
    if response.status_code == HTTPStatus.OK and not subset.is_whole:
        resource = subset_of_answer(resource, subset)
    response.set_data(_written(resource, content_type, is_pretty=form.is_pretty))
    response.headers["Content-Type"] = content_type
    return response


def is_r4(said: MediaRange) -> bool:
    """Return whether a media type names R4, or no version of FHIR."""
    # FHIR R4, 2.1.0.1.1: a client may name the version beside the media type.
    return said.parameters.get("fhirversion", "4.0") in _VERSIONS


def _written(resource: dict[str, Any], content_type: str, *, is_pretty: bool) -> bytes:
    if content_type is _IN_XML:
        return xml_from_resource(resource, is_pretty=is_pretty)
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if is_pretty else None
    return orjson.dumps(resource, option=option)


def _form_of_url() -> _Form:
    query = request.query_string
    if not _MAY_SAY_FORM.search(query):
        return _PLAIN
    return _read_form(parse_qsl(query.decode("latin-1")))


def _read_form(given: Parameters) -> _Form:
    """Return what parameters say, of those that are right."""
    formats = _formats(given)
    return _Form(
        content_type=formats.pop() if len(formats) == 1 else None,
        is_pretty=("_pretty", "true") in given,
    )


def _formats(given: Parameters) -> set[str | None]:
    """Return the content type of each `_format`; None for one that there is not."""
    return {_of_format(value) for name, value in given if name == "_format" and value}


def _of_format(wanted: str) -> str | None:
    """Return the content type of a `_format`; None for any other."""
    # A decoded + in a query is a blank, but clients write fhir+json so.
    wanted = wanted.strip().replace(" ", "+")
    if wanted in ("json", "xml"):
        return _IN_JSON if wanted == "json" else _IN_XML
    media_type = MediaRange.parse(wanted)
    if not is_r4(media_type):
        return None
    if media_type.type in JSON_TYPES | _WILD:
        return _IN_JSON
    return _IN_XML if media_type.type in XML_TYPES else None


def _accepted() -> str | None:
    """Return the content type that the Accept header asks for; None for neither."""
    header: str = request.environ.get("HTTP_ACCEPT", "")
    # A client may have put personal data into any header of a write: no cache holds
    # them.
    is_memorable = request.method == "GET" and len(header) <= _MOST_MEMORABLE
    return (_of_known_accept if is_memorable else _of_accept)(header)


def _of_accept(header: str) -> str | None:
    best: dict[str, float] = {}
    any_is_named = False
    for member in list_members(header):
        any_is_named = True
        # Most media ranges are foreign, and cheap to skip.
        if member[0].strip().lower() not in _OURS:
            continue
        named = MediaRange.of_member(member)
        if is_r4(named):
            best[named.type] = max(named.quality, best.get(named.type, 0.0))
    if not any_is_named:
        return _IN_JSON
    others = _OTHER_XML
    if _PAGE in best:
        # A browser lists XML among its formats of pages, and shows JSON as well.
        others = frozenset()
    json = _quality(best, FHIR_JSON, _OTHER_JSON)
    xml = _quality(best, FHIR_XML, others)
    if not json and not xml:
        return None
    return _IN_XML if xml > json else _IN_JSON


_of_known_accept: Final = lru_cache(maxsize=_MOST_REMEMBERED)(_of_accept)


def _quality(best: dict[str, float], name: str, others: frozenset[str]) -> float:
    """Return how much a client wants a format, by its name and its other names."""
    # RFC 9110, 12.5.1: the most specific range decides.
    if name in best:
        return best[name]
    return max((best.get(each, 0.0) for each in others), default=0.0) or best.get(
        "application/*", best.get("*/*", 0.0)
    )


def _not_acceptable(parameter: str) -> Problem:
    return Problem(
        [
            Issue(
                code="not-supported",
                diagnostics=(
                    f"This server answers {FHIR_JSON} and {FHIR_XML}: ask for one of"
                    " them."
                ),
                parameter=parameter,
            )
        ],
        kind=ProblemKind.NOT_ACCEPTABLE,
    )
