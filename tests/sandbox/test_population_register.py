"""
Who may act for whom in the sandbox's population register.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Final

import pytest

from fhir_gateway.access.may_act import MayAct
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import at_start_of_day
from fhir_gateway.sandbox.population_register import (
    RESIDENTS,
    LeapDayBirthday,
    PopulationRegister,
    Resident,
)

AT: Final = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
NUMBERS: Final = {each.key: each.number for each in RESIDENTS}
MOMENT: Final = timedelta(microseconds=1)


def mandate(actor: str, subject: str, at: datetime = AT) -> Mandate | None:
    """Return a ready-made resident's mandate for another one."""
    register: MayAct = PopulationRegister()
    return register.mandate(NUMBERS[actor], NUMBERS[subject], at)


def child(digits: str) -> Resident:
    """Return a child in the register."""
    return Resident(
        key="child",
        number=PersonalIdentityNumber(digits),
        first_name="Lova",
        last_name="Provsson",
        about="",
    )


def parent() -> Resident:
    """Return the ready-made parent."""
    return next(each for each in RESIDENTS if each.key == "parent")


def test_nobody_else_acts_for_another() -> None:
    """Of all pairs, the parent acts for the child, and the proxy for the resident."""
    pairs = {
        (actor, subject): found.basis
        for actor, subject in product(NUMBERS, NUMBERS)
        if (found := mandate(actor, subject)) is not None
    }

    assert pairs == {
        ("parent", "child"): Basis.GUARDIAN,
        ("proxy", "resident"): Basis.PROXY,
    }


def test_guardianship_ends_at_the_thirteenth_birthday() -> None:
    """A guardian acts until midnight, Swedish time, when the child turns 13."""
    midnight = datetime(2032, 11, 19, 23, 0, tzinfo=UTC)

    assert mandate("parent", "child", midnight - MOMENT) == Mandate(
        basis=Basis.GUARDIAN, valid_until=midnight
    )
    assert mandate("parent", "child", midnight) is None


@pytest.mark.parametrize(
    ("rule", "day"),
    [
        (LeapDayBirthday.FEBRUARY_28, date(2029, 2, 28)),
        (LeapDayBirthday.MARCH_1, date(2029, 3, 1)),
    ],
)
def test_a_child_of_a_leap_day_turns_13_on_one_of_two_days(
    rule: LeapDayBirthday, day: date
) -> None:
    """Who was born on 29 February turns 13 on 28 February or 1 March, as configured."""
    born = child("201602292383")
    register = PopulationRegister([parent(), born], leap_day_birthday=rule)
    birthday = at_start_of_day(day)

    assert register.mandate(NUMBERS["parent"], born.number, birthday - MOMENT)
    assert register.mandate(NUMBERS["parent"], born.number, birthday) is None


def test_a_proxy_acts_until_the_mandate_ends() -> None:
    """A mandate that one resident gave another ends at its end."""
    end = datetime(2035, 12, 31, 23, 0, tzinfo=UTC)

    assert mandate("proxy", "resident", end - MOMENT) == Mandate(
        basis=Basis.PROXY, valid_until=end
    )
    assert mandate("proxy", "resident", end) is None


def test_nothing_is_known_of_a_stranger() -> None:
    """A person who is not in the register acts for nobody, and nobody for them."""
    stranger = PersonalIdentityNumber("197501019801")
    register = PopulationRegister()

    assert register.mandate(stranger, NUMBERS["child"], AT) is None
    assert register.mandate(NUMBERS["parent"], stranger, AT) is None


def test_no_guardian_acts_for_a_protected_child() -> None:
    """A child with protected identity has no guardian that the register shows."""
    hidden = Resident(
        key="child",
        number=NUMBERS["child"],
        first_name="Skyddad",
        last_name="Uppgift",
        about="",
        is_protected=True,
    )
    register = PopulationRegister([parent(), hidden])

    assert register.mandate(NUMBERS["parent"], hidden.number, AT) is None


def test_a_teenager_acts_alone() -> None:
    """Nobody acts for a teenager, not even a guardian."""
    assert mandate("parent", "teenager") is None


def test_no_text_of_a_resident_shows_who_it_is() -> None:
    """Neither number nor name stands in the text of a resident."""
    assert repr(RESIDENTS[0]) == "Resident(key='resident')"
