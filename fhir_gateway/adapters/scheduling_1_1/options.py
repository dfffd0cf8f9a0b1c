"""
What the options of a source of crm:scheduling 1.1 can say.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from fhir_gateway.adapters.registry import UnusableOptions
from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.interaction import Interaction

__all__ = ["BookingIdInMakeBooking", "Options", "options_from_mapping"]


class BookingIdInMakeBooking(Enum):
    """
    What `bookingId` of MakeBooking carries when a free time is booked.

    The contract means an open invitation's id; 1177 has been seen to send the id that
    some producers put on a free time (EI and Tidbokning, 2014, section 3.2).
    """

    OMIT = "omit"
    SLOT_ID = "slot-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What is special about a producer.

    Attributes:
        endpoint: Its URL; `{interaction}` in it becomes the contract's name.
        logical_address: A fixed one, or None for the unit's HSA-id.
        consumer: Our HSA-id at the service platform.
        certificate: A PEM file with our certificate and its key.
        trust: A PEM file with the certificates that we trust.
        supports: What it can be asked.
        booking_id_in_make_booking: What `bookingId` of MakeBooking carries.
        refusal_faults: Fault texts that are proven to mean "refused", as patterns.
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
    Return the options that a source's table spells.

    Raises:
        UnusableOptions: An option is unknown, missing or wrong.
    """
    try:
        loaded: Options = _OptionsSchema().load(options)
    except ValidationError as error:
        raise UnusableOptions(list(_faults(error.messages_dict))) from error
    return loaded


def _faults(messages: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in messages.items():
        if isinstance(value, dict):
            # Of a list, by the number of its item.
            yield from _faults(value, f"{path}{key}.")
        else:
            yield from ((f"{path}{key}", str(fault)) for fault in value)


class _OptionsSchema(Schema):
    """The options of a source whose adapter is `scheduling_1_1`."""

    error_messages = {  # noqa: RUF012 - marshmallow declares it so
        "unknown": "is no option of the adapter scheduling_1_1"
    }

    endpoint = fields.String(required=True)
    logical_address = fields.String(load_default="unit")
    consumer = fields.String(load_default=None)
    certificate = fields.String(load_default=None)
    trust = fields.String(load_default=None)
    supports = fields.List(
        fields.Enum(Interaction, by_value=True),
        load_default=lambda: list(Interaction),
    )
    booking_id_in_make_booking = fields.Enum(
        BookingIdInMakeBooking,
        by_value=True,
        load_default=BookingIdInMakeBooking.OMIT,
    )
    refusal_faults = fields.List(
        fields.String(validate=validate.Length(min=1)), load_default=list
    )

    @post_load
    def _options(self, data: dict[str, Any], **_: object) -> Options:
        faults: dict[str, list[str]] = {}
        if not data["endpoint"].startswith(("http://", "https://")):
            faults["endpoint"] = ["is not an http or https URL"]
        consumer = None
        if data["consumer"] is not None:
            try:
                consumer = HsaId(data["consumer"])
            except ValueError as error:
                faults["consumer"] = [str(error)]
        patterns = []
        for pattern in data["refusal_faults"]:
            try:
                patterns.append(re.compile(pattern))
            except re.error as error:
                faults["refusal_faults"] = [f"is no regular expression: {error}"]
        if faults:
            raise ValidationError(faults)
        address = data["logical_address"]
        return Options(
            endpoint=data["endpoint"],
            logical_address=None if address == "unit" else LogicalAddress(address),
            consumer=consumer,
            certificate=data["certificate"],
            trust=data["trust"],
            supports=frozenset(data["supports"]),
            booking_id_in_make_booking=data["booking_id_in_make_booking"],
            refusal_faults=tuple(patterns),
        )
