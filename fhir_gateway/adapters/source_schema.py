"""
The settings that the file of sources may have for a source and its units.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from marshmallow import Schema, ValidationError, fields, post_load, validate

from fhir_gateway.adapters.schema_fault import unknown_key
from fhir_gateway.model.engagement import IndexedSource
from fhir_gateway.model.ids import CountyCode, HsaId, LogicalAddress
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.source import Mode

__all__ = ["AggregateSchema", "IndexedSourceSchema", "SourceSchema", "UnitSchema"]

T = TypeVar("T")

_NOT_EMPTY: Final = validate.Length(min=1)


def _identifier(
    kind: Callable[[str], str],
    **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
) -> fields.String:
    """Return a field for text that a type of `model.ids` accepts unchanged."""
    return fields.String(post_load=(_read_by(kind), _NOT_EMPTY), **options)


def _number(**options: Any) -> fields.Float:  # noqa: ANN401 - a marshmallow field has options of many types
    """Return a field for a TOML number; marshmallow alone accepts text too."""
    return fields.Float(pre_load=_refuse_text, **options)


def _read_by(kind: Callable[[str], T]) -> Callable[[str], T]:
    def read(text: str) -> T:
        try:
            return kind(text)
        except ValueError as error:
            raise ValidationError(f"is {error}") from error

    return read


def _refuse_text(value: object) -> object:
    if isinstance(value, str):
        raise ValidationError("Not a valid number.")
    return value


# Clients see this text, and FHIR forbids blank strings.
_SHOWN: Final = validate.And(
    _NOT_EMPTY,
    validate.Length(max=500),
    validate.Regexp(r"(?!\s+$)", error="Must not be blank."),
    validate.Regexp(r"[^\x00-\x1f\x7f-\x9f]*\Z", error="Has a control character."),
)
_MOST_SECONDS: Final = 365 * 86_400


# No answer arrives in less time, and at a lower rate a refresh takes days.
_LEAST_TIMEOUT_S: Final = 0.1
_LEAST_RATE: Final = 0.01


class UnitSchema(Schema):
    """The settings of a unit."""

    error_messages = unknown_key("is no setting of a unit")

    hsa_id = _identifier(HsaId, required=True)
    name = fields.String(required=True, validate=_SHOWN)
    organization = _identifier(HsaId, load_default=None)
    organization_name = fields.String(load_default=None, validate=_SHOWN)
    phone = fields.String(load_default=None, validate=_SHOWN)
    street = fields.String(load_default=None, validate=_SHOWN)
    postal_code = fields.String(load_default=None, validate=_SHOWN)
    city = fields.String(load_default=None, validate=_SHOWN)
    latitude = _number(load_default=None, validate=validate.Range(-90, 90))
    longitude = _number(load_default=None, validate=validate.Range(-180, 180))


class IndexedSourceSchema(Schema):
    """What the posts of a source have in common, where this program keeps the index."""

    error_messages = unknown_key("is no setting of the index")

    source_system = _identifier(HsaId, required=True)
    data_controller = fields.String(
        required=True, validate=[_SHOWN, validate.Length(max=64)]
    )

    @post_load
    def _indexed(self, data: dict[str, Any], **_: object) -> IndexedSource:
        return IndexedSource(**data)


class SourceSchema(Schema):
    """The settings of a source."""

    error_messages = unknown_key("is no setting of a source")

    adapter = fields.String(required=True)
    title = fields.String(required=True, validate=_SHOWN)
    prefixes = fields.List(
        fields.String(validate=validate.Length(min=1)),
        required=True,
        validate=validate.Length(min=1),
    )
    agent = _identifier(HsaId, required=True)
    refresh_subject = fields.String(
        post_load=_read_by(PersonalIdentityNumber), required=True
    )
    units_from = _identifier(HsaId, load_default=None)
    schedule_address = _identifier(LogicalAddress, load_default=None)
    calls_per_second = _number(
        load_default=1.0, validate=validate.Range(_LEAST_RATE, 1000)
    )
    calls_in_flight = fields.Integer(
        strict=True, load_default=2, validate=validate.Range(1, 100)
    )
    horizon_days = fields.Integer(
        strict=True, load_default=90, validate=validate.Range(1, 366)
    )
    window_days = fields.Integer(
        strict=True, load_default=90, validate=validate.Range(1, 366)
    )
    read_timeout_s = _number(
        load_default=8.0, validate=validate.Range(_LEAST_TIMEOUT_S, 60)
    )
    # A write that was sent 15 s late must be answered while its process still has the
    # lease of it: 100 s (services/booking/sending.py).
    write_timeout_s = _number(
        load_default=32.0, validate=validate.Range(_LEAST_TIMEOUT_S, 80)
    )
    settles_within_s = _number(load_default=90.0, validate=validate.Range(1, 86_400))
    writes_in_flight = fields.Integer(
        strict=True, load_default=8, validate=validate.Range(1, 100)
    )
    fresh_for_s = _number(load_default=600.0, validate=validate.Range(1, _MOST_SECONDS))
    offered_for_s = _number(
        load_default=1800.0, validate=validate.Range(1, _MOST_SECONDS)
    )
    reason_limit = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(1, 100_000)
    )
    mode = fields.Enum(Mode, by_value=True, load_default=Mode.CACHED)
    live_timeout_s = _number(
        load_default=5.0, validate=validate.Range(_LEAST_TIMEOUT_S, 60)
    )
    live_calls = fields.Integer(
        strict=True, load_default=20, validate=validate.Range(1, 100)
    )
    # A row of a block has sixteen bits for the number of its schedule.
    most_slots = fields.Integer(
        strict=True, load_default=20_000, validate=validate.Range(1, 65_535)
    )
    county = _identifier(CountyCode, load_default=None)
    phone = fields.String(load_default=None, validate=_SHOWN)
    time_types = fields.String(load_default=None)
    engagement_index = fields.Nested(IndexedSourceSchema, load_default=None)
    options = fields.Dict(keys=fields.String(), load_default=dict)
    units = fields.List(fields.Nested(UnitSchema), load_default=list)


# Inera's, of the aggregating services on the national service platform.
_NATIONAL_ADDRESS: Final = LogicalAddress("5565594230")


class AggregateSchema(Schema):
    """The settings of an aggregating service."""

    error_messages = unknown_key("is no setting of an aggregating service")

    adapter = fields.String(load_default="scheduling_1_1")
    title = fields.String(required=True, validate=_SHOWN)
    logical_address = _identifier(LogicalAddress, load_default=_NATIONAL_ADDRESS)
    sources = fields.List(
        fields.String(validate=_NOT_EMPTY),
        load_default=None,
        validate=validate.Length(min=1),
    )
    read_timeout_s = _number(
        load_default=8.0, validate=validate.Range(_LEAST_TIMEOUT_S, 60)
    )
    phone = fields.String(load_default=None, validate=_SHOWN)
    options = fields.Dict(keys=fields.String(), load_default=dict)
