"""
The options of a source of crm:scheduling 1.1.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from pem import write_certificate

from fhir_gateway.adapters.registry import UnusableOptions
from fhir_gateway.adapters.scheduling_1_1.options import (
    BookingIdInMakeBooking,
    Options,
    options_from_mapping,
)
from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId, LogicalAddress

ENDPOINT = {"endpoint": "https://norr.example.org/"}


def test_an_endpoint_is_enough() -> None:
    """Everything but the endpoint has a default that fits the contract."""
    assert options_from_mapping(ENDPOINT) == Options(
        endpoint="https://norr.example.org/",
        logical_address=None,
        consumer=None,
        certificate=None,
        trust=None,
        supports=frozenset(scheduling.INTERACTIONS),
        booking_id_in_make_booking=BookingIdInMakeBooking.OMIT,
        refusal_faults=(),
    )


def test_every_option_is_read(tmp_path: Path) -> None:
    """What the table says stands in the options."""
    certificate = str(write_certificate(tmp_path / "gateway.pem"))
    options = options_from_mapping(
        ENDPOINT
        | {
            "logical_address": "SE2321000016-LA",
            "consumer": "se2321000016-gw",
            "certificate": certificate,
            "trust": certificate,
            "supports": ["GetAllTimeTypes", "MakeBooking"],
            "booking_id_in_make_booking": "slot-id",
            "refusal_faults": ["^resultCode: 30[0-9]{2} "],
        }
    )

    assert options == Options(
        endpoint="https://norr.example.org/",
        logical_address=LogicalAddress("SE2321000016-LA"),
        consumer=HsaId("SE2321000016-GW"),
        certificate=certificate,
        trust=certificate,
        supports=frozenset({scheduling.GET_ALL_TIME_TYPES, scheduling.MAKE_BOOKING}),
        booking_id_in_make_booking=BookingIdInMakeBooking.SLOT_ID,
        refusal_faults=(re.compile("^resultCode: 30[0-9]{2} "),),
    )


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        pytest.param(
            {"endpoint": 7}, ("endpoint", "Not a valid string."), id="a number"
        ),
        pytest.param(
            {"endpoint": "norr.example.org"},
            ("endpoint", "is not an http or https URL"),
            id="an endpoint without a scheme",
        ),
        pytest.param(
            {"endpoint": "http://norr.example.org/"},
            (
                "endpoint",
                (
                    "sends residents' numbers over the network in plain text: use"
                    " https://, or a proxy for TLS on this machine (http://127.0.0.1:…)"
                ),
            ),
            id="plain text to another machine",
        ),
        pytest.param(
            {"consumer": "SE_1"},
            (
                "consumer",
                "not an HSA-id: expected 1 to 31 letters, digits, '.' and '-'",
            ),
            id="a consumer that is no HSA-id",
        ),
        pytest.param(
            {"booking_id_in_make_booking": "always"},
            ("booking_id_in_make_booking", "Must be one of: omit, slot-id."),
            id="an unknown habit",
        ),
        pytest.param(
            {"refusal_faults": [""]},
            ("refusal_faults.0", "Shorter than minimum length 1."),
            id="a pattern that fits every fault",
        ),
        pytest.param(
            {"refusal_faults": ["["]},
            (
                "refusal_faults.0",
                "is no regular expression: unterminated character set at position 0",
            ),
            id="a pattern that is none",
        ),
        pytest.param(
            {"password": "x"},
            ("password", "is no option of the adapter scheduling_1_1"),
            id="an unknown option",
        ),
    ],
)
def test_a_wrong_option_is_named(
    changed: dict[str, Any], fault: tuple[str, str]
) -> None:
    """A wrong option is refused under its name."""
    with pytest.raises(UnusableOptions) as raised:
        options_from_mapping(ENDPOINT | changed)

    assert raised.value.faults == (fault,)


def test_a_missing_endpoint_is_named() -> None:
    """There is no default endpoint."""
    with pytest.raises(UnusableOptions) as raised:
        options_from_mapping({})

    assert raised.value.faults == (("endpoint", "Missing data for required field."),)


def test_several_wrong_options_are_all_named() -> None:
    """Faults that are found after reading come together too."""
    with pytest.raises(UnusableOptions) as raised:
        options_from_mapping(
            {"endpoint": "x", "consumer": "_", "refusal_faults": ["("]}
        )

    assert [name for name, _ in raised.value.faults] == [
        "endpoint",
        "consumer",
        "refusal_faults.0",
    ]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8090/soap",
        "http://[::1]/{interaction}",
        "http://localhost:1/",
    ],
)
def test_an_endpoint_on_this_machine_needs_no_tls(endpoint: str) -> None:
    """On loopback a source is asked in plain text: a proxy may add TLS."""
    assert options_from_mapping({"endpoint": endpoint}).endpoint == endpoint
