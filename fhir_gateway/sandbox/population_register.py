"""
The sandbox's population register: its ready-made residents, and who may act for whom.

It produces `access.may_act.MayAct`, with the rules that 1177 has today: a guardian acts
for a child until the child's 13th birthday, nobody acts for a teenager, and a proxy
acts as long as the mandate says. No relation of a person with protected identity is
shown. All numbers are Skatteverket's published test numbers, and all names are made up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final

from fhir_gateway.model.grant import Basis
from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import at_start_of_day

__all__ = [
    "GUARDIANSHIPS",
    "PROXIES",
    "RESIDENTS",
    "LeapDayBirthday",
    "PopulationRegister",
    "Proxy",
    "Resident",
]

_CHILD_UNTIL_YEARS: Final = 13


class LeapDayBirthday(Enum):
    """
    When somebody who was born on 29 February has their birthday in other years.

    The earlier of the two takes a guardian's access away first.
    """

    FEBRUARY_28 = (2, 28)
    MARCH_1 = (3, 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Resident:
    """
    A person in the register.

    Attributes:
        key: The sandbox's own name of the person.
        about: What is special about the person, in Swedish.
        is_protected: The person has protected identity (`skyddade personuppgifter`).
    """

    key: str
    number: PersonalIdentityNumber
    first_name: str
    last_name: str
    about: str
    is_protected: bool = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self.key!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """
    A mandate that one resident gave another.

    Attributes:
        actor: The key of who may act.
        subject: The key of who gave the mandate.
        valid_until: When the mandate ends.
    """

    actor: str
    subject: str
    valid_until: datetime


RESIDENTS: Final = (
    Resident(
        key="resident",
        number=PersonalIdentityNumber("191212121212"),
        first_name="Tolvan",
        last_name="Tolvansson",
        about="invånare",
    ),
    Resident(
        key="other-resident",
        number=PersonalIdentityNumber("198112189876"),
        first_name="Annan",
        last_name="Provsson",
        about="en annan invånare",
    ),
    Resident(
        key="parent",
        number=PersonalIdentityNumber("199201172385"),
        first_name="Vera",
        last_name="Provsson",
        about="vårdnadshavare för ett barn och en tonåring",
    ),
    Resident(
        key="child",
        number=PersonalIdentityNumber("201911202388"),
        first_name="Lova",
        last_name="Provsson",
        about="barn under 13 år",
    ),
    Resident(
        key="teenager",
        number=PersonalIdentityNumber("201311012395"),
        first_name="Tore",
        last_name="Provsson",
        about="tonåring, 13 till 15 år fram till november 2029",
    ),
    Resident(
        key="proxy",
        number=PersonalIdentityNumber("199112122396"),
        first_name="Olle",
        last_name="Provsson",
        about="ombud för Tolvan Tolvansson",
    ),
    Resident(
        key="protected",
        number=PersonalIdentityNumber("200001252386"),
        first_name="Skyddad",
        last_name="Uppgift",
        about="har skyddade personuppgifter, och är vårdnadshavare för barnet",
        is_protected=True,
    ),
)

GUARDIANSHIPS: Final = (
    ("parent", "child"),
    ("parent", "teenager"),
    ("protected", "child"),
)
"""The keys of guardians and of their children."""

PROXIES: Final = (
    Proxy(
        actor="proxy",
        subject="resident",
        valid_until=at_start_of_day(date(2036, 1, 1)),
    ),
)


class PopulationRegister:
    """
    Knows who may act for whom.

    Args:
        residents: The persons.
        guardianships: The keys of guardians and of their children.
        proxies: The mandates.
        leap_day_birthday: When a child of 29 February turns 13.
    """

    def __init__(
        self,
        residents: Iterable[Resident] = RESIDENTS,
        guardianships: Iterable[tuple[str, str]] = GUARDIANSHIPS,
        proxies: Iterable[Proxy] = PROXIES,
        *,
        leap_day_birthday: LeapDayBirthday = LeapDayBirthday.FEBRUARY_28,
    ) -> None:
        self._residents = {each.number: each for each in residents}
        self._guardianships = frozenset(guardianships)
        self._proxies = {(each.actor, each.subject): each for each in proxies}
        self._leap_day_birthday = leap_day_birthday

    def mandate(
        self,
        actor: PersonalIdentityNumber,
        subject: PersonalIdentityNumber,
        at: datetime,
    ) -> Mandate | None:
        """
        Return the mandate of one person to act for another at a time.

        None also where a person is not in the register, or has protected identity.
        """
        who, whom = self._residents.get(actor), self._residents.get(subject)
        if who is None or whom is None or who.is_protected or whom.is_protected:
            return None
        pair = who.key, whom.key
        if pair in self._guardianships:
            until = self._end_of_childhood(whom)
            if at < until:
                return Mandate(basis=Basis.GUARDIAN, valid_until=until)
        proxy = self._proxies.get(pair)
        if proxy is not None and at < proxy.valid_until:
            return Mandate(basis=Basis.PROXY, valid_until=proxy.valid_until)
        return None

    def _end_of_childhood(self, child: Resident) -> datetime:
        """Return midnight, Swedish time, at the start of the 13th birthday."""
        born = child.number.born_on
        year = born.year + _CHILD_UNTIL_YEARS
        try:
            birthday = born.replace(year=year)
        except ValueError:
            birthday = date(year, *self._leap_day_birthday.value)
        return at_start_of_day(birthday)
