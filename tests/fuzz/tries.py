"""
The classes of bad input, and how many tries each gets.

`make test` makes a few tries of each class. `make fuzz` loads hypothesis's profile
`fuzz`, and makes all of them.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec

from hypothesis import HealthCheck, Phase, settings

__all__ = [
    "CLASSES",
    "MOST_TRIES",
    "TRIED",
    "BadInput",
    "add_tries",
    "is_full",
    "tried",
]

P = ParamSpec("P")

MOST_TRIES: Final = "FUZZ_TRIES"
"""The variable with the most tries of a class that `make fuzz` makes."""

TRIED: Final[Counter[str]] = Counter()
"""How many tries of each class this process has made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadInput:
    """
    A class of bad input.

    Attributes:
        name: As the table in `docs/testing.md` has it.
        module: The module of its tests, after `test_`.
        tries: How many `make fuzz` makes.
        few: How many `make test` makes.
        minutes: `make fuzz` begins no try after this time.
        is_exhaustive: There are as many tries as there are combinations.
    """

    name: str
    module: str
    tries: int
    few: int
    minutes: int = 20
    is_exhaustive: bool = False


CLASSES: Final = (
    BadInput(
        name="search parameters", module="search_parameters", tries=20_000, few=150
    ),
    BadInput(name="dates and times", module="dates", tries=5_000, few=100),
    BadInput(
        name="Appointment bodies", module="appointment_bodies", tries=20_000, few=120
    ),
    BadInput(name="JSON", module="json", tries=5_000, few=100),
    BadInput(name="XML replies", module="xml_replies", tries=50_000, few=400),
    BadInput(name="personal numbers", module="personal_numbers", tries=10_000, few=150),
    BadInput(name="HSA-ids", module="hsa_ids", tries=2_000, few=100),
    BadInput(name="ids", module="ids", tries=5_000, few=100),
    BadInput(name="tokens", module="tokens", tries=3_000, few=100),
    BadInput(name="scopes", module="scopes", tries=2_000, few=300, is_exhaustive=True),
    BadInput(
        name="other patients",
        module="other_patients",
        tries=20_000,
        few=120,
        minutes=60,
    ),
    BadInput(name="HTTP", module="http", tries=2_000, few=60),
    BadInput(name="OpenAPI", module="openapi", tries=1_000, few=8),
    BadInput(name="proxy headers", module="proxy_headers", tries=200, few=40),
    BadInput(name="request keys", module="request_keys", tries=2_000, few=40),
    BadInput(
        name="configuration",
        module="configuration",
        tries=1_000,
        few=100,
        is_exhaustive=True,
    ),
)

_BY_NAME: Final = {each.name: each for each in CLASSES}
# Of a failure that is being made smaller, no try is left out.
_failed: set[str] = set()
_began_s: dict[str, float] = {}


def is_full() -> bool:
    """Return whether all tries are to be made."""
    return settings.get_current_profile_name() == "fuzz"


def add_tries(name: str, number: int = 1) -> None:
    """Count tries of a class that hypothesis did not choose."""
    TRIED[name] += number


def tried(
    name: str, share: float = 1, *, in_one: int = 1
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """
    Let hypothesis make the tries of a class.

    Args:
        name: The class.
        share: The part of its tries that this test makes.
        in_one: How many tries one example holds; the test counts all but the first.
    """
    of = _BY_NAME[name]
    number = of.tries if is_full() else of.few
    if is_full():
        number = min(number, int(os.environ.get(MOST_TRIES, number)))
    deadline_s = of.minutes * 60 * share

    def decorated(test: Callable[P, None]) -> Callable[P, None]:
        @wraps(test)
        def counted(*args: P.args, **kwargs: P.kwargs) -> None:
            key = f"{name} {test.__name__}"
            began_s = _began_s.setdefault(key, time.monotonic())
            if key not in _failed and time.monotonic() - began_s > deadline_s:
                return
            TRIED[name] += 1
            try:
                test(*args, **kwargs)
            except Exception:
                _failed.add(key)
                raise

        result: Any = settings(
            max_examples=max(1, int(number * share / in_one)),
            deadline=None,
            # Without Phase.explain: it runs a failed example many times more.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=[
                HealthCheck.function_scoped_fixture,
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
                HealthCheck.large_base_example,
            ],
        )(counted)
        return result  # type: ignore[no-any-return] # hypothesis has no type for it

    return decorated
