"""
What clients call their requests, so that a repeat gets the answer of the first.

A key is begun when its request is, taken up by the write intent that the request leads
to, and closed with the answer once that is final. Neither key, body nor answer stands
here in clear text.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.stores.database import Database, database_clock, lock_until_commit
from fhir_gateway.stores.journal.claim_steps import from_now
from fhir_gateway.stores.journal.records import (
    WriteIntent,
    WriteState,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, intents, requests
from fhir_gateway.stores.sealing import Seal

__all__ = ["Requests", "refuse_repeat", "take_up"]

# What a keyed hash is of.
_KEY: Final = "request key"
_FINGERPRINT: Final = "request fingerprint"

_KEPT_FOR: Final = timedelta(hours=24)


class Requests:
    """
    The clients' request keys.

    Args:
        database: Where they are.
        seal: Hashes keys and encrypts answers.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def begin(
        self, request: RequestKey, *, lease: timedelta, after_no: bool = False
    ) -> None:
        """
        Say that a request is being worked at.

        A key whose worker was lost before it led to an intent is begun anew.

        Args:
            request: What the client calls it.
            lease: How long the worker may take.
            after_no: Begin it anew as well where it is certain that nothing came of
                what it had decided.

        Raises:
            RepeatedRequest: The key has been used before.
        """
        with self._database.writing() as connection:
            _lock(connection, request)
            connection.execute(
                delete(requests).where(
                    *_is(request, self._seal),
                    requests.c.keep_until <= database_clock(),
                )
            )
            row = _row(connection, self._seal, request)
            if row is None:
                _insert(connection, self._seal, request, lease, None)
                return
            if row.intent is None and row.answer_sealed is None:
                is_same = _is_same(row, request, self._seal)
                if is_same and not row.is_running:
                    connection.execute(
                        update(requests)
                        .where(*_is(request, self._seal))
                        .values(lease_until=from_now(lease))
                    )
                    return
            if after_no and _came_to_nothing(row):
                connection.execute(delete(requests).where(*_is(request, self._seal)))
                _insert(connection, self._seal, request, lease, None)
                return
            raise _repeated(row, request, self._seal)

    def close(
        self, request: RequestKey, answer: RecordedAnswer, *, visit: datetime | None
    ) -> None:
        """
        Keep the final answer to a request, until the visit is 24 h past.

        Args:
            request: What the client calls it.
            answer: What it was answered.
            visit: When the appointment begins; None when the request came to none.
        """
        with self._database.writing() as connection:
            connection.execute(
                update(requests)
                .where(*_is(request, self._seal))
                .values(
                    answer_sealed=self._seal.seal(
                        {
                            "status": str(answer.status),
                            "headers": json.dumps(answer.headers),
                            "body": answer.body,
                            "booking": answer.booking or "",
                            "standing": answer.standing,
                        }
                    ),
                    lease_until=database_clock(),
                    keep_until=_later(connection, visit),
                )
            )

    def leave_open(self, request: RequestKey, *, visit: datetime) -> None:
        """Say that a request's outcome is unknown yet: its repeats will find it out."""
        with self._database.writing() as connection:
            connection.execute(
                update(requests)
                .where(*_is(request, self._seal))
                .values(
                    lease_until=database_clock(), keep_until=_later(connection, visit)
                )
            )

    def forget(self, request: RequestKey) -> None:
        """
        Let a request be made anew: nothing came of it, and nothing was sent.

        One whose intent may have been sent is left open instead.
        """
        with self._database.writing() as connection:
            connection.execute(
                delete(requests).where(
                    *_is(request, self._seal),
                    or_(
                        requests.c.intent.is_(None),
                        exists().where(
                            intents.c.id == requests.c.intent,
                            intents.c.state == NOT_DONE,
                        ),
                    ),
                )
            )
            connection.execute(
                update(requests)
                .where(*_is(request, self._seal))
                .values(lease_until=database_clock())
            )

    def purge(self) -> int:
        """Delete the keys that have been kept for long enough; return how many."""
        with self._database.writing() as connection:
            return connection.execute(
                delete(requests).where(requests.c.keep_until <= database_clock())
            ).rowcount


def refuse_repeat(
    connection: Connection, seal: Seal, request: RequestKey | None
) -> None:
    """
    Refuse a request whose key has led to an intent; keep its repeats waiting.

    Raises:
        RepeatedRequest: It has.
    """
    if request is None:
        return
    _lock(connection, request)
    row = _row(connection, seal, request)
    if row is not None and (
        row.intent is not None
        or row.answer_sealed is not None
        or not _is_same(row, request, seal)
    ):
        raise _repeated(row, request, seal)


def take_up(
    connection: Connection, seal: Seal, request: RequestKey | None, intent: WriteIntent
) -> None:
    """Note which intent a request led to, in the transaction that makes it."""
    if request is None:
        return
    taken = connection.execute(
        update(requests).where(*_is(request, seal)).values(intent=intent.id)
    )
    if taken.rowcount == 0:
        _insert(connection, seal, request, timedelta(), intent.id)


def _insert(
    connection: Connection,
    seal: Seal,
    request: RequestKey,
    lease: timedelta,
    intent: str | None,
) -> None:
    connection.execute(
        insert(requests).values(
            client=request.client,
            key_hmac=seal.lookup(_KEY, request.key),
            fingerprint_hmac=seal.lookup(_FINGERPRINT, request.fingerprint),
            intent=intent,
            created_at=database_clock(),
            lease_until=from_now(lease),
            keep_until=from_now(_KEPT_FOR),
        )
    )


def _lock(connection: Connection, request: RequestKey) -> None:
    lock_until_commit(connection, f"request {request.client} {request.key}")


def _is(request: RequestKey, seal: Seal) -> tuple[Any, ...]:
    return (
        requests.c.client == request.client,
        requests.c.key_hmac.in_(seal.lookups(_KEY, request.key)),
    )


def _row(connection: Connection, seal: Seal, request: RequestKey) -> Row[Any] | None:
    return connection.execute(
        select(
            requests,
            intents.c.booking,
            intents.c.state.label("intent_state"),
            (requests.c.lease_until > database_clock()).label("is_running"),
        )
        .outerjoin(intents, intents.c.id == requests.c.intent)
        .where(*_is(request, seal))
    ).first()


def _is_same(row: Row[Any], request: RequestKey, seal: Seal) -> bool:
    return row.fingerprint_hmac in seal.lookups(_FINGERPRINT, request.fingerprint)


def _came_to_nothing(row: Row[Any]) -> bool:
    return (
        row.answer_sealed is None
        and not row.is_running
        and row.intent_state in (NOT_DONE, WriteState.REFUSED.value)
    )


def _repeated(row: Row[Any], request: RequestKey, seal: Seal) -> RepeatedRequest:
    if not _is_same(row, request, seal):
        return RepeatedRequest(is_same=False, booking=row.booking)
    answer = None
    if row.answer_sealed is not None:
        kept = seal.unseal(row.answer_sealed)
        answer = RecordedAnswer(
            status=int(kept["status"]),
            headers=json.loads(kept["headers"]),
            body=kept["body"],
            # The release before has written neither.
            booking=kept.get("booking") or None,
            standing=kept.get("standing", ""),
        )
    return RepeatedRequest(
        is_same=True,
        booking=row.booking,
        intent=row.intent,
        answer=answer,
        is_running=bool(row.is_running),
    )


def _later(connection: Connection, visit: datetime | None) -> Any:  # noqa: ANN401 - an SQL expression or a number
    soonest = from_now(_KEPT_FOR)
    if visit is None:
        return soonest
    after = visit.timestamp() + _KEPT_FOR.total_seconds()
    # SQLite's greatest() is called max().
    greatest = func.max if connection.dialect.name == "sqlite" else func.greatest
    return greatest(soonest, after)
