"""
The status of a source's refresh, as the worker with its lease last stored it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.loss import Loss, loss_from_json, loss_to_json

__all__ = [
    "FailingQuestion",
    "SourceStatus",
    "UnreadableStatus",
    "pack_status",
    "unpack_status",
]


class UnreadableStatus(ValueError):
    """The bytes are no status that this version can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingQuestion:
    """
    A question that a source does not answer; it may answer all others.

    Attributes:
        time_type_id: None where the unit does not say what it offers.
        since: When the failures in a row began.
        error: What went wrong last, without anything personal.
    """

    unit: HsaId
    time_type_id: TimeTypeId | None
    since: datetime
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """
    The state of a source's refresh.

    Attributes:
        last_answer_at: When it last answered anything.
        failing_since: Since when it answers nothing that searches need; None while it
            answers at least in part.
        last_error: What went wrong last, without anything personal.
        reported_at: When the worker stored this.
        worker: Which worker asks it.
        failing: The questions that it does not answer; if very many, those that fail
            longest.
        broken: The interactions that fail as a whole.
        silent_staff: The units that do not answer about their staff, where the source
            answers others; if very many, some of them.
        calls_last_minute: How many calls it got in the minute before.
        questions: How many questions the worker asks it.
        unanswered: How many of them it has never answered.
        oldest_answer_at: When the oldest block was answered, if there is any.
        slots: How many free times its blocks have.
        rejected: Why times were left out or cannot be found by a shared meaning, and
            how many.
        losses: What was left out of its answers; not all when there are very many.
    """

    source: SourceName
    last_answer_at: datetime | None
    failing_since: datetime | None
    last_error: str | None
    reported_at: datetime | None = None
    worker: str | None = None
    failing: tuple[FailingQuestion, ...] = ()
    broken: tuple[str, ...] = ()
    silent_staff: tuple[HsaId, ...] = ()
    calls_last_minute: int = 0
    questions: int = 0
    unanswered: int = 0
    oldest_answer_at: datetime | None = None
    slots: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()


def pack_status(status: SourceStatus) -> bytes:
    """Return a status as bytes."""
    return orjson.dumps(
        {
            "last_answer_at": _timestamp(status.last_answer_at),
            "failing_since": _timestamp(status.failing_since),
            "last_error": status.last_error,
            # A rolling upgrade needs the name that earlier releases write.
            "told_at": _timestamp(status.reported_at),
            "worker": status.worker,
            "failing": [
                [
                    str(each.unit),
                    None if each.time_type_id is None else str(each.time_type_id),
                    each.since.timestamp(),
                    each.error,
                ]
                for each in status.failing
            ],
            "broken": list(status.broken),
            "silent_staff": list(map(str, status.silent_staff)),
            "calls_last_minute": status.calls_last_minute,
            "questions": status.questions,
            "unanswered": status.unanswered,
            "oldest_answer_at": _timestamp(status.oldest_answer_at),
            "slots": status.slots,
            "rejected": dict(status.rejected),
            "losses": [loss_to_json(each) for each in status.losses],
        }
    )


def unpack_status(source: SourceName, packed: bytes) -> SourceStatus:
    """
    Return the status of a source that bytes hold.

    Raises:
        UnreadableStatus: They hold none that this version can read.
    """
    try:
        fields: dict[str, Any] = orjson.loads(packed)
        return SourceStatus(
            source=source,
            last_answer_at=_instant(fields["last_answer_at"]),
            failing_since=_instant(fields["failing_since"]),
            last_error=fields["last_error"],
            reported_at=_instant(fields["told_at"]),
            worker=fields["worker"],
            failing=tuple(
                FailingQuestion(
                    unit=HsaId(unit),
                    time_type_id=None if code is None else TimeTypeId(code),
                    since=datetime.fromtimestamp(since, UTC),
                    error=error,
                )
                for unit, code, since, error in fields["failing"]
            ),
            broken=tuple(fields["broken"]),
            # An earlier release wrote none, neither of these nor of the losses.
            silent_staff=tuple(map(HsaId, fields.get("silent_staff", ()))),
            calls_last_minute=fields["calls_last_minute"],
            questions=fields["questions"],
            unanswered=fields["unanswered"],
            oldest_answer_at=_instant(fields["oldest_answer_at"]),
            slots=fields["slots"],
            rejected=dict(fields["rejected"]),
            losses=tuple(loss_from_json(each) for each in fields.get("losses", ())),
        )
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise UnreadableStatus("a status of another version") from error


def _timestamp(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
