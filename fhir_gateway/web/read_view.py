"""
read and vread: one resource by its id (FHIR R4, 3.1.0.1, 3.1.0.2 and 3.1.0.5).

Regions keep no versions, and neither does this server. So the version of a resource is
a digest of its content: the same content has the same version in every process. The
ETag has it, and vread gives the present version alone. A search, which is to find the
same resource, has no version in it; so a read has none either.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import Response, current_app, request

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.timekeeping import http_date_text
from fhir_gateway.web.exchange import begin_read, fhir_response
from fhir_gateway.web.precondition import if_none_match

__all__ = ["BASE_URL", "ReadView", "no_such_version"]

BASE_URL = "FHIR_BASE_URL"
"""The key of the clients' base URL in the configuration of the application."""

_DIGEST_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadView:
    """
    The view that reads one resource, which is open data, by its id.

    Attributes:
        resource_type: Its type.
        find: Returns a resource by its id, or None.
        modified_at: When all resources of the type last changed, where that is known.
            A time at which a source answered is no such time: what this server knows
            beside it changes the resource too.
        gone: Returns why a resource that was not found will never be there again; None
            where nobody knows that.
    """

    resource_type: str
    find: Callable[[str], dict[str, Any] | None]
    modified_at: datetime | None = None
    gone: Callable[[str], str | None] | None = None

    def __call__(self, id: str, version: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        begin_read()
        resource = self.find(id)
        if resource is None:
            raise self._not_found(id)
        present = _version_of(resource)
        if version not in (None, present):
            raise no_such_version(self.resource_type)
        headers = {
            "ETag": f'W/"{present}"',
            "Cache-Control": "no-cache",
            "Content-Location": (
                f"{current_app.config[BASE_URL]}/{self.resource_type}/{resource['id']}"
            ),
        }
        if self.modified_at is not None:
            headers["Last-Modified"] = http_date_text(self.modified_at)
        if self._is_known(present):
            return Response(status=304, headers=headers)
        if version is not None:
            resource = _with_version(resource, present)
        return fhir_response(resource, headers=headers)

    def _not_found(self, id: str) -> Problem:  # noqa: A002 - the name in FHIR's URL
        why = None if self.gone is None else self.gone(id)
        diagnostics = why or f"There is no such {self.resource_type}."
        return Problem(
            [Issue(code="not-found", diagnostics=diagnostics)],
            kind=ProblemKind.NOT_FOUND if why is None else ProblemKind.GONE,
        )

    def _is_known(self, present: str) -> bool:
        """Return whether the client has this version (RFC 9110, 13.2.2)."""
        known = if_none_match()
        if known is not None:
            return known.has(present)
        since = request.if_modified_since
        return (
            since is not None
            and self.modified_at is not None
            and self.modified_at.replace(microsecond=0) <= since
        )


def no_such_version(resource_type: str) -> Problem:
    """Return the answer to a vread of another version than the present one."""
    return Problem(
        [
            Issue(
                code="not-found",
                diagnostics=(
                    "This server keeps no old versions, and this is not the present"
                    f" one: read the {resource_type} by its id, without _history."
                ),
            )
        ],
        kind=ProblemKind.NOT_FOUND,
    )


def _version_of(resource: dict[str, Any]) -> str:
    content = orjson.dumps(resource)
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _with_version(resource: dict[str, Any], version: str) -> dict[str, Any]:
    # In the usual order: the version stands behind the id.
    head = {name: resource[name] for name in ("resourceType", "id")}
    meta = {"versionId": version, **resource.get("meta", {})}
    return head | {"meta": meta} | {k: resource[k] for k in resource if k != "meta"}
