"""
When there is a new publication of the open feed.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from doubles import MovableClock

from fhir_gateway.web.bulk_publish.publisher import Publisher


@dataclass
class Published:
    """A publication, and what the publisher asks about it and its files."""

    moment: datetime
    version: int = 1
    until: float = 0.0
    files: tuple[Any, ...] = ()
    errors: tuple[Any, ...] = ()


@dataclass
class Surroundings:
    """A search in which something changes all the time, and files that take work."""

    clock: MovableClock = field(default_factory=MovableClock)
    work: timedelta = timedelta()
    holds: bool = False

    def everything(self) -> datetime:
        """Return what is free."""
        return self.clock()

    def still_holds(self, _version: int, _until: float) -> bool:
        """Return whether nothing has changed."""
        return self.holds

    def begin(self, _names: Any) -> None:
        """Begin a publication."""


@pytest.mark.parametrize(
    ("work_s", "holds", "age_s", "is_new"),
    [
        (0, False, 59, False),
        (0, False, 60, True),
        (0, True, 3600, False),
        (30, False, 149, False),
        (30, False, 150, True),
        (3600, False, 299, False),
        (3600, False, 300, True),
    ],
)
def test_when_there_is_a_new_publication(
    work_s: float, *, holds: bool, age_s: float, is_new: bool
) -> None:
    """After a minute, or five times the work up to five minutes, if things changed."""
    around: Any = Surroundings(work=timedelta(seconds=work_s), holds=holds)
    make: Any = Published
    publisher = Publisher(around, around, make, clock=around.clock)
    first = publisher.present()
    around.clock.forward(seconds=age_s)

    assert (publisher.present() is not first) is is_new
