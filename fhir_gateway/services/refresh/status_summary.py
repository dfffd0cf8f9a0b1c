"""
The contents of a source's status, from the state of its questions.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.loss import Loss
from fhir_gateway.services.refresh.question import TIMES, Question
from fhir_gateway.services.refresh.queue import QuestionState
from fhir_gateway.services.source.breaker import Breaker
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.stores.source_status import FailingQuestion

__all__ = [
    "block_keys",
    "broken",
    "failing_questions",
    "most_frequent",
    "oldest_answer",
    "silent_staff",
]

States = Mapping[Question, QuestionState]

_MOST_REPORTED: Final = 1_000


def failing_questions(states: States) -> tuple[FailingQuestion, ...]:
    """
    Return the failing questions, the longest failing first, up to a thousand.

    Those about staff are left out (`silent_staff`): searches go on without them.
    """
    failing = [
        FailingQuestion(
            unit=question.unit,
            time_type_id=question.time_type_id,
            since=state.failing_since,
            error=state.error,
        )
        for question, state in states.items()
        if state.failing_since is not None
        and question.interaction != scheduling.GET_ALL_PERFORMERS
    ]
    return tuple(sorted(failing, key=lambda each: each.since)[:_MOST_REPORTED])


def silent_staff(states: States) -> tuple[HsaId, ...]:
    """Return the units that do not answer about their staff, up to a thousand."""
    silent = sorted(
        question.unit
        for question, state in states.items()
        if state.failing_since is not None
        and question.interaction == scheduling.GET_ALL_PERFORMERS
    )
    return tuple(silent[:_MOST_REPORTED])


def most_frequent(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Return the losses, the largest first, up to a thousand."""
    return tuple(sorted(losses, key=lambda each: -each.count)[:_MOST_REPORTED])


def broken(breakers: Mapping[Interaction, Breaker]) -> tuple[str, ...]:
    """Return the names of the interactions that fail as a whole."""
    return tuple(
        interaction.name
        for interaction, breaker in breakers.items()
        if breaker.failing_since is not None
    )


def oldest_answer(states: States) -> datetime | None:
    """Return when the oldest block was answered; None when there is none."""
    return min(
        (
            state.answered_at
            for question, state in states.items()
            if question.interaction == TIMES and state.answered_at is not None
        ),
        default=None,
    )


def block_keys(source: SourceName, states: States) -> list[BlockKey]:
    """Return the keys of the blocks that there can be."""
    return [
        BlockKey(source=source, unit=question.unit, time_type_id=question.time_type_id)
        for question in states
        if question.time_type_id is not None
    ]
