"""
Searchset bundles (FHIR R4, 3.1.1.3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import uuid4

import orjson

from fhir_gateway.fhir.outcome import Issue, operation_outcome

__all__ = ["Entry", "Mode", "rendered_entry", "rendered_searchset", "searchset"]


class Mode(Enum):
    """SearchEntryMode."""

    MATCH = "match"
    INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource in a searchset."""

    resource: dict[str, Any]
    mode: Mode = Mode.MATCH


def searchset(
    entries: Iterable[Entry],
    *,
    base_url: str,
    self_url: str,
    next_url: str | None = None,
    total: int | None = None,
    issues: Sequence[Issue] = (),
) -> dict[str, Any]:
    """
    Return a searchset.

    Args:
        entries: Matches, then included resources.
        base_url: The server's FHIR base.
        self_url: The search as this server understood it.
        next_url: The next page, if there is one.
        total: How many match in all; None when that is not known.
        issues: What is missing or was left out; they become one `outcome` entry.
    """
    link = [{"relation": "self", "url": self_url}]
    if next_url is not None:
        link.append({"relation": "next", "url": next_url})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = link
    entry = [_entry(each, base_url) for each in entries]
    if issues:
        entry.append(
            {
                "fullUrl": f"urn:uuid:{uuid4()}",
                "resource": operation_outcome(issues),
                "search": {"mode": "outcome"},
            }
        )
    if entry:
        bundle["entry"] = entry
    return bundle


def rendered_entry(entry: Entry, base_url: str) -> bytes:
    """Return an entry of a bundle."""
    return orjson.dumps(_entry(entry, base_url))


def rendered_searchset(
    entries: Iterable[bytes],
    *,
    self_url: str,
    next_url: str | None = None,
    total: int | None = None,
    issues: Sequence[Issue] = (),
) -> bytes:
    """Return a searchset of rendered entries; otherwise like `searchset`."""
    bundle = searchset(
        (),
        base_url="",
        self_url=self_url,
        next_url=next_url,
        total=total,
        issues=issues,
    )
    rendered = [*entries, *(orjson.dumps(each) for each in bundle.pop("entry", ()))]
    head = orjson.dumps(bundle)
    if not rendered:
        return head
    # Joined once: a page with its included resources is a quarter of a megabyte.
    rendered[0] = b'%s,"entry":[%s' % (head[:-1], rendered[0])
    rendered[-1] += b"]}"
    return b",".join(rendered)


def _entry(entry: Entry, base_url: str) -> dict[str, Any]:
    resource = entry.resource
    return {
        "fullUrl": f"{base_url}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": entry.mode.value},
    }
