"""
Personal numbers: checked, and never shown.
"""

import copy
import dataclasses
import logging
import pickle
import traceback
from datetime import date

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.model.person import (
    NumberKind,
    PersonalIdentityNumber,
    SubjectOfCare,
    is_plausible_birth,
)
from fhir_gateway.model.scheduling import GetAllTimeTypes

TOLVAN = "191212121212"
DIGITS = "not a personal number: expected 12 digits, YYYYMMDDNNNN, without hyphen"
NO_DATE = "not a personal number: its first 8 digits are not a date"
WRONG_CHECK = "not a personal number: its check digit is wrong"
SUBJECT = SubjectOfCare(
    number=PersonalIdentityNumber(TOLVAN),
    first_name="Tolvan-Förnamn",
    middle_name="Tolvan-Mellannamn",
    last_name="Tolvan-Efternamn",
    phone="070-1740605",
    email="tolvan@example.org",
    address="Provgatan 12",
)
SECRETS = [TOLVAN, "Tolvan", "070-1740605", "example.org", "Provgatan"]


def _check_digit(digits: str) -> str:
    """Return the check digit as SKV 704 describes it: by sums of digits."""
    doubled = "".join(
        str(int(digit) * weight)
        for digit, weight in zip(digits, (2, 1, 2, 1, 2, 1, 2, 1, 2), strict=True)
    )
    return str((10 - sum(map(int, doubled)) % 10) % 10)


@st.composite
def _numbers(draw: st.DrawFn, *, day_offset: int = 0) -> str:
    born = draw(st.dates(date(1000, 1, 1)))
    serial = draw(st.integers(0, 999))
    stem = f"{born:%Y%m}{born.day + day_offset:02}{serial:03}"
    return stem + _check_digit(stem[2:])


@pytest.mark.parametrize(
    ("digits", "kind"),
    [
        pytest.param(TOLVAN, NumberKind.PERSONNUMMER, id="personnummer"),
        pytest.param("200002292399", NumberKind.PERSONNUMMER, id="a leap day"),
        pytest.param("191212721219", NumberKind.SAMORDNINGSNUMMER, id="day 72"),
        pytest.param("191212611212", NumberKind.SAMORDNINGSNUMMER, id="day 61"),
        pytest.param("191212911216", NumberKind.SAMORDNINGSNUMMER, id="day 91"),
    ],
)
def test_number_says_what_kind_it_is(digits: str, kind: NumberKind) -> None:
    """A day above sixty makes a samordningsnummer."""
    number = PersonalIdentityNumber(digits)

    assert (number.reveal(), number.kind) == (digits, kind)


@settings(max_examples=examples(200), deadline=None)
@given(_numbers() | _numbers(day_offset=60))
def test_number_with_the_right_check_digit_is_accepted(digits: str) -> None:
    """Any date, any serial and its check digit are a number."""
    assert PersonalIdentityNumber(digits).reveal() == digits


@settings(max_examples=examples(100), deadline=None)
@given(_numbers() | _numbers(day_offset=60))
def test_number_with_any_other_check_digit_is_refused(digits: str) -> None:
    """Of ten check digits nine are wrong."""
    refused = []
    for check in "0123456789":
        try:
            PersonalIdentityNumber(digits[:11] + check)
        except ValueError as error:
            refused.append(str(error))

    assert refused == [WRONG_CHECK] * 9


@settings(max_examples=examples(100), deadline=None)
@given(digits=_numbers(), place=st.integers(8, 11), other=st.integers(1, 9))
def test_number_with_one_digit_mistyped_is_refused(
    digits: str, place: int, other: int
) -> None:
    """The check digit finds any single mistyped digit of the last four."""
    wrong = str((int(digits[place]) + other) % 10)

    with pytest.raises(ValueError, match="check digit"):
        PersonalIdentityNumber(digits[:place] + wrong + digits[place + 1 :])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", DIGITS, id="nothing"),
        pytest.param("1212121212", DIGITS, id="ten digits"),
        pytest.param("121212-1212", DIGITS, id="ten digits with a hyphen"),
        pytest.param("121212+1212", DIGITS, id="a person above a hundred"),
        pytest.param("19121212-1212", DIGITS, id="twelve digits with a hyphen"),
        pytest.param("1912121212123", DIGITS, id="thirteen digits"),
        pytest.param("19121212121", DIGITS, id="eleven digits"),
        pytest.param(" 191212121212", DIGITS, id="a blank before"),
        pytest.param("191212121212\n", DIGITS, id="a line break after"),
        pytest.param("19121212T212", DIGITS, id="a temporary number"),
        pytest.param("19121212121O", DIGITS, id="a letter for a digit"),
        pytest.param(
            TOLVAN.translate({48 + n: 0x660 + n for n in range(10)}),
            DIGITS,
            id="Arabic digits",
        ),
        pytest.param(
            TOLVAN.translate({48 + n: 0xFF10 + n for n in range(10)}),
            DIGITS,
            id="full-width digits",
        ),
        pytest.param("19121212121\u00b2", DIGITS, id="a superscript digit"),
        pytest.param("191213121212", NO_DATE, id="month 13"),
        pytest.param("191200121212", NO_DATE, id="month 00"),
        pytest.param("191212001212", NO_DATE, id="day 00"),
        pytest.param("191212321212", NO_DATE, id="day 32"),
        pytest.param("191212601212", NO_DATE, id="day 60"),
        pytest.param("191212921212", NO_DATE, id="day 92"),
        pytest.param("190002291212", NO_DATE, id="29 February of no leap year"),
        pytest.param("190002891212", NO_DATE, id="89 February of no leap year"),
        pytest.param("000012121212", NO_DATE, id="year 0000"),
        pytest.param("000000000000", NO_DATE, id="zeros"),
        pytest.param("191212121213", WRONG_CHECK, id="a wrong check digit"),
    ],
)
def test_text_that_is_no_number_is_refused(text: str, message: str) -> None:
    """What is no number is refused, and neither error nor traceback repeats it."""
    with pytest.raises(ValueError, match="not a personal number") as caught:
        PersonalIdentityNumber(text)

    shown = "".join(traceback.format_exception(caught.value)[-1:])
    assert str(caught.value) == message
    assert not text or text not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_numbers_are_compared_by_their_digits() -> None:
    """Two of the same digits are one and the same."""
    number = PersonalIdentityNumber(TOLVAN)

    assert {number, PersonalIdentityNumber(TOLVAN)} == {number}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(PersonalIdentityNumber("200002292399"), id="another number"),
        pytest.param(TOLVAN, id="its own digits as text"),
        pytest.param(int(TOLVAN), id="its own digits as an integer"),
        pytest.param(None, id="nothing"),
    ],
)
def test_number_differs_from_anything_else(other: object) -> None:
    """A number equals nothing but a number of the same digits."""
    assert PersonalIdentityNumber(TOLVAN) != other


# ------------------------------------------------------------------------ never shown


@dataclasses.dataclass(frozen=True)
class Holder:
    """A dataclass with a repr that shows its fields."""

    number: PersonalIdentityNumber
    subject: SubjectOfCare
    actor: Actor


HOLDER = Holder(SUBJECT.number, SUBJECT, Actor.resident(SUBJECT.number))
SHOWN = [
    pytest.param(SUBJECT.number, id="a number"),
    pytest.param(SUBJECT, id="a subject of care"),
    pytest.param(Actor.resident(SUBJECT.number), id="an actor"),
    pytest.param(HOLDER, id="a dataclass that holds them"),
    pytest.param([SUBJECT, {"number": SUBJECT.number}], id="a list and a mapping"),
    pytest.param(
        GetAllTimeTypes(
            unit=HsaId("SE1-A"),
            actor=Actor.resident(SUBJECT.number),
            subject_of_care=SUBJECT.number,
        ),
        id="a question",
    ),
]


def _assert_hidden(text: str) -> None:
    assert text != ""
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("value", SHOWN)
def test_resident_is_hidden_in_text(value: object) -> None:
    """No way of turning it into text shows a digit or a name of a resident."""
    _assert_hidden(f"{value} {value!r} {value!s} {value!a} %s %r" % (value, value))


@pytest.mark.parametrize("value", SHOWN)
def test_resident_is_hidden_in_a_log(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line shows a digit or a name of a resident."""
    logging.getLogger("test").warning("asked for %s and %r", value, value)

    _assert_hidden(caplog.text)


@pytest.mark.parametrize("value", SHOWN)
def test_resident_is_hidden_in_an_exception(value: object) -> None:
    """No exception that is given one shows a digit or a name of a resident."""
    error = LookupError("not found", value)

    _assert_hidden("".join(traceback.format_exception(error)))


@pytest.mark.parametrize("value", SHOWN)
def test_number_is_hidden_from_a_format(value: object) -> None:
    """A format specification is refused, not obeyed."""
    with pytest.raises(TypeError) as caught:
        format(value, ">20")

    _assert_hidden(str(caught.value))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(SUBJECT.number, id="a number"),
        pytest.param([SUBJECT.number], id="a list of numbers"),
    ],
)
def test_number_is_not_pickled(value: object, protocol: int) -> None:
    """Pickle would write the digits in clear, so it is refused."""
    with pytest.raises(TypeError, match="a personal number is not pickled"):
        pickle.dumps(value, protocol)


def test_subject_of_care_is_not_pickled() -> None:
    """A subject of care holds a number, so it is not pickled either."""
    with pytest.raises(TypeError, match="a personal number is not pickled"):
        pickle.dumps(SUBJECT)


def test_subject_of_care_is_copied() -> None:
    """A copy is equal to what was copied; a number is its own copy."""
    assert (copy.copy(SUBJECT), copy.deepcopy(SUBJECT)) == (SUBJECT, SUBJECT)
    assert copy.deepcopy(SUBJECT.number) is SUBJECT.number
    assert copy.copy(SUBJECT.number) is SUBJECT.number


def test_unknown_field_of_a_subject_is_refused_without_its_value() -> None:
    """A mistake in a field's name does not show what was in it."""
    with pytest.raises(TypeError) as caught:
        SubjectOfCare.from_mapping({**SUBJECT.as_mapping(), "phon": "070-1740605"})

    _assert_hidden(str(caught.value))


def test_agent_hides_its_id_as_a_resident_does() -> None:
    """An actor shows its type alone."""
    assert repr(Actor.agent(HsaId("SE1-X"))) == "Actor(type=subject_of_care_agent)"
    assert Actor.agent(HsaId("SE1-X")) == Actor(id="SE1-X", type=ActorType.AGENT)


# --------------------------------------------------------------------- encrypted rows


@pytest.mark.parametrize(
    ("subject", "mapping"),
    [
        pytest.param(
            SUBJECT,
            {
                "number": TOLVAN,
                "first_name": "Tolvan-Förnamn",
                "middle_name": "Tolvan-Mellannamn",
                "last_name": "Tolvan-Efternamn",
                "phone": "070-1740605",
                "email": "tolvan@example.org",
                "address": "Provgatan 12",
            },
            id="with everything",
        ),
        pytest.param(
            SubjectOfCare(
                number=PersonalIdentityNumber(TOLVAN), first_name="T", last_name="P"
            ),
            {"number": TOLVAN, "first_name": "T", "last_name": "P"},
            id="with the least",
        ),
    ],
)
def test_subject_of_care_becomes_a_mapping_and_back(
    subject: SubjectOfCare, mapping: dict[str, str]
) -> None:
    """A mapping holds the fields that have a value, and gives the subject back."""
    assert subject.as_mapping() == mapping
    assert SubjectOfCare.from_mapping(mapping) == subject


def test_mapping_is_left_as_it_was() -> None:
    """Reading a mapping takes nothing out of it."""
    mapping = SUBJECT.as_mapping()

    SubjectOfCare.from_mapping(mapping)

    assert mapping == SUBJECT.as_mapping()


@pytest.mark.parametrize(
    ("born_on", "today", "is_plausible"),
    [
        (date(1876, 1, 1), date(2026, 1, 1), True),
        (date(1876, 1, 1), date(2026, 1, 2), False),
        (date(1876, 1, 1), date(2026, 11, 27), False),
        (date(1876, 11, 28), date(2026, 11, 27), True),
        (date(1876, 2, 29), date(2026, 2, 28), True),
        (date(1876, 2, 29), date(2026, 3, 1), False),
        (date(2026, 11, 27), date(2026, 11, 27), True),
        (date(2026, 11, 28), date(2026, 11, 27), False),
    ],
)
def test_nobody_is_older_than_150_years_to_the_day(
    born_on: date, today: date, *, is_plausible: bool
) -> None:
    """Somebody born within 150 years, and not after today, can be alive."""
    assert is_plausible_birth(born_on, today) is is_plausible
