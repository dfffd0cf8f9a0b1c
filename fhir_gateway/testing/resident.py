"""
Residents for tests: no person has their numbers.

Skatteverket gives nobody a birth number from 980 to 999, and publishes numbers with
them for tests.
"""

from datetime import date, timedelta

from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare

__all__ = ["resident"]

_FIRST_BORN_ON = date(1985, 1, 1)


def resident(which: int = 0) -> SubjectOfCare:
    """Return the same resident for each call with an ordinal."""
    return SubjectOfCare(
        number=_number(which), first_name="Tolvan", last_name="Tolvansson"
    )


def _number(which: int) -> PersonalIdentityNumber:
    born_on = _FIRST_BORN_ON + timedelta(days=which // 10)
    first = f"{born_on:%Y%m%d}98{which % 10}"
    for check in range(10):
        try:
            return PersonalIdentityNumber(f"{first}{check}")
        except ValueError:
            continue
    raise AssertionError(first)
