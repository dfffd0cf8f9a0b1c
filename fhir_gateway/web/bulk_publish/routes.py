"""
`GET [base]/$bulk-publish`, and the files that its manifest names.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from flask import Response, request
from werkzeug.http import parse_date

from fhir_gateway.fhir.feed_line import SlotLines
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.timekeeping import http_date_text, instant_from_text
from fhir_gateway.web.bulk_publish.file_name import FileName
from fhir_gateway.web.bulk_publish.publication import Publication
from fhir_gateway.web.bulk_publish.publisher import PUBLISHED_EVERY, Publisher
from fhir_gateway.web.exchange import refuse_parameters
from fhir_gateway.web.field_value import MediaRange
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.precondition import if_none_match
from fhir_gateway.web.resource import Handling
from fhir_gateway.web.system_operation import SystemOperation

__all__ = ["bulk_publish"]

_NAME: Final = "bulk-publish"
_NDJSON: Final = "application/fhir+ndjson"
_LINES: Final = (
    *(_NDJSON, "application/ndjson", "application/x-ndjson"),
    "text/plain",
)
_JSON: Final = ("application/json", "application/fhir+json", "text/json")
_FORMAT: Final = frozenset({"_format"})


def bulk_publish(gateway: Gateway) -> SystemOperation:
    """Return the routes of the open feed."""
    routes = _Routes(gateway)
    return SystemOperation(
        name=_NAME,
        definition=_NAME,
        view=routes.manifest,
        parts={"/<id>": routes.file},
        # The making of a file takes a while, and so does the first manifest.
        handling=Handling(may_wait=True),
    )


class _Routes:
    """The manifest and the files."""

    def __init__(self, gateway: Gateway) -> None:
        self._is_open = gateway.is_open_data_public
        self._publisher = Publisher(
            gateway.slot_search,
            gateway.feed_files,
            partial(
                Publication,
                url=f"{gateway.base_url}/${_NAME}",
                vocabulary=gateway.vocabulary,
                lines=SlotLines(gateway.vocabulary, gateway.booking_link),
                is_open=self._is_open,
            ),
            clock=gateway.clock,
        )

    def manifest(self) -> Response:
        """Answer what the feed has now."""
        _check_accepts(_JSON, "json", "The manifest is JSON: ask for application/json.")
        refuse_parameters(allowed=_FORMAT | {"_since"})
        _check_since()
        publication = self._publisher.present()
        return self._answer(
            publication.manifest,
            etag=publication.etag,
            modified_at=publication.moment,
            headers={"Content-Type": "application/json"},
        )

    def file(self, id: str) -> Response:  # noqa: A002 - as in the other paths
        """
        Answer with a file.

        Raises:
            Problem: 404, 406.
            GatewayError: 503 while the file is not ready.
        """
        _check_accepts(_LINES, "ndjson", f"The files are {_NDJSON}: ask for that.")
        refuse_parameters(allowed=_FORMAT)
        publication = self._publisher.present()
        try:
            wanted = FileName.parse(id)
        except ValueError as error:
            raise _no_such_file() from error
        if not publication.has_source(wanted.source):
            raise _no_such_file()
        found = self._publisher.file(wanted)
        if found is None:
            # All of that week is taken by now, or the source is well again.
            return self._answer(
                b"",
                etag="0",
                modified_at=publication.moment,
                headers={"Content-Type": _NDJSON},
            )
        headers = {"Content-Type": _NDJSON}
        if request.accept_encodings["gzip"] <= 0:
            return self._answer(
                found.text,
                etag=found.etag,
                modified_at=found.modified_at,
                headers=headers,
            )
        return self._answer(
            found.body,
            etag=found.etag,
            modified_at=found.modified_at,
            headers={**headers, "Content-Encoding": "gzip"},
        )

    def _answer(
        self,
        body: bytes,
        *,
        etag: str,
        modified_at: datetime,
        headers: Mapping[str, str],
    ) -> Response:
        of_caches = "public" if self._is_open else "private"
        common = {
            "ETag": f'W/"{etag}"',
            "Last-Modified": http_date_text(modified_at),
            "Cache-Control": (
                f"{of_caches}, max-age={int(PUBLISHED_EVERY.total_seconds())}"
            ),
        }
        if _has(etag, modified_at):
            return Response(status=304, headers=common)
        return Response(body, headers={**headers, **common})


def _has(etag: str, modified_at: datetime) -> bool:
    """Return whether the client has this text already (RFC 9110, 13.2.2)."""
    known = if_none_match()
    if known is not None:
        return known.has(etag)
    since = parse_date(request.headers.get("If-Modified-Since"))
    # HTTP's dates have whole seconds.
    return since is not None and modified_at.astimezone(UTC).replace(
        microsecond=0
    ) <= since.astimezone(UTC)


def _check_since() -> None:
    """
    Check `_since`, a parameter of the manifest.

    The answer is the whole set in any case, as the guide allows: what is free no more
    would look like what has not changed.

    Raises:
        Problem: 400.
    """
    for text in request.args.getlist("_since"):
        # A + in a query is a blank.
        if text and instant_from_text(text.replace(" ", "+")) is None:
            raise Problem(
                [
                    Issue(
                        code="value",
                        diagnostics="_since must be an instant: 2026-11-28T12:00:00Z.",
                        parameter="_since",
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )


def _check_accepts(types: Collection[str], short: str, diagnostics: str) -> None:
    """
    Check that the client accepts one of some media types.

    As everywhere, `_format` overrides the Accept header.

    Args:
        types: The media types.
        short: What `_format` may name them.
        diagnostics: What to ask for instead.

    Raises:
        Problem: 406.
    """
    formats = [each for each in request.args.getlist("_format") if each]
    accepted = request.accept_mimetypes
    # A + in a query is a blank.
    if formats and all(
        MediaRange.parse(each.replace(" ", "+")).type in (short, *types)
        for each in formats
    ):
        return
    if not formats and (not accepted or any(accepted[each] > 0 for each in types)):
        return
    raise Problem(
        [
            Issue(
                code="not-supported",
                diagnostics=diagnostics,
                parameter="_format" if formats else "Accept",
            )
        ],
        kind=ProblemKind.NOT_ACCEPTABLE,
    )


def _no_such_file() -> Problem:
    return Problem(
        [
            Issue(
                code="not-found",
                diagnostics="There is no such file; the manifest names them.",
            )
        ],
        kind=ProblemKind.NOT_FOUND,
    )
