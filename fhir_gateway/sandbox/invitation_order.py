"""
The order of an invitation: a test, or a demo, lets a region invite a resident.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fhir_gateway.sandbox.catalogue import LocalTimeType, SandboxRegion, SandboxUnit
from fhir_gateway.sandbox.producer import is_person

__all__ = ["BadOrder", "InvitationOrder", "invitation_order_from_json"]

_FIELDS: Final = (
    "subject_of_care",
    "time_type",
    "unit",
    "in_days",
    "purpose",
    "protected",
    "by_telephone",
)
_PURPOSE: Final = "Boka tid för kontroll."
_MOST_DAYS: Final = 60


class BadOrder(Exception):
    """The JSON orders no invitation."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InvitationOrder:
    """
    An invitation to make.

    Attributes:
        in_days: The time is at least so many days ahead; None for an open invitation.
        by_telephone: The unit books for the resident, who has called: no invitation.
        protects: From now on only invitations show and book the unit's time type.
    """

    unit: SandboxUnit
    time_type: LocalTimeType
    subject_of_care: str
    purpose: str | None
    in_days: int | None
    protects: bool
    by_telephone: bool = False


def invitation_order_from_json(data: object, region: SandboxRegion) -> InvitationOrder:
    """
    Return the order that a JSON object describes.

    `time_type` is the sandbox's own name of it, as `dsk`, or the unit's id. Without
    `unit` it is the first unit that has it.

    Raises:
        BadOrder: It describes none; the message says what is wrong.
    """
    if not isinstance(data, dict):
        raise BadOrder("expected a JSON object with the field 'subject_of_care'")
    unknown = sorted(set(data) - set(_FIELDS))
    if unknown:
        raise BadOrder(f"unknown field {unknown[0]!r}; valid are {', '.join(_FIELDS)}")
    number, purpose = _text(data, "subject_of_care", ""), _text(data, "purpose", "")
    if not is_person(number):
        raise BadOrder("subject_of_care must be a test person's number")
    unit, time_type = _offered(
        region, _text(data, "unit", ""), _text(data, "time_type", "dsk")
    )
    in_days, protects = data.get("in_days"), data.get("protected", False)
    if in_days is not None and (
        not isinstance(in_days, int)
        or isinstance(in_days, bool)
        or not 0 <= in_days <= _MOST_DAYS
    ):
        raise BadOrder(f"in_days must be a whole number from 0 to {_MOST_DAYS}")
    if not isinstance(protects, bool):
        raise BadOrder("protected must be true or false")
    by_telephone = data.get("by_telephone", False)
    if not isinstance(by_telephone, bool):
        raise BadOrder("by_telephone must be true or false")
    if by_telephone and in_days is None:
        raise BadOrder("a booking by_telephone needs in_days")
    return InvitationOrder(
        unit=unit,
        time_type=time_type,
        subject_of_care=number,
        purpose=purpose or (None if by_telephone else _PURPOSE),
        in_days=in_days,
        protects=protects,
        by_telephone=by_telephone,
    )


def _text(data: Mapping[str, object], field: str, default: str) -> str:
    value = data.get(field, default)
    if not isinstance(value, str):
        raise BadOrder(f"{field} must be a text")
    return value


def _offered(
    region: SandboxRegion, unit: str, time_type: str
) -> tuple[SandboxUnit, LocalTimeType]:
    for each in region.units:
        if unit and each.hsa_id != unit.strip().upper():
            continue
        for offered in each.time_types:
            if time_type in (offered.key, offered.id):
                return each, offered
    raise BadOrder("no such unit has such a time_type")
