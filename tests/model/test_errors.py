"""
Errors: each says what kind it is, who caused it, and where.
"""

import inspect
import traceback
from typing import Any

import pytest

from fhir_gateway.model import errors
from fhir_gateway.model.errors import (
    Category,
    GatewayError,
    MalformedAnswer,
    Party,
    SourceFault,
    TimeslotTaken,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import SourceName

NORR = SourceName("norr")
KINDS: list[type[GatewayError]] = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError)
]
EVERY_KIND = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in KINDS]
)


def _error(kind: type[GatewayError], **options: Any) -> GatewayError:
    if "element" in inspect.signature(kind).parameters:
        options.setdefault("element", "bookingId")
    return kind("It went wrong.", **options)


def test_every_error_is_public() -> None:
    """Each kind of error is in the module's public names."""
    assert {kind.__name__ for kind in KINDS} | {"Category", "Party"} == set(
        errors.__all__
    )


@EVERY_KIND
def test_error_has_a_category_and_a_party(kind: type[GatewayError]) -> None:
    """Each kind has a category and, by default, a party that caused it."""
    error = _error(kind)

    assert (type(error.category), error.party) == (Category, kind.default_party)


def test_categories_belong_to_errors() -> None:
    """No category is without an error that has it."""
    assert {kind.category for kind in KINDS} == set(Category)


def test_only_what_is_not_special_is_the_gateways_own_fault() -> None:
    """A failure without a better name is a fault, and the gateway's."""
    assert [kind.__name__ for kind in KINDS if kind.category is Category.FAULT] == [
        "GatewayError"
    ]
    assert GatewayError("x").party is Party.GATEWAY


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=kind.__name__)
        for kind in KINDS
        # The others are raised before any source is known.
        if "source" in inspect.signature(kind).parameters
    ],
)
def test_error_says_where_it_happened(kind: type[GatewayError]) -> None:
    """Source and interaction are part of what is printed, in every form."""
    error = _error(kind, source=NORR, interaction="MakeBooking")

    expected = "It went wrong. (source norr, MakeBooking)"
    assert (str(error), f"{error}", error.message) == (
        expected,
        expected,
        "It went wrong.",
    )
    assert expected in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("source", "interaction", "text"),
    [
        pytest.param(None, None, "It went wrong.", id="neither"),
        pytest.param(NORR, None, "It went wrong. (source norr)", id="a source"),
        pytest.param(
            None, "MakeBooking", "It went wrong. (MakeBooking)", id="an interaction"
        ),
    ],
)
def test_error_says_what_it_knows(
    source: SourceName | None, interaction: str | None, text: str
) -> None:
    """Where only one of the two is known, that one is said."""
    error = Unavailable("It went wrong.", source=source, interaction=interaction)

    assert (str(error), error.source, error.interaction) == (text, source, interaction)


@pytest.mark.parametrize(
    "party", [pytest.param(party, id=party.name) for party in Party]
)
def test_a_named_party_is_the_party(party: Party) -> None:
    """A party that is named goes before that of the class."""
    assert WriteUnconfirmed("x", party=party).party is party


def test_source_fault_keeps_its_code() -> None:
    """The platform's code is kept beside the text."""
    error = SourceFault(
        "It went wrong.",
        source=NORR,
        interaction="GetBookingDetails",
        party=Party.PLATFORM,
        code="VP007",
    )

    assert (error.code, error.party, str(error)) == (
        "VP007",
        Party.PLATFORM,
        "It went wrong. (source norr, GetBookingDetails)",
    )


def test_malformed_answer_keeps_its_element() -> None:
    """What could not be read is named, and is a fault of the source without code."""
    error = MalformedAnswer("It went wrong.", element="timeslotDetail", source=NORR)

    assert (error.element, error.code, error.party) == (
        "timeslotDetail",
        None,
        Party.REGION,
    )


@pytest.mark.parametrize(
    ("kind", "caught_as"),
    [
        pytest.param(TimeslotTaken, errors.Conflict, id="taken is a conflict"),
        pytest.param(errors.Stale, errors.Conflict, id="stale is a conflict"),
        pytest.param(MalformedAnswer, SourceFault, id="malformed is a source's fault"),
    ],
)
def test_special_error_is_caught_as_its_general_one(
    kind: type[GatewayError], caught_as: type[GatewayError]
) -> None:
    """Who handles the general case handles the special one."""
    assert issubclass(kind, caught_as)


@EVERY_KIND
def test_error_of_a_write_is_never_mistaken_for_one_of_a_read(
    kind: type[GatewayError],
) -> None:
    """An unknown outcome is caught by its own name alone."""
    is_unconfirmed = issubclass(kind, WriteUnconfirmed)

    assert is_unconfirmed == (kind.category is Category.UNCONFIRMED)
    assert not (is_unconfirmed and issubclass(kind, Unavailable | SourceFault))
