"""
Anchors: where the chain of audit rows starts and ends.

The start is the last row that housekeeping removed, and the head is the newest row.
"""

import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, Self

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.stores.audit.tables import anchors, events
from fhir_gateway.stores.database import database_clock, lock_until_commit
from fhir_gateway.stores.sealing import Seal

__all__ = ["ORIGIN", "AnchorKind", "Anchors", "ChainBroken", "Link"]

# Made once: each request about a person runs these.
_LOCK: Final = (
    select(anchors, database_clock().label("moment"))
    .where(anchors.c.kind == bindparam("of"))
    .with_for_update()
)
_MOVE: Final = (
    update(anchors)
    .where(anchors.c.kind == bindparam("of"))
    .values({name: bindparam(name) for name in ("sequence", "hash", "hash_hmac")})
)
_LINK: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class ChainBroken(GatewayError):
    """
    Somebody has changed the anchors of the audit trail: it takes no more rows.

    `fhir-gateway audit verify` shows more, and docs/running.md says what to do.
    """

    default_message: ClassVar[str] = (
        "The audit trail was changed by somebody else; see docs/running.md."
    )

    def __init__(self) -> None:
        super().__init__(self.default_message)


class AnchorKind(Enum):
    """START stands before the first row, HEAD on the last."""

    START = "START"
    HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class Link:
    """
    A place in the chain.

    Attributes:
        sequence: Of the row there; 0 before the first row ever.
        hash: The row's.
    """

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the link that `str` wrote.

        Raises:
            ValueError: It has another form.
        """
        match = _LINK.fullmatch(text)
        if match is None:
            raise ValueError("expected a row's number, a colon and its 64 hex digits")
        return cls(int(match[1]), match[2])


ORIGIN: Final = Link(0, "0" * 64)
"""The place before the first row ever."""


class Anchors:
    """
    Reads and moves the anchors, and signs them.

    Args:
        seal: The keys that sign.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def lock_head(self, connection: Connection) -> tuple[Link, float]:
        """
        Return the head and the time, and let nobody else move it until the commit.

        An empty trail gets its anchors.

        Raises:
            ChainBroken: The head is missing, or not signed by this server.
        """
        head = self._lock(connection, AnchorKind.HEAD)
        if head is None:
            # Two at once: both find nothing, and the second waits here for the first.
            lock_until_commit(connection, "audit trail")
            head = self._lock(connection, AnchorKind.HEAD)
        if head is None:
            if self._is_used(connection):
                raise ChainBroken
            for kind in AnchorKind:
                connection.execute(
                    insert(anchors).values(kind=kind.value, **self.signed(kind, ORIGIN))
                )
            head = self._lock(connection, AnchorKind.HEAD)
        return self._checked(AnchorKind.HEAD, head), head.moment if head else 0.0

    def lock_start(self, connection: Connection) -> Link | None:
        """
        Return the start, locked until the commit; None where there is no trail yet.

        Raises:
            ChainBroken: It is not signed by this server.
        """
        start = self._lock(connection, AnchorKind.START)
        return None if start is None else self._checked(AnchorKind.START, start)

    def move(self, connection: Connection, kind: AnchorKind, to: Link) -> None:
        """Store and sign a new place of an anchor."""
        connection.execute(_MOVE, {"of": kind.value, **self.signed(kind, to)})

    def put(self, connection: Connection, kind: AnchorKind, to: Link) -> None:
        """Store and sign an anchor that may be missing."""
        found = select(anchors.c.kind).where(anchors.c.kind == kind.value)
        if connection.execute(found).first() is None:
            connection.execute(
                insert(anchors).values(kind=kind.value, **self.signed(kind, to))
            )
        else:
            self.move(connection, kind, to)

    def signed(self, kind: AnchorKind, link: Link) -> dict[str, Any]:
        """Return the columns of a signed anchor, without its kind."""
        return {
            "sequence": link.sequence,
            "hash": link.hash,
            "hash_hmac": self._seal.lookup(_purpose(kind), str(link)),
        }

    def is_signed(self, kind: AnchorKind, link: Link, signature: str) -> bool:
        """Return whether this server signed an anchor, with any of its keys."""
        return is_hmac(self._seal, _purpose(kind), str(link), signature)

    def _checked(self, kind: AnchorKind, row: Row[Any] | None) -> Link:
        if row is None:
            raise ChainBroken
        link = Link(row.sequence, row.hash)
        if not self.is_signed(kind, link, row.hash_hmac):
            raise ChainBroken
        return link

    def _lock(self, connection: Connection, kind: AnchorKind) -> Row[Any] | None:
        return connection.execute(_LOCK, {"of": kind.value}).one_or_none()

    def _is_used(self, connection: Connection) -> bool:
        rows = select(func.count()).select_from(anchors)
        return (
            connection.execute(select(events.c.sequence).limit(1)).first() is not None
            or connection.execute(rows).scalar_one() > 0
        )


def is_hmac(seal: Seal, purpose: str, text: str, signature: str) -> bool:
    """Return whether one of this server's keys made a keyed hash."""
    return any(
        hmac.compare_digest(each.encode(), signature.encode())
        for each in seal.lookups(purpose, text)
    )


def _purpose(kind: AnchorKind) -> str:
    return f"audit {kind.value}"
