"""
A block: the free times of one unit's time type, as its source last listed them.

A block is replaced whole. Its packed form has three parts: the length of the
header; the header (JSON: identity, when asked and answered, the schedules, the number
of times); then twelve bytes for each free time, sorted by start: start and length in
seconds (unsigned 32 bits), the number of its schedule and how many times it is listed
(unsigned 16 bits).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import (
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.loss import Loss, losses_of
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Schedule, Timeslot

__all__ = [
    "PAST",
    "BlockKey",
    "SlotBlock",
    "UnreadableBlock",
    "pack",
    "times_lost",
    "unpack",
]

_MAGIC: Final = b"FGB2"
_ROW: Final = np.dtype(
    [("start", "<u4"), ("length", "<u4"), ("schedule", "<u2"), ("count", "<u2")]
)
_MOST_EQUAL: Final = 65_535

PAST: Final = "past"
"""Why a time that has begun is left out: nobody misses it."""


class UnreadableBlock(ValueError):
    """The bytes are no block, or one of a version that this program does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockKey:
    """The unit and the time type of a block."""

    source: SourceName
    unit: HsaId
    time_type_id: TimeTypeId


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotBlock:
    """
    Free times, sorted by start.

    Attributes:
        key: The unit and the time type.
        asked_at: When the source was asked.
        answered_at: When it had answered.
        schedules: The schedules of the times, and those without a free time at the
            moment, so that clients can still read schedules that they know.
        rows: One record for each free time: `start`, `length` (seconds), `schedule`
            (its number in `schedules`), `count`.
        rejected: The reasons why times were left out, and how many times each.
    """

    key: BlockKey
    asked_at: datetime
    answered_at: datetime
    schedules: tuple[Schedule, ...]
    rows: npt.NDArray[np.void]
    rejected: dict[str, int]

    @property
    def lacks_times(self) -> bool:
        """Return whether the source listed times that could not be kept."""
        return any(reason != PAST for reason in self.rejected)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Return why times that the source listed could not be kept."""
        return times_lost(self.key.unit, self.key.time_type_id, self.rejected)

    @classmethod
    def of(
        cls,
        key: BlockKey,
        timeslots: Sequence[Timeslot],
        *,
        asked_at: datetime,
        answered_at: datetime,
        rejected: Mapping[str, int] | None = None,
        earlier_schedules: Iterable[Schedule] = (),
    ) -> "SlotBlock":
        """Return a block of the given times, which need not be sorted."""
        numbers: dict[str, int] = {}
        schedules: list[Schedule] = []
        number_of: dict[int, int] = {}
        # Thousands of times share a few schedules: each object is looked at once.
        listed = {id(each.schedule): each.schedule for each in timeslots}
        for schedule in (*listed.values(), *earlier_schedules):
            number = numbers.setdefault(schedule.token, len(schedules))
            if number == len(schedules):
                schedules.append(schedule)
            number_of[id(schedule)] = number
        # Converted from Python's integers, so that a number that does not fit raises.
        start = np.array([epoch_seconds(each.start) for each in timeslots], np.uint32)
        end = np.array([epoch_seconds(each.end) for each in timeslots], np.uint32)
        rows = np.empty(len(timeslots), dtype=_ROW)
        rows["start"] = start
        rows["length"] = end - start
        rows["schedule"] = [number_of[id(each.schedule)] for each in timeslots]
        rows["count"] = [min(each.count, _MOST_EQUAL) for each in timeslots]
        rows = rows[np.lexsort((rows["length"], rows["schedule"], rows["start"]))]
        return cls(
            key=key,
            asked_at=asked_at,
            answered_at=answered_at,
            schedules=tuple(schedules),
            rows=rows,
            rejected=dict(rejected or {}),
        )


def times_lost(
    unit: HsaId, time_type_id: TimeTypeId, rejected: Mapping[str, int]
) -> tuple[Loss, ...]:
    """Return the losses among the times that were left out: past ones are none."""
    return losses_of(
        scheduling.GET_AVAILABLE_TIMESLOTS,
        unit,
        {reason: count for reason, count in rejected.items() if reason != PAST},
        time_type_id=time_type_id,
    )


def pack(block: SlotBlock) -> bytes:
    """Return a block as bytes."""
    header = orjson.dumps(
        {
            "source": str(block.key.source),
            "unit": str(block.key.unit),
            "time_type": str(block.key.time_type_id),
            "asked_at": block.asked_at.timestamp(),
            "answered_at": block.answered_at.timestamp(),
            "schedules": [_schedule_to_json(each) for each in block.schedules],
            "rejected": block.rejected,
            "rows": len(block.rows),
        }
    )
    return b"".join(
        (_MAGIC, len(header).to_bytes(4, "little"), header, block.rows.tobytes())
    )


def unpack(packed: bytes) -> SlotBlock:
    """
    Return the block that bytes hold.

    Raises:
        UnreadableBlock: They hold none that this program knows.
    """
    if packed[:4] != _MAGIC:
        raise UnreadableBlock("no block, or one of another version")
    end = 8 + int.from_bytes(packed[4:8], "little")
    try:
        header: dict[str, Any] = orjson.loads(packed[8:end])
        unit = HsaId(header["unit"])
        time_type_id = TimeTypeId(header["time_type"])
        schedules = tuple(
            _schedule_from_json(each, unit, time_type_id)
            for each in header["schedules"]
        )
        return SlotBlock(
            key=BlockKey(
                source=SourceName(header["source"]),
                unit=unit,
                time_type_id=time_type_id,
            ),
            asked_at=datetime.fromtimestamp(header["asked_at"], UTC),
            answered_at=datetime.fromtimestamp(header["answered_at"], UTC),
            schedules=schedules,
            rows=_rows(packed[end:], header["rows"], len(schedules)),
            rejected=header["rejected"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnreadableBlock("a block that is cut off or damaged") from error


def _rows(packed: bytes, count: int, schedules: int) -> npt.NDArray[np.void]:
    rows = np.frombuffer(packed, dtype=_ROW)
    # A block cut off between two rows would look like one with fewer free times.
    if len(rows) != count:
        raise ValueError("rows are missing")
    if np.any(rows["schedule"] >= schedules):
        raise ValueError("rows are of no schedule")
    return rows


def _schedule_to_json(schedule: Schedule) -> dict[str, str]:
    return {
        name: value
        for name, value in asdict(schedule).items()
        if value is not None and name not in ("unit", "time_type_id")
    }


def _schedule_from_json(
    fields: dict[str, str], unit: HsaId, time_type_id: TimeTypeId
) -> Schedule:
    return Schedule(
        unit=unit,
        time_type_id=time_type_id,
        time_type_name=fields["time_type_name"],
        performer=(PerformerId(fields["performer"]) if "performer" in fields else None),
        performer_name=fields.get("performer_name"),
        resource_id=(
            ResourceId(fields["resource_id"]) if "resource_id" in fields else None
        ),
        resource_name=fields.get("resource_name"),
        care_type_id=(
            CareTypeId(fields["care_type_id"]) if "care_type_id" in fields else None
        ),
        care_type_name=fields.get("care_type_name"),
    )
