"""
Request keys of clients: a repeated request gets the answer of the first one.

A key begins with its request, is linked to the write intent that the request leads to,
and is closed with the final answer. Key, body and answer are stored hashed or sealed.
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

__all__ = ["Requests", "link_request", "refuse_repeat"]

# What is hashed: the purpose of each keyed hash.
_CLIENT: Final = "request client"
_KEY: Final = "request key"
_FINGERPRINT: Final = "request fingerprint"
_LOCK: Final = "request lock"

_KEPT_FOR: Final = timedelta(hours=24)


class Requests:
    """
    Stores the clients' request keys and the answers.

    Args:
        database: Where the journal is.
        seal: Hashes keys and encrypts answers.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def begin(
        self, request: RequestKey, *, lease: timedelta, again_if_not_done: bool = False
    ) -> None:
        """
        Record that a request is in progress.

        A key begins again if its process died before the request led to an intent.

        Args:
            request: The client's key.
            lease: How long the process may take.
            again_if_not_done: Begin again, too, if its write was certainly not done.

        Raises:
            RepeatedRequest: The key has been used before.
        """
        with self._database.writing() as connection:
            _lock(connection, self._seal, request)
            connection.execute(
                delete(requests).where(
                    *_is_of_key(request, self._seal),
                    requests.c.keep_until <= database_clock(),
                )
            )
            row = _find_row(connection, self._seal, request)
            if row is None:
                _insert(connection, self._seal, request, lease, None)
                return
            if row.intent is None and row.answer_sealed is None:
                is_same = _is_same(row, request, self._seal)
                if is_same and not row.is_running:
                    connection.execute(
                        update(requests)
                        .where(*_is_of_key(request, self._seal))
                        .values(lease_until=from_now(lease))
                    )
                    return
            if again_if_not_done and _was_not_carried_out(row):
                connection.execute(
                    delete(requests).where(*_is_of_key(request, self._seal))
                )
                _insert(connection, self._seal, request, lease, None)
                return
            raise _repeated_request(row, request, self._seal)

    def close(
        self, request: RequestKey, answer: RecordedAnswer, *, visit: datetime | None
    ) -> None:
        """
        Store the final answer to a request, until 24 h after the visit.

        Args:
            request: The client's key.
            answer: The answer that the client got.
            visit: When the appointment begins; None if the request led to none.
        """
        with self._database.writing() as connection:
            connection.execute(
                update(requests)
                .where(*_is_of_key(request, self._seal))
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
                    keep_until=_keep_until(connection, visit),
                )
            )

    def leave_open(self, request: RequestKey, *, visit: datetime) -> None:
        """Record that a request's outcome is not known yet: its repeats look it up."""
        with self._database.writing() as connection:
            connection.execute(
                update(requests)
                .where(*_is_of_key(request, self._seal))
                .values(
                    lease_until=database_clock(),
                    keep_until=_keep_until(connection, visit),
                )
            )

    def forget(self, request: RequestKey) -> None:
        """
        Delete the key of a request that sent nothing, so that it can begin again.

        If its intent may have been sent, the key is left open instead.
        """
        with self._database.writing() as connection:
            connection.execute(
                delete(requests).where(
                    *_is_of_key(request, self._seal),
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
                .where(*_is_of_key(request, self._seal))
                .values(lease_until=database_clock())
            )

    def purge(self) -> int:
        """Delete the expired keys; return how many."""
        with self._database.writing() as connection:
            return connection.execute(
                delete(requests).where(requests.c.keep_until <= database_clock())
            ).rowcount


def refuse_repeat(
    connection: Connection, seal: Seal, request: RequestKey | None
) -> None:
    """
    Refuse a request if its key has led to an intent; lock the key until commit.

    Raises:
        RepeatedRequest: The key has led to an intent or an answer, or belongs to
            another request.
    """
    if request is None:
        return
    _lock(connection, seal, request)
    row = _find_row(connection, seal, request)
    if row is not None and (
        row.intent is not None
        or row.answer_sealed is not None
        or not _is_same(row, request, seal)
    ):
        raise _repeated_request(row, request, seal)


def link_request(
    connection: Connection, seal: Seal, request: RequestKey | None, intent: WriteIntent
) -> None:
    """Link a request's key to its intent, in the transaction of the intent."""
    if request is None:
        return
    taken = connection.execute(
        update(requests).where(*_is_of_key(request, seal)).values(intent=intent.id)
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
            client=seal.lookup(_CLIENT, request.client),
            key_hmac=seal.lookup(_KEY, request.key),
            fingerprint_hmac=seal.lookup(_FINGERPRINT, request.fingerprint),
            intent=intent,
            created_at=database_clock(),
            lease_until=from_now(lease),
            keep_until=from_now(_KEPT_FOR),
        )
    )


def _lock(connection: Connection, seal: Seal, request: RequestKey) -> None:
    hashes = seal.lookups(_LOCK, f"{request.client}\0{request.key}")
    lock_until_commit(connection, *(f"request {each}" for each in hashes))


def _is_of_key(request: RequestKey, seal: Seal) -> tuple[Any, ...]:
    return (
        requests.c.client.in_(seal.lookups(_CLIENT, request.client)),
        requests.c.key_hmac.in_(seal.lookups(_KEY, request.key)),
    )


def _find_row(
    connection: Connection, seal: Seal, request: RequestKey
) -> Row[Any] | None:
    return connection.execute(
        select(
            requests,
            intents.c.booking,
            intents.c.state.label("intent_state"),
            (requests.c.lease_until > database_clock()).label("is_running"),
        )
        .outerjoin(intents, intents.c.id == requests.c.intent)
        .where(*_is_of_key(request, seal))
    ).first()


def _is_same(row: Row[Any], request: RequestKey, seal: Seal) -> bool:
    return row.fingerprint_hmac in seal.lookups(_FINGERPRINT, request.fingerprint)


def _was_not_carried_out(row: Row[Any]) -> bool:
    return (
        row.answer_sealed is None
        and not row.is_running
        and row.intent_state in (NOT_DONE, WriteState.REFUSED.value)
    )


def _repeated_request(
    row: Row[Any], request: RequestKey, seal: Seal
) -> RepeatedRequest:
    if not _is_same(row, request, seal):
        return RepeatedRequest(is_same=False, booking=row.booking)
    answer = None
    if row.answer_sealed is not None:
        kept = seal.unseal(row.answer_sealed)
        answer = RecordedAnswer(
            status=int(kept["status"]),
            headers=json.loads(kept["headers"]),
            body=kept["body"],
            # The previous release writes neither.
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


def _keep_until(connection: Connection, visit: datetime | None) -> Any:  # noqa: ANN401 - an SQL expression or a number
    soonest = from_now(_KEPT_FOR)
    if visit is None:
        return soonest
    after = visit.timestamp() + _KEPT_FOR.total_seconds()
    # SQLite's greatest() is called max().
    greatest = func.max if connection.dialect.name == "sqlite" else func.greatest
    return greatest(soonest, after)
