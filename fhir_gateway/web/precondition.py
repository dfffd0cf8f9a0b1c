"""
Preconditions: `If-Match` and `If-None-Match` (RFC 9110, 13.1.1 and 13.1.2).

A version is W/"2" here (FHIR R4, 3.1.0.5). R4's clients send that weak ETag back in
`If-Match`, so this module compares tags weakly: "2" is version 2 as well.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from flask import request

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.errors import Stale

__all__ = [
    "EntityTags",
    "Precondition",
    "if_none_match",
    "precondition",
    "refuse_precondition",
]

_UNMODIFIED_SINCE: Final = "If-Unmodified-Since"

# RFC 9110, 8.8.3. Header bytes arrive as characters of Latin-1.
_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
# RFC 9110, 5.6.1: empty members of a list are ignored.
_BETWEEN: Final = re.compile(r"[ \t]*+(?:,[ \t]*+)*+")
# Apache, nginx modules and Jetty append these to the tag of a compressed answer.
_COMPRESSED: Final = re.compile(r"--?(?:gzip|br|zstd|deflate)\Z")
# No appointment has this version: versions begin with 1.
_NO_VERSION: Final = 0


@dataclass(frozen=True, slots=True)
class EntityTags:
    """
    The entity tags of such a header.

    Attributes:
        tags: The opaque tags, without the suffix of a proxy's compression; None for
            `*`, which matches any.
    """

    tags: frozenset[str] | None

    @classmethod
    def parse(cls, header: str) -> Self:
        """
        Return the tags of a header.

        Raises:
            ValueError: It is neither `*` nor a list of one or more entity tags.
        """
        if header.strip(" \t") == "*":
            return cls(None)
        tags = set()
        position = _end(_BETWEEN, header, 0)
        while position < len(header):
            tag = _TAG.match(header, position)
            if tag is None:
                raise ValueError("not a list of entity tags")
            tags.add(_COMPRESSED.sub("", tag[1]))
            position = _end(_BETWEEN, header, tag.end())
            if position < len(header) and "," not in header[tag.end() : position]:
                raise ValueError("two entity tags without a comma between them")
        if not tags:
            raise ValueError("no entity tag")
        return cls(frozenset(tags))

    def has(self, tag: str) -> bool:
        """Return whether it lists a tag, weak or strong."""
        return self.tags is None or tag in self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """
    The versions of a resource that a request may change.

    Attributes:
        match: The tags of `If-Match`; None where the header is absent.
        none_match: The tags of `If-None-Match`; None where the header is absent.
    """

    match: EntityTags | None = None
    none_match: EntityTags | None = None

    def check(self, present: int) -> None:
        """
        Check that the present version may be changed.

        Raises:
            Stale: It may not.
        """
        if self.version(present) == _NO_VERSION:
            raise Stale("The appointment has changed since you read it; read it again.")

    def version(self, present: int) -> int | None:
        """
        Return the only version that the request may change; None for any.

        When `If-Match` does not list the present version, it is a version that no
        appointment has: a change then finds it stale, unless there is nothing to
        change.

        Raises:
            Stale: `If-None-Match` lists the present version.
        """
        if self.none_match is not None and self.none_match.has(str(present)):
            raise Stale(
                "The appointment is in a version that If-None-Match excludes; read it"
                " again."
            )
        if self.match is None or self.match.tags is None:
            return None
        return present if self.match.has(str(present)) else _NO_VERSION


def precondition() -> Precondition:
    """
    Return the request's precondition on the version that it changes.

    Raises:
        Problem: 400 when a header is malformed, or states only a time: a time cannot
            distinguish two changes within one second.
    """
    headers = {"If-Match": _read("If-Match"), "If-None-Match": _read("If-None-Match")}
    malformed = [
        _malformed(name)
        for name, found in headers.items()
        if isinstance(found, ValueError)
    ]
    # RFC 9110, 13.1.4: beside If-Match it is ignored.
    if _UNMODIFIED_SINCE in request.headers and "If-Match" not in request.headers:
        malformed.append(
            Issue(
                code="not-supported",
                diagnostics=(
                    f"{_UNMODIFIED_SINCE} is not supported: send the ETag that you have"
                    " read as If-Match."
                ),
                parameter=_UNMODIFIED_SINCE,
            )
        )
    if malformed:
        raise Problem(malformed, kind=ProblemKind.MALFORMED)
    match, none_match = (
        found if isinstance(found, EntityTags) else None for found in headers.values()
    )
    return Precondition(match=match, none_match=none_match)


def refuse_precondition() -> None:
    """
    Refuse each precondition of a create: no version exists yet.

    Raises:
        Problem: 400.
    """
    given = [
        name
        for name in ("If-Match", "If-None-Match", _UNMODIFIED_SINCE)
        if name in request.headers
    ]
    if given:
        raise Problem(
            [
                Issue(
                    code="not-supported",
                    diagnostics=(
                        f"{name} is for requests that change an Appointment: leave it"
                        " out. To create one only once, send Idempotency-Key or"
                        " If-None-Exist."
                    ),
                    parameter=name,
                )
                for name in given
            ],
            kind=ProblemKind.MALFORMED,
        )


def if_none_match() -> EntityTags | None:
    """
    Return the tags of a read's `If-None-Match`; None where it is absent.

    Of a POST it is None: the header is for GET and HEAD there (RFC 9110, 13.1.2).

    Raises:
        Problem: 400 when it is malformed.
    """
    if request.method == "POST":
        return None
    found = _read("If-None-Match")
    if isinstance(found, ValueError):
        raise Problem([_malformed("If-None-Match")], kind=ProblemKind.MALFORMED)
    return found


def _malformed(name: str) -> Issue:
    return Issue(
        code="value",
        diagnostics=(
            f'{name} must be *, or ETags as they were read, such as W/"1", separated by'
            " commas."
        ),
        parameter=name,
    )


def _read(name: str) -> EntityTags | ValueError | None:
    header = request.headers.get(name)
    if header is None:
        return None
    try:
        return EntityTags.parse(header)
    except ValueError as error:
        return error


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()
