"""
What goes wrong between the gateway and a region, and in which mixes.

Waits are in the seconds of `ScaledTime`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction

__all__ = ["MIXES", "UNHARMED", "Fault", "Mix"]

W: Final = scheduling.WRITES
R: Final = frozenset(
    {
        scheduling.GET_AVAILABLE_TIMESLOTS,
        scheduling.GET_BOOKING_DETAILS,
        scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
        scheduling.GET_ALL_HEALTHCARE_FACILITIES,
    }
)
_BOTH: Final = W | R
_MAKE: Final = frozenset({scheduling.MAKE_BOOKING})
_LIST: Final = frozenset({scheduling.GET_SUBJECT_OF_CARE_SCHEDULE})
_DESCRIBED: Final = frozenset(
    {scheduling.GET_BOOKING_DETAILS, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE}
)


class Fault(Enum):
    """
    One way of going wrong; the value is its name and the calls that it can spoil.

    `…_AFTER` has reached the region, `…_BEFORE` has not.
    """

    NONE = ("none", _BOTH)
    RESET_AFTER = ("processed, then reset", _BOTH)
    CLOSED_AFTER = ("processed, then closed", _BOTH)
    RESET_BEFORE = ("reset before it was processed", _BOTH)
    CLOSED_BEFORE = ("closed before it was processed", _BOTH)
    TWICE = ("delivered twice, 2 s apart", W)
    TWICE_VP009 = ("delivered twice, then VP009", W)
    VP009_AFTER = ("processed, then VP009", _BOTH)
    VP009_BEFORE = ("VP009, never processed", _BOTH)
    NEVER_REACHED = ("VP001 to VP015 but VP009", _BOTH)
    NEVER_REACHED_AFTER = ("processed, then VP001 to VP015 but VP009", W)
    TWICE_NEVER_REACHED = ("delivered twice, then VP001 to VP015 but VP009", W)
    ANSWER_LATE = ("answered at 29.5 s", _BOTH)
    ANSWER_TOO_LATE = ("answered after we gave up", _BOTH)
    ARRIVED_LATE = ("processed after we gave up", W)
    SILENT_AFTER = ("processed, never answered", _BOTH)
    SILENT_BEFORE = ("accepted, never answered", _BOTH)
    SLOW_DRIP = ("processed, answered byte by byte", _BOTH)
    TRUNCATED = ("processed, broken off in the answer", _BOTH)
    TRUNCATED_XML = ("processed, half an envelope", _BOTH)
    CROSS_TALK = ("processed, another request's answer", _BOTH)
    WRONG_PATIENT = ("another person in the answer", _DESCRIBED)
    WRONG_TIME = ("another time in the first list", _LIST)
    HTML = ("processed, HTML with 200", _BOTH)
    NO_CONTENT = ("processed, 204", _BOTH)
    WRONG_ENCODING = ("processed, Latin-1 that says UTF-8", _BOTH)
    GZIP_BOMB = ("processed, gzip of 64 MB", _BOTH)
    HUGE = ("processed, 100 MB", _BOTH)
    WRONG_STATUS = ("processed, answered under 202 to 503", _BOTH)
    WRONG_OK = ("OK under 202 to 503, not done", W)
    EARLY_HINTS = ("processed, 103 and then the answer", _BOTH)
    ANSWERED_TWICE = ("processed, answered twice", _BOTH)
    TOO_MUCH = ("processed, answered with more than its length", _BOTH)
    COOKIE = ("processed, a cookie set", _BOTH)
    REFUSED = ("ERROR, not done", W)
    INFO = ("INFO in the place of OK", W)
    NO_ID = ("OK without bookingId", _MAKE)
    EMPTY_ID = ("OK with an empty bookingId", _MAKE)
    CONNECTION_REFUSED = ("no port listens", frozenset())
    CONNECTION_SILENT = ("connecting is never answered", frozenset())
    SOLD_ELSEWHERE = ("sold by telephone meanwhile", frozenset())

    def __init__(self, text: str, interactions: frozenset[Interaction]) -> None:
        self.text = text
        self.interactions = interactions

    @property
    def is_of_the_port(self) -> bool:
        """Return whether it is no single call that is spoilt."""
        return not self.interactions


@dataclass(frozen=True, kw_only=True)
class Mix:
    """
    Which faults come how often.

    Attributes:
        faults: How often each comes in relation to the others.
        writes: The share of writes that are spoilt.
        reads: The share of reads that are spoilt.
        outages: Faults of a port that come and go all the time.
        sold_elsewhere: The share of bookings at a time taken by telephone.
    """

    name: str
    faults: Mapping[Fault, float] = field(default_factory=dict)
    writes: float = 0.0
    reads: float = 0.0
    outages: tuple[Fault, ...] = ()
    sold_elsewhere: float = 0.0

    def choose(self, interaction: Interaction, chance: random.Random) -> Fault:
        """Return what is to happen to one call."""
        share = self.writes if interaction in scheduling.WRITES else self.reads
        possible = {
            fault: weight
            for fault, weight in self.faults.items()
            if interaction in fault.interactions
        }
        if not possible or chance.random() >= share:
            return Fault.NONE
        return chance.choices(list(possible), list(possible.values()))[0]


def _evenly(*faults: Fault) -> Mapping[Fault, float]:
    return MappingProxyType(dict.fromkeys(faults, 1.0))


UNHARMED: Final = Mix(name="unharmed")

_LOST: Final = (
    Fault.RESET_AFTER,
    Fault.CLOSED_AFTER,
    Fault.RESET_BEFORE,
    Fault.CLOSED_BEFORE,
    Fault.SILENT_AFTER,
    Fault.SILENT_BEFORE,
)
_PLATFORM: Final = (
    Fault.TWICE,
    Fault.TWICE_VP009,
    Fault.VP009_AFTER,
    Fault.VP009_BEFORE,
    Fault.NEVER_REACHED,
    Fault.NEVER_REACHED_AFTER,
    Fault.TWICE_NEVER_REACHED,
)
_LATE: Final = (
    Fault.ANSWER_LATE,
    Fault.ANSWER_TOO_LATE,
    Fault.ARRIVED_LATE,
    Fault.SLOW_DRIP,
)
_GARBLED: Final = (
    Fault.TRUNCATED,
    Fault.TRUNCATED_XML,
    Fault.CROSS_TALK,
    Fault.WRONG_PATIENT,
    Fault.WRONG_TIME,
    Fault.HTML,
    Fault.NO_CONTENT,
    Fault.WRONG_ENCODING,
    Fault.NO_ID,
    Fault.EMPTY_ID,
    Fault.WRONG_STATUS,
    Fault.WRONG_OK,
)
# What a connection that is kept would hand to the next question.
_OUT_OF_STEP: Final = (
    Fault.EARLY_HINTS,
    Fault.ANSWERED_TWICE,
    Fault.TOO_MUCH,
    Fault.COOKIE,
)
# These cost a second of processor time each.
_HEAVY: Final = {Fault.GZIP_BOMB: 0.05, Fault.HUGE: 0.05}
_SAID: Final = (Fault.REFUSED, Fault.INFO)

MIXES: Final = (
    UNHARMED,
    Mix(name="answers lost", faults=_evenly(*_LOST), writes=0.5, reads=0.1),
    Mix(name="the platform", faults=_evenly(*_PLATFORM), writes=0.5, reads=0.1),
    Mix(name="late", faults=_evenly(*_LATE), writes=0.4, reads=0.05),
    Mix(
        name="garbled",
        faults=MappingProxyType({**_evenly(*_GARBLED), **_HEAVY}),
        writes=0.5,
        reads=0.15,
    ),
    Mix(name="out of step", faults=_evenly(*_OUT_OF_STEP), writes=0.4, reads=0.3),
    Mix(
        name="sold elsewhere, refused",
        faults=_evenly(*_SAID),
        writes=0.2,
        sold_elsewhere=0.15,
    ),
    Mix(
        name="unreachable",
        faults=_evenly(Fault.RESET_BEFORE, Fault.RESET_AFTER),
        writes=0.1,
        reads=0.05,
        outages=(Fault.CONNECTION_REFUSED, Fault.CONNECTION_SILENT),
    ),
    Mix(
        name="everything",
        faults=MappingProxyType(
            {
                **_evenly(*_LOST, *_PLATFORM, *_LATE, *_GARBLED, *_SAID, *_OUT_OF_STEP),
                **_HEAVY,
            }
        ),
        writes=0.5,
        reads=0.1,
        outages=(Fault.CONNECTION_REFUSED,),
        sold_elsewhere=0.05,
    ),
)
