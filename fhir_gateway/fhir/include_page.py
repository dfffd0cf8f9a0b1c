"""
Schedules, services and roles as entries of a searchset, from templates.

`_include` brings four other resources with each slot. There are tens of thousands of
schedules and services, so templates render them anew each time, and no cache holds
them. `UnitValues` and `ActorValues` write their common values as JSON once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from fhir_gateway.fhir.bundle import Mode
from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    providing_organization,
)
from fhir_gateway.fhir.practitioner import (
    practitioner_role_from_performer,
    practitioner_role_id,
)
from fhir_gateway.fhir.resource_template import ResourceTemplate, in_quotes
from fhir_gateway.fhir.slot import schedule_from_schedule, shown_name
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import HsaId, PerformerId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import instant_from_epoch, instant_text
from fhir_gateway.model.timeslot import (
    Schedule,
    TimeType,
    short_hash,
    time_type_of_schedule,
    time_type_token,
)
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = ["ActorValues", "IncludeRenderer", "OfTimeType", "UnitValues"]

# The values in the gaps of the resources that are rendered once; none contains another,
# and no real resource has any of them.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitValues:
    """
    A unit's values as JSON writes them, without the quotes.

    Attributes:
        provider: The organisation that provides its care.
        abilities: What it can do; a part of the shape of its services.
    """

    unit: HsaId
    provider: HsaId
    hsa_id: bytes
    name: bytes
    organization: bytes
    organization_name: bytes
    phone: bytes | None
    abilities: frozenset[UnitAbility] | None

    @classmethod
    def of(cls, unit: CareUnit) -> Self:
        """Return the values of a unit."""
        return cls(
            unit=unit.hsa_id,
            provider=providing_organization(unit),
            hsa_id=unit.hsa_id.encode(),
            name=in_quotes(unit.name),
            organization=providing_organization(unit).encode(),
            organization_name=in_quotes(unit.organization_name or unit.name),
            phone=None if unit.phone is None else in_quotes(unit.phone),
            abilities=unit.abilities,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActorValues:
    """
    A schedule's performer or resource as JSON writes it, without the quotes.

    Attributes:
        staff: The HSA-id of the member of staff; empty without one.
        role: The part of their role's id after the unit's id.
        name: The name for clients; empty without one.
        shape: Whether the schedule has no member of staff, and whether it has no name.
    """

    performer: HsaId | None
    staff: bytes
    role: bytes
    name: bytes
    shape: tuple[bool, bool]

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the values of a schedule."""
        performer, name = schedule.practitioner, shown_name(schedule)
        return cls(
            performer=performer,
            staff=b"" if performer is None else performer.encode(),
            role=b"" if performer is None else b".%s" % short_hash(performer).encode(),
            name=in_quotes(name or ""),
            shape=(performer is None, name is None),
        )


class OfTimeType:
    """
    Renders the schedules and services of a source's time type.

    Args:
        renderer: Makes the templates.
        source: The source.
        time_type: The time type of its units.
    """

    def __init__(
        self, renderer: "IncludeRenderer", source: SourceName, time_type: TimeType
    ) -> None:
        self._renderer = renderer
        self._source = source
        self._time_type = time_type
        self._schedules: dict[tuple[bool, bool], ResourceTemplate] = {}
        self._services: dict[
            tuple[bool, frozenset[UnitAbility] | None], ResourceTemplate
        ] = {}

    def schedule(
        self, token: bytes, unit: UnitValues, actor: ActorValues, answered_at: bytes
    ) -> bytes:
        """
        Return a schedule as an entry.

        Args:
            token: Its token.
            unit: Its unit.
            actor: The performer or resource.
            answered_at: When its source last listed it, as FHIR's instant.
        """
        template = self._schedules.get(actor.shape)
        if template is None:
            template = self._schedules[actor.shape] = self._renderer.schedules(
                self._source, self._time_type, *actor.shape
            )
        return template.render(
            (
                token,
                time_type_of_schedule(token),
                unit.hsa_id + actor.role,
                unit.hsa_id,
                unit.name,
                actor.staff,
                actor.name,
                answered_at,
            )
        )

    def service(self, token: bytes, unit: UnitValues) -> bytes:
        """Return the service of a unit's time type, by its token, as an entry."""
        shape = unit.phone is None, unit.abilities
        template = self._services.get(shape)
        if template is None:
            template = self._services[shape] = self._renderer.services(
                self._source, self._time_type, *shape
            )
        return template.render(
            (
                token,
                unit.hsa_id,
                unit.name,
                unit.organization,
                unit.organization_name,
                unit.phone or b"",
            )
        )


class IncludeRenderer:
    """
    Renders what slots include, with search mode `include`.

    Args:
        base_url: The server's FHIR base.
        vocabulary: Our canonicals.
    """

    def __init__(self, base_url: str, vocabulary: Vocabulary) -> None:
        self._base_url = base_url
        self._vocabulary = vocabulary
        self._roles: dict[tuple[SourceName, bool], ResourceTemplate] = {}

    def of_time_type(self, source: SourceName, time_type: TimeType) -> OfTimeType:
        """Return a renderer of a source's time type."""
        return OfTimeType(self, source, time_type)

    def role(
        self,
        performer: HsaId,
        name: str | None,
        unit: CareUnit,
        services: Iterable[str],
    ) -> bytes:
        """
        Return a member of staff's role at a unit as an entry.

        Args:
            performer: The member of staff.
            name: How that is shown, if it is.
            unit: The unit.
            services: The tokens of the role's time types at the unit.
        """
        shape = (unit.source, not name)
        template = self._roles.get(shape)
        if template is None:
            template = self._roles[shape] = self._of_role(*shape)
        return template.render(
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
    ) -> ResourceTemplate:
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
        return self._template(rendered, gaps, {})

    def schedules(
        self,
        source: SourceName,
        time_type: TimeType,
        is_nobodys: bool,  # noqa: FBT001 - a part of a shape
        is_nameless: bool,  # noqa: FBT001 - a part of a shape
    ) -> ResourceTemplate:
        """Return the template of a time type's schedules of one shape."""
        schedule = Schedule(
            unit=_UNIT,
            time_type_id=_CODE,
            time_type_name=_NAME,
            performer=None if is_nobodys else PerformerId(_STAFF),
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
        return self._template(
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

    def services(
        self,
        source: SourceName,
        time_type: TimeType,
        has_no_phone: bool,  # noqa: FBT001 - a part of a shape
        abilities: frozenset[UnitAbility] | None,
    ) -> ResourceTemplate:
        """Return the template of a time type's services of one shape."""
        unit = CareUnit(
            hsa_id=_UNIT,
            name=_PLACE,
            source=source,
            organization=_ORGANIZATION,
            organization_name=_PROVIDER,
            phone=None if has_no_phone else _PHONE,
            abilities=abilities,
        )
        rendered = healthcare_service_from_time_type(
            unit, replace(time_type, id=_CODE, name=_NAME), self._vocabulary
        )
        return self._template(
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

    def _template(
        self,
        rendered: dict[str, object],
        gaps: tuple[str, ...],
        filled: dict[str, bytes],
    ) -> ResourceTemplate:
        return ResourceTemplate.of(
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
    """Return the values for the gaps of a time type's own code and name."""
    return {_CODE: in_quotes(time_type.id.code), _NAME: in_quotes(time_type.name)}


def _services(tokens: Iterable[str]) -> str:
    """
    Return the rendered references to services, as `fhir.practitioner` writes them.
    """
    return ",".join(f'{{"reference":"HealthcareService/{token}"}}' for token in tokens)
