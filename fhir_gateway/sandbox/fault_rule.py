"""
Fault rules: which calls a region shall answer wrongly, and how.

Tests add rules over HTTP. They are no part of the contract.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.engagement import UPDATE
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.log_entry import STORE_LOG

__all__ = ["BadRule", "FaultKind", "FaultRule", "FaultRules", "fault_rule_from_json"]


class FaultKind(Enum):
    """
    How a call fails.

    `REFUSE` cannot refuse the connection, since all regions share one port. It resets
    the connection after the request line and the headers, before it reads the body
    (with `units`, after the body), and writes no row to the ledger. The client sees a
    reset, and cannot know that nothing was read. To test a refused connection, use a
    port on which nothing listens.
    """

    REFUSE = "refuse"
    HANG = "hang"
    ANSWER_LATE = "answer-late"
    DROP_AFTER_PROCESSING = "drop-after-processing"
    DROP_BEFORE_PROCESSING = "drop-before-processing"
    DELIVER_NOTHING = "deliver-nothing"
    EMPTY = "empty"
    VP_FAULT = "vp-fault"
    ERROR = "error"
    INFO = "info"
    EARLY_HINTS = "early-hints"
    ANSWER_TWICE = "answer-twice"
    WRONG_STATUS = "wrong-status"
    SET_COOKIE = "set-cookie"


LISTS: Final = (
    frozenset(scheduling.INTERACTIONS)
    - scheduling.WRITES
    - {scheduling.GET_BOOKING_DETAILS}
)

# Only an answer with items can be empty, and only a write has a result code.
_APPLIES_TO: Final[Mapping[FaultKind, frozenset[Interaction]]] = {
    FaultKind.EMPTY: LISTS,
    FaultKind.ERROR: scheduling.WRITES | {STORE_LOG, UPDATE},
    FaultKind.INFO: scheduling.WRITES | {STORE_LOG, UPDATE},
}
_DEFAULT_SECONDS: Final[Mapping[FaultKind, float]] = {
    FaultKind.HANG: 30.0,
    FaultKind.ANSWER_LATE: 5.0,
    FaultKind.EARLY_HINTS: 0.3,
    FaultKind.ANSWER_TWICE: 0.3,
}
_DEFAULT_STATUS: Final[Mapping[FaultKind, int]] = {FaultKind.EARLY_HINTS: 103}
_MOST_SECONDS: Final = 3_600
_DEFAULT_TEXT: Final[Mapping[FaultKind, str]] = {
    FaultKind.ERROR: "Det gick inte att genomföra just nu.",
    FaultKind.INFO: "Kom tio minuter före.",
}
_FIELDS: Final = (
    "after",
    "code",
    "count",
    "fault",
    "interactions",
    "seconds",
    "status",
    "text",
    "units",
)


class BadRule(ValueError):
    """The JSON describes no rule; the message lists the valid values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """
    Which calls shall fail.

    Attributes:
        interactions: Only calls of these interactions.
        units: Only calls to these logical addresses; empty for all.
        count: How many more calls shall fail; None for all until the rule is cleared.
        seconds: The length of a hang or a delay, the time before a drop, or the time
            between the first part of an answer and the rest.
        code: The platform's code in a `VP_FAULT`; the result code of a log service's
            ERROR, such as `VALIDATION_ERROR`.
        status: The HTTP status of `WRONG_STATUS`, or of `EARLY_HINTS`'s interim answer.
        after: `VP_FAULT`, `DELIVER_NOTHING` and `WRONG_STATUS` process the call first.
            Otherwise nothing is done, and `WRONG_STATUS` answers a write with OK.
        text: The text of ERROR and INFO.
    """

    kind: FaultKind
    interactions: frozenset[Interaction]
    units: frozenset[str] = frozenset()
    count: int | None = None
    seconds: float = 0.0
    code: str = "VP009"
    status: int = 500
    after: bool = False
    text: str = ""

    def covers(self, interaction: Interaction | None, unit: str | None) -> bool:
        """Return whether the rule applies to a call."""
        return interaction in self.interactions and (
            not self.units or (unit or "").upper() in self.units
        )

    def as_json(self, left: int | None) -> dict[str, Any]:
        """Return its fields, with the rest of its count."""
        return {
            "fault": self.kind.value,
            "interactions": sorted(each.name for each in self.interactions),
            "units": sorted(self.units),
            "count": left,
            "seconds": self.seconds,
            "code": self.code,
            "status": self.status,
            "after": self.after,
            "text": self.text,
        }


class FaultRules:
    """The rules of one region, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[tuple[FaultRule, int | None]] = []

    def add(self, rule: FaultRule) -> None:
        """Add a rule after the existing ones."""
        with self._lock:
            self._rules.append((rule, rule.count))

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules that still apply."""
        with self._lock:
            return [rule.as_json(left) for rule, left in self._rules]

    def take(
        self,
        interaction: Interaction | None,
        unit: str | None,
        *,
        kinds: Collection[FaultKind] = frozenset(FaultKind),
        needs_units: bool = False,
    ) -> FaultRule | None:
        """
        Return the first rule that covers a call, and count the call.

        Args:
            interaction: The interaction of the call; None if unknown.
            unit: The logical address of the call.
            kinds: Only rules of these kinds.
            needs_units: Only rules with units.
        """
        with self._lock:
            for index, (rule, left) in enumerate(self._rules):
                if (
                    rule.kind not in kinds
                    or (needs_units and not rule.units)
                    or not rule.covers(interaction, unit)
                ):
                    continue
                if left == 1:
                    del self._rules[index]
                elif left is not None:
                    self._rules[index] = (rule, left - 1)
                return rule
        return None


def fault_rule_from_json(
    data: object,
    interactions: frozenset[Interaction],
    kinds: frozenset[FaultKind] = frozenset(FaultKind),
) -> FaultRule:
    """
    Return the rule that a JSON object describes.

    Args:
        data: The object.
        interactions: Those of the producer that the rule is for.
        kinds: Those that the producer knows.

    Raises:
        BadRule: It describes none; the message lists the valid values.
    """
    if not isinstance(data, dict):
        raise BadRule("expected a JSON object with the field 'fault'")
    unknown = sorted(set(data) - set(_FIELDS))
    if unknown:
        raise BadRule(f"unknown field {unknown[0]!r}; valid are {', '.join(_FIELDS)}")
    try:
        kind = FaultKind(data.get("fault"))
    except ValueError:
        valid = ", ".join(each.value for each in FaultKind)
        raise BadRule(f"unknown fault; valid are {valid}") from None
    if kind not in kinds:
        raise BadRule(f"{kind.value!r} does not apply here")
    return FaultRule(
        kind=kind,
        interactions=_interactions(kind, data.get("interactions"), interactions),
        units=frozenset(text.strip().upper() for text in _texts(data, "units")),
        count=_count(data.get("count")),
        seconds=_seconds(kind, data.get("seconds")),
        code=_text(data, "code", "VP009"),
        status=_status(kind, data.get("status")),
        after=_flag(data, "after"),
        text=_text(data, "text", _DEFAULT_TEXT.get(kind, "")),
    )


def _interactions(
    kind: FaultKind, names: object, of_producer: frozenset[Interaction]
) -> frozenset[Interaction]:
    valid = _APPLIES_TO.get(kind, of_producer) & of_producer
    if not valid:
        raise BadRule(f"{kind.value!r} does not apply here")
    if names is None:
        return valid
    try:
        requested = set(_texts({"interactions": names}, "interactions"))
    except BadRule:
        requested = set()
    chosen = frozenset(each for each in valid if each.name in requested)
    if not chosen or {each.name for each in chosen} != requested:
        listed = ", ".join(sorted(each.name for each in valid))
        raise BadRule(f"interactions for {kind.value!r} must be some of {listed}")
    return chosen


def _texts(data: Mapping[str, object], field: str) -> list[str]:
    value = data.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRule(f"{field} must be a list of texts")
    texts = [item for item in value if isinstance(item, str) and item.strip()]
    if not texts or len(texts) != len(value):
        raise BadRule(f"{field} must be a list of texts")
    return texts


def _text(data: Mapping[str, object], field: str, default: str) -> str:
    value = data.get(field, default)
    if not isinstance(value, str):
        raise BadRule(f"{field} must be a text")
    return value


def _flag(data: Mapping[str, object], field: str) -> bool:
    value = data.get(field, False)
    if not isinstance(value, bool):
        raise BadRule(f"{field} must be true or false")
    return value


def _count(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRule("count must be a whole number, 1 or more")
    return value


def _seconds(kind: FaultKind, value: object) -> float:
    if value is None:
        return _DEFAULT_SECONDS.get(kind, 0.0)
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 0 <= value <= _MOST_SECONDS
    ):
        raise BadRule(f"seconds must be a number from 0 to {_MOST_SECONDS}")
    return float(value)


def _status(kind: FaultKind, value: object) -> int:
    if value is None:
        return _DEFAULT_STATUS.get(kind, 500)
    first, last = (100, 199) if kind is FaultKind.EARLY_HINTS else (200, 599)
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not first <= value <= last
    ):
        raise BadRule(f"status of {kind.value!r} must be from {first} to {last}")
    return value
