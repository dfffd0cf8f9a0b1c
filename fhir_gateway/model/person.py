"""
The resident: personal numbers and a booking's subject of care.

Numbers follow Skatteverket's form (SKV 704, SKV 707): twelve digits, a calendar date
(day + 60 in a coordination number) and a Luhn check digit over the last ten. No `repr`
here shows a number or a name, so that none reaches a log.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final, NoReturn, Self

__all__ = [
    "OLDEST_YEARS",
    "NumberKind",
    "PersonalIdentityNumber",
    "SubjectOfCare",
    "has_check_digit",
    "is_plausible_birth",
    "is_possible_number",
]

OLDEST_YEARS: Final = 150
"""The oldest possible age by a number: test persons are born from 1890 on."""

_TWELVE_DIGITS: Final = re.compile(r"[0-9]{12}")
_COORDINATION_DAY_OFFSET: Final = 60
# A digit's value, and the sum of the digits of its double.
_SINGLE: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_CENTURIES: Final = frozenset({"18", "19", "20"})


class NumberKind(Enum):
    """Which register a number belongs to."""

    PERSONNUMMER = "personnummer"
    SAMORDNINGSNUMMER = "samordningsnummer"


class PersonalIdentityNumber:
    """
    A `personnummer` or `samordningsnummer`, checked, twelve digits.

    Raises:
        ValueError: The text is not twelve digits, its date is impossible, or its
            check digit is wrong. The message never repeats the text.
    """

    __slots__ = ("_digits", "kind")

    def __init__(self, digits: str) -> None:
        if not _TWELVE_DIGITS.fullmatch(digits):
            raise ValueError(
                "not a personal number: expected 12 digits, YYYYMMDDNNNN, without"
                " hyphen"
            )
        day = int(digits[6:8])
        coordination = day > _COORDINATION_DAY_OFFSET
        try:
            date(
                int(digits[:4]),
                int(digits[4:6]),
                day - _COORDINATION_DAY_OFFSET if coordination else day,
            )
        except ValueError:
            raise ValueError(
                "not a personal number: its first 8 digits are not a date"
            ) from None
        if not has_check_digit(digits[2:].encode()):
            raise ValueError("not a personal number: its check digit is wrong")
        self._digits = digits
        self.kind = (
            NumberKind.SAMORDNINGSNUMMER if coordination else NumberKind.PERSONNUMMER
        )

    @property
    def born_on(self) -> date:
        """Return the day of birth that the number says."""
        day = int(self._digits[6:8])
        if self.kind is NumberKind.SAMORDNINGSNUMMER:
            day -= _COORDINATION_DAY_OFFSET
        return date(int(self._digits[:4]), int(self._digits[4:6]), day)

    def reveal(self) -> str:
        """Return the twelve digits, for a message to a region or an encrypted row."""
        return self._digits

    def __repr__(self) -> str:
        return f"{type(self).__name__}(************)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a personal number is not pickled: it would be in clear text")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PersonalIdentityNumber):
            return NotImplemented
        return self._digits == other._digits

    def __hash__(self) -> int:
        return hash(self._digits)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubjectOfCare:
    """
    The resident of a booking, with the details that a region requires.

    First and last name are those of the population register, at most five days old
    (crm:scheduling 1.1.5); the client vouches for that.
    """

    number: PersonalIdentityNumber
    first_name: str
    last_name: str
    middle_name: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def as_mapping(self) -> dict[str, str]:
        """Return the fields that have a value, for an encrypted row."""
        mapping = {"number": self.number.reveal()}
        for name in self.__slots__[1:]:
            value = getattr(self, name)
            if value is not None:
                mapping[name] = value
        return mapping

    @classmethod
    def from_mapping(cls, mapping: dict[str, str]) -> Self:
        """Return the subject that `as_mapping` described."""
        fields = dict(mapping)
        number = PersonalIdentityNumber(fields.pop("number"))
        return cls(number=number, **fields)


def is_possible_number(digits: str) -> bool:
    """
    Return whether twelve characters could be a personal number with one wrong digit.

    Temporary numbers have a letter, or a year, month or day without births.
    """
    if not _TWELVE_DIGITS.fullmatch(digits) or digits[:2] not in _CENTURIES:
        return False
    day = int(digits[6:8])
    try:
        date(int(digits[:4]), int(digits[4:6]), day % _COORDINATION_DAY_OFFSET or day)
    except ValueError:
        return False
    return True


def is_plausible_birth(born_on: date, today: date) -> bool:
    """Return whether somebody who was born that day can be alive today."""
    born = (born_on.year + OLDEST_YEARS, born_on.month, born_on.day)
    return born_on <= today and born >= (today.year, today.month, today.day)


def has_check_digit(digits: bytes) -> bool:
    """
    Return whether the last of ten digits is Luhn's check digit of the others.

    A search in a text asks this of thousands of digits, so it has no loop of Python's.
    """
    doubled = sum(digits[::2].translate(_DOUBLED))
    return (doubled + sum(digits[1::2].translate(_SINGLE))) % 10 == 0
