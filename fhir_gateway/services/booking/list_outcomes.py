"""
Outcomes of a resident's list of bookings: what is missing, source by source.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fhir_gateway.model.booking import (
    BookedTimes,
)
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import instant_text

__all__ = [
    "MOST_BOOKINGS",
    "one_for_each_problem",
    "outcomes_of_answers",
    "outcomes_of_unasked",
]

# Of one answer. A resident has a few bookings, and each is looked up and recorded.
MOST_BOOKINGS: Final = 200


def outcomes_of_answers(
    source: Source, answers: Sequence[BookedTimes], unshown: int, beyond: int
) -> list[SourceOutcome]:
    """Return outcomes for what a source's answers lack, and for outdated parts."""
    lacks = Counter(
        {
            "bookings cannot be shown": unshown,
            f"bookings beyond {MOST_BOOKINGS} of one answer were left out": beyond,
        }
    )
    for answer in answers:
        lacks.update(
            {
                "units did not answer": len(answer.unanswered),
                "bookings or parts of bookings could not be read": len(
                    answer.unreadable
                ),
                "bookings of other persons were left out": answer.of_others,
                "bookings at units that are not its own were left out": (
                    answer.elsewhere
                ),
            }
        )
    said = [f"{count} {what}" for what, count in lacks.items() if count]
    outcomes = []
    if said:
        outcomes.append(
            SourceOutcome(
                source=source.name,
                problem=SourceProblem.INCOMPLETE,
                detail=f"{source.title}: {'; '.join(said)}.",
            )
        )
    old = [
        part
        for answer in answers
        for part in answer.kept
        if part.is_failed or part.since is None
    ]
    if old:
        since = min((part.since for part in old if part.since), default=None)
        age = f"{instant_text(since)} or later" if since else "an unknown time"
        outcomes.append(
            SourceOutcome(
                source=source.name,
                problem=SourceProblem.STALE,
                detail=(
                    f"{source.title}: {len(old)} units could not be asked just now;"
                    f" their bookings are shown as they were at {age}."
                ),
                since=since,
            )
        )
    return outcomes


def one_for_each_problem(
    outcomes: Iterable[SourceOutcome],
) -> tuple[SourceOutcome, ...]:
    """Return one outcome for each source and problem."""
    kept: Mapping[tuple[SourceName, SourceProblem], SourceOutcome] = {
        (each.source, each.problem): each for each in outcomes
    }
    return tuple(kept.values())


def outcomes_of_unasked(sources: Iterable[Source]) -> list[SourceOutcome]:
    """Return an outcome for each source that is asked only about some units."""
    return [
        SourceOutcome(
            source=source.name,
            problem=SourceProblem.NOT_ASKED,
            detail=(
                f"{source.title} is asked only about units at which this server"
                " knows a booking; times booked elsewhere may be missing."
            ),
        )
        for source in sources
        if source.schedule_address is None
    ]
