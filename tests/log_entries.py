"""
Builders of log entries, and a log service in memory.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.log_entry import LogActivity, LogEntry, LogResult
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import StaffMember

__all__ = ["MARKS", "NURSE", "TOLVAN", "MemoryLogService", "log_entry"]

TOLVAN: Final = PersonalIdentityNumber("191212121212")
NURSE: Final = StaffMember(
    hsa_id=HsaId("SE2321009901-NURSE1"),
    assignment=HsaId("SE2321009901-ASSIGN1"),
    unit=HsaId("SE2321009901-UNIT1"),
    provider=HsaId("SE2321009901-PROVIDER1"),
)
MARKS: Final = (
    TOLVAN.reveal(),
    TOLVAN.reveal()[2:],
    NURSE.hsa_id,
    NURSE.assignment,
    NURSE.unit,
    NURSE.provider,
)


def log_entry(
    which: int = 1,
    *,
    activity: LogActivity = LogActivity.WRITE,
    patient: PersonalIdentityNumber = TOLVAN,
) -> LogEntry:
    """Return the entry of that ordinal."""
    return LogEntry(
        id=str(UUID(int=which)),
        activity=activity,
        at=datetime(2027, 3, 1, 8, 30, 15, tzinfo=UTC),
        staff=NURSE,
        patient=patient,
    )


class MemoryLogService:
    """
    A log service that keeps entries in memory.

    Args:
        answer: What it does with a message: a result, or an error that it raises.

    Attributes:
        messages: The ids of each message that it received.
        stored: The entries that it has, by id.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[LogEntry]], LogResult | GatewayError] | None = None,
    ) -> None:
        self.answer = answer or (lambda _entries: LogResult.STORED)
        self.messages: list[list[str]] = []
        self.stored: dict[str, LogEntry] = {}

    def store(self, entries: Sequence[LogEntry]) -> LogResult:
        """Store all entries or none."""
        self.messages.append([each.id for each in entries])
        answer = self.answer(entries)
        if isinstance(answer, GatewayError):
            raise answer
        if answer is LogResult.STORED:
            self.stored.update({each.id: each for each in entries})
        return answer

    def close(self) -> None:
        """Do nothing."""
