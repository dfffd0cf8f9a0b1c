"""
Losses: items of a source's answers that this server had to leave out.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Interaction

__all__ = ["Loss", "loss_from_json", "loss_to_json", "losses_of"]

_MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """
    Items of a source's answer that were left out for one reason.

    Attributes:
        interaction: The contract.
        unit: The unit that was asked.
        time_type_id: The time type that was asked for, where one was.
        reason: The element and what is wrong with it, never its value.
        count: How many items.
        is_elsewhere: Another source answers for them, so that nothing is missing.
    """

    interaction: Interaction
    unit: HsaId
    time_type_id: TimeTypeId | None = None
    reason: str
    count: int
    is_elsewhere: bool = False


def losses_of(
    interaction: Interaction,
    unit: HsaId,
    rejected: Iterable[str],
    *,
    time_type_id: TimeTypeId | None = None,
    is_elsewhere: bool = False,
) -> tuple[Loss, ...]:
    """
    Return the losses of one answer, the most frequent reason first.

    An answer with very many reasons has one more loss, which counts the rest.

    Args:
        interaction: The contract.
        unit: The unit that was asked.
        rejected: Why items were left out, one reason for each item; a Counter of
            reasons will do.
        time_type_id: The time type that was asked for, where one was.
        is_elsewhere: Another source answers for the items.
    """
    counted = Counter(rejected)
    named = counted.most_common(_MOST_REASONS)
    rest = counted.total() - sum(count for _, count in named)
    if rest:
        named.append(("other reasons", rest))
    return tuple(
        Loss(
            interaction=interaction,
            unit=unit,
            time_type_id=time_type_id,
            reason=reason,
            count=count,
            is_elsewhere=is_elsewhere,
        )
        for reason, count in named
    )


def loss_to_json(loss: Loss) -> list[Any]:
    """Return a loss as JSON."""
    return [
        loss.interaction.name,
        str(loss.unit),
        None if loss.time_type_id is None else str(loss.time_type_id),
        loss.reason,
        loss.count,
        loss.is_elsewhere,
    ]


def loss_from_json(json: list[Any]) -> Loss:
    """
    Return the loss that `loss_to_json` wrote.

    Raises:
        ValueError: The JSON is not a loss.
    """
    interaction, unit, time_type_id, reason, count, is_elsewhere = json
    return Loss(
        interaction=Interaction(interaction),
        unit=HsaId(unit),
        time_type_id=None if time_type_id is None else TimeTypeId(time_type_id),
        reason=reason,
        count=count,
        is_elsewhere=is_elsewhere,
    )
