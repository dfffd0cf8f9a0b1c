"""
Schedules, services and roles as entries of a searchset, drawn fast.

`_include` brings four other resources with each slot. There are tens of thousands of
schedules, services and roles, so these are drawn from stencils rather than kept.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from fhir_gateway.fhir.bundle import Mode
from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    providing_organization,
)
from fhir_gateway.fhir.practitioner import (
    practitioner_role_from_performer,
    practitioner_role_id,
)
from fhir_gateway.fhir.slot import schedule_from_schedule, shown_name
from fhir_gateway.fhir.stencil import Stencil, in_quotes
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import instant_from_epoch, instant_text
from fhir_gateway.model.timeslot import Schedule, TimeType, time_type_token

__all__ = ["IncludeDrawer"]

_MOST_STENCILS: Final = 4096

# What stands in the gaps of what is rendered once; none contains another, and no real
# resource has any of them.
_UNIT: Final = HsaId("GAP-UNIT")
_PLACE: Final = "GAP-PLACE"
_ORGANIZATION: Final = HsaId("GAP-ORGANIZATION")
_PROVIDER: Final = "GAP-PROVIDER"
_PHONE: Final = "GAP-PHONE"
_STAFF: Final = HsaId("GAP-STAFF")
_WHO: Final = "GAP-WHO"
_CODE: Final = TimeTypeId("GAP-CODE")
_NAME: Final = "GAP-NAME"
_ANSWERED: Final = instant_from_epoch(0)


class IncludeDrawer:
    """
    Draws what slots include, with search mode `include`.

    Args:
        base_url: The server's FHIR base.
        vocabulary: Our canonicals.
    """

    def __init__(self, base_url: str, vocabulary: Vocabulary) -> None:
        self._base_url = base_url
        self._vocabulary = vocabulary
        self._schedules: dict[tuple[SourceName, TimeType, bool, bool], Stencil] = {}
        self._services: dict[tuple[SourceName, TimeType, bool], Stencil] = {}
        self._roles: dict[tuple[SourceName, bool], Stencil] = {}

    def schedule(
        self,
        schedule: Schedule,
        token: str,
        time_type: TimeType,
        unit: CareUnit,
        answered_at: bytes,
    ) -> bytes:
        """
        Return a schedule as an entry.

        Args:
            schedule: Whose time it is.
            token: Its token.
            time_type: What its unit offers there.
            unit: Its unit.
            answered_at: When its source last listed it, as FHIR's instant.
        """
        performer, name = schedule.performer, shown_name(schedule)
        shape = (unit.source, time_type, performer is None, name is None)
        stencil = self._schedules.get(shape)
        if stencil is None:
            if len(self._schedules) >= _MOST_STENCILS:
                self._schedules.clear()
            stencil = self._schedules[shape] = self._of_schedule(*shape)
        role = practitioner_role_id(unit.hsa_id, performer) if performer else ""
        return stencil.drawn(
            (
                token.encode(),
                token[:-9].encode(),
                role.encode(),
                unit.hsa_id.encode(),
                in_quotes(unit.name),
                b"" if performer is None else performer.encode(),
                in_quotes(name or ""),
                answered_at,
            )
        )

    def service(self, token: str, time_type: TimeType, unit: CareUnit) -> bytes:
        """Return the service of a unit's time type, by its token, as an entry."""
        shape = (unit.source, time_type, unit.phone is None)
        stencil = self._services.get(shape)
        if stencil is None:
            if len(self._services) >= _MOST_STENCILS:
                self._services.clear()
            stencil = self._services[shape] = self._of_service(*shape)
        return stencil.drawn(
            (
                token.encode(),
                unit.hsa_id.encode(),
                in_quotes(unit.name),
                providing_organization(unit).encode(),
                in_quotes(unit.organization_name or unit.name),
                in_quotes(unit.phone or ""),
            )
        )

    def role(
        self,
        performer: HsaId,
        name: str | None,
        unit: CareUnit,
        services: Iterable[str],
    ) -> bytes:
        """
        Return what a member of staff does at a unit as an entry.

        Args:
            performer: Who it is.
            name: How that is shown, if it is.
            unit: Where.
            services: The tokens of the unit's time types that it is about.
        """
        shape = (unit.source, not name)
        stencil = self._roles.get(shape)
        if stencil is None:
            stencil = self._roles[shape] = self._of_role(*shape)
        return stencil.drawn(
            (
                _services(services).encode(),
                practitioner_role_id(unit.hsa_id, performer).encode(),
                unit.hsa_id.encode(),
                performer.encode(),
                in_quotes(name or ""),
            )
        )

    def _of_role(
        self,
        source: SourceName,
        is_nameless: bool,  # noqa: FBT001 - a part of a shape
    ) -> Stencil:
        rendered = practitioner_role_from_performer(
            _STAFF,
            _UNIT,
            display=None if is_nameless else _WHO,
            services=[_NAME],
            source=source,
            vocabulary=self._vocabulary,
        )
        role = practitioner_role_id(_UNIT, _STAFF)
        gaps = (_services([_NAME]), role, str(_UNIT), str(_STAFF), _WHO)
        return self._stencil(rendered, gaps, {})

    def _of_schedule(
        self,
        source: SourceName,
        time_type: TimeType,
        is_nobodys: bool,  # noqa: FBT001 - a part of a shape
        is_nameless: bool,  # noqa: FBT001 - a part of a shape
    ) -> Stencil:
        schedule = Schedule(
            unit=_UNIT,
            time_type_id=_CODE,
            time_type_name=_NAME,
            performer=None if is_nobodys else _STAFF,
            performer_name=None if is_nameless else _WHO,
        )
        rendered = schedule_from_schedule(
            schedule,
            replace(time_type, id=_CODE, name=_NAME),
            unit_name=_PLACE,
            source=source,
            answered_at=_ANSWERED,
            vocabulary=self._vocabulary,
        )
        return self._stencil(
            rendered,
            (
                schedule.token,
                time_type_token(_UNIT, _CODE),
                practitioner_role_id(_UNIT, _STAFF),
                str(_UNIT),
                _PLACE,
                str(_STAFF),
                _WHO,
                instant_text(_ANSWERED),
            ),
            _named(time_type),
        )

    def _of_service(
        self,
        source: SourceName,
        time_type: TimeType,
        has_no_phone: bool,  # noqa: FBT001 - a part of a shape
    ) -> Stencil:
        unit = CareUnit(
            hsa_id=_UNIT,
            name=_PLACE,
            source=source,
            organization=_ORGANIZATION,
            organization_name=_PROVIDER,
            phone=None if has_no_phone else _PHONE,
        )
        rendered = healthcare_service_from_time_type(
            unit, replace(time_type, id=_CODE, name=_NAME), self._vocabulary
        )
        return self._stencil(
            rendered,
            (
                time_type_token(_UNIT, _CODE),
                str(_UNIT),
                _PLACE,
                str(_ORGANIZATION),
                _PROVIDER,
                _PHONE,
            ),
            _named(time_type),
        )

    def _stencil(
        self,
        rendered: dict[str, object],
        gaps: tuple[str, ...],
        filled: dict[str, bytes],
    ) -> Stencil:
        return Stencil.of(
            {
                "fullUrl": (
                    f"{self._base_url}/{rendered['resourceType']}/{rendered['id']}"
                ),
                "resource": rendered,
                "search": {"mode": Mode.INCLUDE.value},
            },
            gaps,
            filled,
        )


def _named(time_type: TimeType) -> dict[str, bytes]:
    """Return what stands in the gaps of a time type's own code and name."""
    return {_CODE: in_quotes(time_type.id), _NAME: in_quotes(time_type.name)}


def _services(tokens: Iterable[str]) -> str:
    """Return references to services, as `fhir.practitioner` has them, drawn."""
    return ",".join(f'{{"reference":"HealthcareService/{token}"}}' for token in tokens)
