"""
The options of a source of crm:scheduling 1.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validate

from fhir_gateway.adapters.endpoint_schema import (
    NOT_BLANK,
    EndpointSchema,
    option_faults,
)
from fhir_gateway.adapters.registry import UnusableOptions
from fhir_gateway.adapters.schema_fault import unknown_key
from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.interaction import Interaction

__all__ = ["BookingIdInMakeBooking", "Options", "options_from_mapping"]

_INTERACTIONS: Final = {each.name: each for each in scheduling.INTERACTIONS}


class BookingIdInMakeBooking(Enum):
    """
    The content of `bookingId` in MakeBooking when a free time is booked.

    In the contract it is the id of an open invitation. 1177 sends the id that some
    producers put on a free time (EI and Tidbokning, 2014, section 3.2).
    """

    OMIT = "omit"
    SLOT_ID = "slot-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The particulars of a producer.

    Attributes:
        endpoint: Its URL; the contract's name replaces `{interaction}` in it.
        logical_address: A fixed one, or None for the unit's HSA-id.
        consumer: Our HSA-id at the service platform.
        certificate: A PEM file with our certificate and its key.
        trust: A PEM file with the certificates that we trust.
        supports: The interactions that it supports.
        booking_id_in_make_booking: The content of `bookingId` in MakeBooking.
        refusal_faults: Patterns of fault texts that certainly mean "refused".
    """

    endpoint: str
    logical_address: LogicalAddress | None
    consumer: HsaId | None
    certificate: str | None
    trust: str | None
    supports: frozenset[Interaction]
    booking_id_in_make_booking: BookingIdInMakeBooking
    refusal_faults: tuple[re.Pattern[str], ...]


def options_from_mapping(options: Mapping[str, object]) -> Options:
    """
    Return the options from a source's table.

    Raises:
        UnusableOptions: An option is unknown, missing or wrong.
    """
    try:
        loaded: Options = _OptionsSchema().load(options)
    except ValidationError as error:
        raise UnusableOptions(list(option_faults(error.messages_dict))) from error
    return loaded


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        # Deep nesting and huge repeats raise other errors than a wrong pattern.
        raise ValidationError(f"is no regular expression: {error}") from error


class _OptionsSchema(EndpointSchema):
    """
    The options of a source with the adapter `scheduling_1_1`.

    Each check belongs to one field, so a fault of one field hides none of another.
    """

    error_messages = unknown_key("is no option of the adapter scheduling_1_1")

    logical_address = fields.String(load_default="unit", validate=NOT_BLANK)
    supports = fields.List(
        fields.Raw(validate=validate.OneOf(tuple(_INTERACTIONS))),
        load_default=lambda: list(_INTERACTIONS),
        validate=validate.Length(min=1),
    )
    booking_id_in_make_booking = fields.Enum(
        BookingIdInMakeBooking,
        by_value=True,
        load_default=BookingIdInMakeBooking.OMIT,
    )
    refusal_faults = fields.List(
        fields.String(validate=[validate.Length(min=1), _check_pattern]),
        load_default=list,
    )

    @post_load
    def _options(self, data: dict[str, Any], **_: object) -> Options:
        address = data["logical_address"]
        consumer = data["consumer"]
        return Options(
            endpoint=data["endpoint"],
            logical_address=None if address == "unit" else LogicalAddress(address),
            consumer=None if consumer is None else HsaId(consumer),
            certificate=data["certificate"],
            trust=data["trust"],
            supports=frozenset(_INTERACTIONS[name] for name in data["supports"]),
            booking_id_in_make_booking=data["booking_id_in_make_booking"],
            refusal_faults=tuple(map(re.compile, data["refusal_faults"])),
        )
