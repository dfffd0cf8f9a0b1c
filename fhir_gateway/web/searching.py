"""
The common parts of searches: reading parameters, self and next links, pages.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from flask import request

from fhir_gateway.fhir.outcome import Faults, Issue, Problem, ProblemKind, Severity
from fhir_gateway.fhir.search_parameters import (
    Choice,
    Count,
    IncludeParameter,
    Opaque,
    Token,
    UriParameter,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
    Understood,
    check_size,
    query_text,
    understand,
    without_empty,
)
from fhir_gateway.fhir.subset import WHOLE, Subset, Summary
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.ids import SourceName
from fhir_gateway.web.answer_form import (
    SEARCH_FORM_PARAMETERS,
    check_accept_header,
    remember_subset,
    subset_of_request,
)
from fhir_gateway.web.exchange import (
    parameters_of_request,
    preferences,
)
from fhir_gateway.web.personal_text import has_personal_number

__all__ = [
    "DEFAULT_COUNT",
    "can_be_found",
    "count_parameter",
    "cursor_parameter",
    "cursor_text",
    "include_iterate_parameter",
    "include_parameter",
    "names_others",
    "next_url",
    "self_url",
    "source_parameter",
    "sources_from_uris",
    "text_of_cursor",
    "total_parameter",
    "understood_search",
    "unknown_issues",
]

DEFAULT_COUNT: Final = 20
_MOST: Final = 1000
_MOST_REMEMBERED: Final = 1024
# Bytes of a query: the queries that clients repeat are short.
_MOST_MEMORABLE: Final = 512


Q = TypeVar("Q")
Groups = Iterable[tuple[Token, ...]]
"""The value of a token parameter: groups; of each group one token has to fit."""


def count_parameter() -> Count:
    """Return the declaration of `_count`."""
    return Count(most=_MOST, data_key="_count")


def cursor_parameter(place: Callable[[str], Any]) -> Opaque:
    """
    Return the declaration of the place where a `next` link continues.

    Args:
        place: Returns the place in a text; raises ValueError for any other text.
    """
    return Opaque(data_key="_cursor", read=lambda text: place(text_of_cursor(text)))


def total_parameter() -> Choice:
    """Return the declaration of `_total`."""
    return Choice(of=("none", "estimate", "accurate"), data_key="_total")


def include_parameter() -> IncludeParameter:
    """Return the declaration of `_include`."""
    return IncludeParameter(data_key="_include")


def include_iterate_parameter() -> IncludeParameter:
    """Return the declaration of `_include:iterate`."""
    return IncludeParameter(data_key="_include:iterate")


def source_parameter() -> UriParameter:
    """Return the declaration of `_source`: the region, as `meta.source` names it."""
    return UriParameter(
        data_key="_source",
        definition="http://hl7.org/fhir/SearchParameter/Resource-source",
        documentation="The region: what meta.source says of it.",
    )


def sources_from_uris(
    groups: tuple[frozenset[str], ...], vocabulary: Vocabulary
) -> tuple[frozenset[SourceName], ...]:
    """Return the sources in values of `_source`; other URIs give none."""
    return tuple(
        frozenset(
            source
            for uri in group
            if (source := vocabulary.source_of_uri(uri)) is not None
        )
        for group in groups
    )


def understood_search(schema: SearchSchema[Q], base_url: str) -> Understood[Q]:
    """
    Return the search of the present request.

    Args:
        schema: The schema of its parameters.
        base_url: What absolute references to this server begin with.

    Raises:
        Problem: 400, 406 or 415.
    """
    lenient = preferences().lenient
    asked = (request.query_string, lenient, base_url)
    is_memorable = (
        request.method != "POST"
        and not schema.is_personal
        and len(request.query_string) <= _MOST_MEMORABLE
    )
    if is_memorable and (known := schema.understood.get(asked)) is not None:
        check_accept_header()
        if known.subset is not WHOLE:
            remember_subset(known.subset)
        return known
    given = parameters_of_request(is_personal=schema.is_personal)
    if request.method == "POST" and not schema.is_personal:
        _refuse_personal(given)
    of_form = [pair for pair in given if pair[0] in SEARCH_FORM_PARAMETERS]
    if of_form:
        understood = _in_form(schema, given, of_form, base_url, lenient=lenient)
    else:
        understood = _understood(schema, given, base_url, lenient=lenient)
    # With _format, the Accept header does not count.
    if is_memorable and not any(name == "_format" for name, _ in of_form):
        if len(schema.understood) >= _MOST_REMEMBERED:
            schema.understood.clear()
        schema.understood[asked] = understood
    return understood


def _understood(
    schema: SearchSchema[Q],
    given: Sequence[tuple[str, str]],
    base_url: str,
    *,
    lenient: bool,
) -> Understood[Q]:
    kept = without_empty(given, schema)
    if len(kept) < len(given):
        # The empty ones count too.
        check_size(given)
    return understand(schema, kept, lenient=lenient, base_url=base_url)


def _in_form(
    schema: SearchSchema[Q],
    given: Sequence[tuple[str, str]],
    of_form: Sequence[tuple[str, str]],
    base_url: str,
    *,
    lenient: bool,
) -> Understood[Q]:
    """
    Return a search of which the answer has a form of its own.

    Its links repeat the parameters of the form, so that the next page has it too.
    """
    check_size(given)
    subset = WHOLE
    faults = Faults()
    with faults:
        subset = subset_of_request(of_form, is_search=True)
    searched = [pair for pair in given if pair[0] not in SEARCH_FORM_PARAMETERS]
    if subset.summary is Summary.COUNT and "_count" in schema.by_name:
        searched = [pair for pair in searched if pair[0] != "_count"]
        searched.append(("_count", "0"))
    with faults:
        _refuse_includes(subset, searched)
    with faults:
        understood = _understood(schema, searched, base_url, lenient=lenient)
    faults.check()
    remember_subset(subset)
    shown = tuple(
        pair
        for pair in (*understood.parameters, *of_form)
        # A count alone has no pages.
        if pair[1] and not (pair[0] == "_count" and subset.summary is Summary.COUNT)
    )
    return replace(understood, parameters=shown, text=query_text(shown), subset=subset)


def _refuse_includes(subset: Subset, searched: Iterable[tuple[str, str]]) -> None:
    """
    Refuse _include and _revinclude with _summary=text (FHIR R4, 3.1.1.5.4).

    Raises:
        Problem: 400.
    """
    if subset.summary is Summary.TEXT and any(
        name.startswith(("_include", "_revinclude")) for name, _ in searched
    ):
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=(
                        "_summary=text has no included resources: leave _include and"
                        " _revinclude out, or ask for _summary=data."
                    ),
                    parameter="_summary",
                )
            ],
            kind=ProblemKind.MALFORMED,
        )


def _refuse_personal(given: Iterable[tuple[str, str]]) -> None:
    """
    Refuse a personal number in a form: the answer's links would repeat it.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    if any(has_personal_number(f"{name}={value}") for name, value in given):
        raise Problem(
            [
                Issue(
                    code="security",
                    diagnostics=(
                        "A personal number must not be in this search: the links of the"
                        " answer, which are URLs, would repeat it."
                    ),
                )
            ],
            kind=ProblemKind.MALFORMED,
        )


def unknown_issues(
    unknown: Iterable[str], parameters: Mapping[str, str]
) -> list[Issue]:
    """
    Return an issue for each unknown name or code in a search.

    Args:
        unknown: The selector's attributes with unknown values.
        parameters: The client's parameter for each of them.
    """
    return [
        Issue(
            severity=Severity.WARNING,
            code="not-found",
            error_code=ErrorCode.NOT_FOUND,
            diagnostics=(
                f"{parameters[name]}: this server does not know that name or code, so"
                " the search finds nothing."
            ),
            parameter=parameters[name],
        )
        for name in unknown
    ]


def can_be_found(groups: Groups, codes: Container[str]) -> bool:
    """Return whether each group has a code that this server can find."""
    return all(any(token.code in codes for token in group) for group in groups)


def names_others(groups: Groups, codes: Container[str]) -> bool:
    """Return whether a group has a code that this server never finds."""
    return any(token.code not in codes for group in groups for token in group)


def self_url(resource_type: str, base_url: str, understood: Understood[Any]) -> str:
    """Return the URL of a search as this server understood it."""
    return _url(resource_type, base_url, understood.text)


def next_url(
    resource_type: str, base_url: str, understood: Understood[Any], cursor: str
) -> str:
    """Return the URL of the next page."""
    kept = [
        part
        for part in understood.text.split("&")
        if part and not part.startswith("_cursor=")
    ]
    return _url(resource_type, base_url, "&".join([*kept, f"_cursor={cursor}"]))


def _url(resource_type: str, base_url: str, query: str) -> str:
    return f"{base_url}/{resource_type}" + (f"?{query}" if query else "")


def cursor_text(place: str) -> str:
    """Return a place as a cursor for clients."""
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def text_of_cursor(cursor: str) -> str:
    """
    Return the place in a client's cursor.

    Raises:
        ValueError: The text is no cursor.
    """
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
