"""
Checking a source before it is relied on: does it answer, what do its time types mean?
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Actor, GetAllTimeTypes
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.directory import TimeTypeMap

__all__ = ["SourceReport", "check_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """
    What became of checking a source.

    Attributes:
        answered: The units that said what they offer.
        errors: What went wrong, by unit.
        mapped: How many time types have a shared meaning.
        unmapped: The time types that have none: they are offered under the unit's own
            coding only.
        idle: Mapped time types that the unit does not offer.
    """

    source: Source
    answered: int
    errors: tuple[tuple[HsaId, str], ...]
    mapped: int
    unmapped: tuple[tuple[HsaId, TimeType], ...]
    idle: tuple[tuple[HsaId, TimeTypeId], ...]


def check_source(
    source: Source,
    adapter: SchedulingAdapter,
    meanings: TimeTypeMap,
    *,
    pause: Callable[[float], object],
    progress: Callable[[], object],
) -> SourceReport:
    """
    Ask every configured unit which time types it offers, within the source's budget.

    Args:
        source: The source.
        adapter: How to ask it.
        meanings: The shared meaning of time types.
        pause: Waits the given number of seconds.
        progress: Called after each unit.
    """
    errors: list[tuple[HsaId, str]] = []
    unmapped: list[tuple[HsaId, TimeType]] = []
    offered: set[tuple[HsaId, TimeTypeId]] = set()
    interval = 1 / source.budget.calls_per_second
    answered: set[HsaId] = set()
    for unit in source.units:
        began = monotonic()
        try:
            time_types = adapter.get_all_time_types(
                GetAllTimeTypes(
                    unit=unit.hsa_id,
                    actor=Actor.agent(source.agent),
                    subject_of_care=source.refresh_subject,
                ),
                timeout=source.read_timeout.total_seconds(),
            )
        except GatewayError as error:
            errors.append((unit.hsa_id, str(error)))
        else:
            answered.add(unit.hsa_id)
            for time_type in time_types.items:
                offered.add((unit.hsa_id, time_type.id.code))
                if (unit.hsa_id, time_type.id.code) not in meanings:
                    unmapped.append((unit.hsa_id, time_type))
        progress()
        pause(max(0.0, began + interval - monotonic()))
    return SourceReport(
        source=source,
        answered=len(answered),
        errors=tuple(errors),
        mapped=sum(key in meanings for key in offered),
        unmapped=tuple(unmapped),
        idle=tuple(
            sorted(key for key in meanings if key[0] in answered and key not in offered)
        ),
    )
