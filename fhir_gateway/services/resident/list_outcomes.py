"""
Outcomes of a resident's list of bookings: what is missing, and whom to call about it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from fhir_gateway.model.booking import BookedTimes, KeptPart, Silence, SilenceCause
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.found_booking import Way
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.source import Aggregate, Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.services.resident.list_request import ListRequest
from fhir_gateway.services.resident.list_round import Heard
from fhir_gateway.services.resident.merged_list import MOST_BOOKINGS

__all__ = ["INDEX", "ListOutcomes"]

INDEX: Final = SourceName("engagement-index")
"""The name of the engagement index in outcomes, and among those that are asked."""


_CAUSES: Final = {
    SilenceCause.TIMEOUT: " within its time limit",
    SilenceCause.UNREACHABLE: ", which could not reach it",
    SilenceCause.NOT_SUPPORTED: ", which has no route to its bookings",
    SilenceCause.NOT_PERMITTED: ", which may not ask it for this server",
    SilenceCause.INDEX_FAILED: ", because the engagement index failed",
    SilenceCause.UNKNOWN: "",
}
# The units of one answer that get an outcome each.
_MOST_NAMED: Final = 100


class ListOutcomes:
    """
    Says what is missing from one resident's list.

    Args:
        heard: What was heard until the deadline.
        within: How long that was.
        grant: Who asks; an outcome names no unit beyond the grant.
        find_unit: Returns what is known of a unit, if anything.
        unindexed: What may be missing of what the engagement index names; None where
            nothing is.
    """

    def __init__(
        self,
        heard: Heard,
        within: timedelta,
        grant: Grant,
        find_unit: Callable[[HsaId], CareUnit | None],
        unindexed: str | None = None,
    ) -> None:
        self._unindexed = unindexed
        self._heard = heard
        self._seconds = f"{within.total_seconds():g} s"
        self._grant = grant
        self._find_unit = find_unit

    def of_requests(self) -> Iterator[SourceOutcome]:
        """Yield an outcome for each request without an answer that leaves a gap."""
        late = f"did not answer within {self._seconds}"
        for request in self._heard.late:
            yield from self._of_silent(request, late)
        for request in self._heard.failed:
            yield from self._of_silent(request, "could not be asked")

    def of_unread(self, source: Source, unit: HsaId) -> SourceOutcome:
        """Return the outcome of a booking that could not be read in time by itself."""
        return self._missing_unit(
            source, unit, f"did not answer within {self._seconds}"
        )

    def of_answers(
        self,
        unshown: Mapping[SourceName, int],
        beyond: Mapping[SourceName, int],
    ) -> Iterator[SourceOutcome]:
        """
        Yield the outcomes of what the answers lack, and of their cached parts.

        Args:
            unshown: How many listed bookings no client is shown, by source.
            beyond: How many listed bookings were too many, by source.
        """
        asked: dict[SourceName, Source | Aggregate] = {}
        lacks: dict[SourceName, Counter[str]] = {}
        for request, answer in self._heard.answers.items():
            name = request.asked.name
            asked[name] = request.asked
            lacks.setdefault(name, Counter()).update(_lacks_of(answer))
            yield from self._of_parts(request, answer)
            if request.way is Way.AGGREGATED and answer.answered is None:
                yield SourceOutcome(
                    source=name,
                    problem=SourceProblem.INCOMPLETE,
                    detail=(
                        f"{request.asked.title} did not say which units have answered"
                        " it; bookings may be missing:"
                        f" {_whom_to_call(request.asked, None)}."
                    ),
                )
        for name, who in asked.items():
            lacks[name].update(
                {
                    "bookings cannot be shown": unshown.get(name, 0),
                    f"bookings beyond {MOST_BOOKINGS} of one answer were left out": (
                        beyond.get(name, 0)
                    ),
                }
            )
            said = [f"{count} {what}" for what, count in lacks[name].items() if count]
            if said:
                yield SourceOutcome(
                    source=name,
                    problem=SourceProblem.INCOMPLETE,
                    detail=f"{who.title}: {'; '.join(said)}.",
                )

    def of_unasked(self, sources: Iterable[Source]) -> Iterator[SourceOutcome]:
        """
        Yield an outcome for each source that was asked only about some units.

        Where there is one, an engagement index that is away leaves a gap too.
        """
        partly = [
            each
            for each in sources
            if each.schedule_address is None and not self._is_aggregated(each)
        ]
        if partly and self._unindexed is not None:
            yield SourceOutcome(
                source=INDEX, problem=SourceProblem.INCOMPLETE, detail=self._unindexed
            )
        for source in partly:
            yield SourceOutcome(
                source=source.name,
                problem=SourceProblem.NOT_ASKED,
                detail=(
                    f"{source.title} is asked only about units that the resident has a"
                    " relation with ($relations); times booked elsewhere may be"
                    " missing."
                ),
            )

    def _is_aggregated(self, source: Source) -> bool:
        return any(
            request.way is Way.AGGREGATED
            and source.name in request.sources
            and answer.answered is not None
            for request, answer in self._heard.answers.items()
        )

    def _of_silent(self, request: ListRequest, what: str) -> Iterator[SourceOutcome]:
        """Yield the outcome of a request without an answer, unless others make up."""
        asked = request.asked
        if isinstance(asked, Source):
            if request.unit is None:
                yield _missing(asked, asked.title, what, _whom_to_call(asked, None))
            elif not self._is_answered_elsewhere(request, request.unit):
                yield self._missing_unit(asked, request.unit, what)
        elif not self._lists_all(asked.sources):
            yield SourceOutcome(
                source=asked.name,
                problem=SourceProblem.UNAVAILABLE,
                detail=(
                    f"{asked.title} {what}; bookings at units that this server does not"
                    f" know of may be missing: {_whom_to_call(asked, None)}."
                ),
            )

    def _missing_unit(
        self, asked: Source | Aggregate, unit: HsaId, what: str
    ) -> SourceOutcome:
        known = self._find_unit(unit)
        name = known.name if known else unit
        return _missing(
            asked, f"{name} ({asked.title})", what, _whom_to_call(asked, known)
        )

    def _of_parts(
        self, request: ListRequest, answer: BookedTimes
    ) -> Iterator[SourceOutcome]:
        """Yield an outcome for each unit of which an answer has no data of now."""
        silences = {each.unit.upper(): each for each in answer.silences}
        parts: list[SourceOutcome] = []
        for address in dict.fromkeys(each.upper() for each in answer.unanswered):
            unit = self._unit_of(request, address)
            if unit is not None:
                silence = silences.get(address) or Silence(
                    unit=LogicalAddress(address), cause=SilenceCause.UNKNOWN
                )
                parts.append(self._of_silence(request, unit, silence))
        for part in answer.kept:
            unit = self._unit_of(request, part.unit.upper())
            if unit is not None:
                parts.append(self._of_kept(request, unit, part))
        yield from parts[:_MOST_NAMED]
        if len(parts) > _MOST_NAMED:
            asked = request.asked
            yield SourceOutcome(
                source=asked.name,
                problem=SourceProblem.INCOMPLETE,
                detail=(
                    f"{asked.title} has no present data of"
                    f" {len(parts) - _MOST_NAMED} further units:"
                    f" {_whom_to_call(asked, None)}."
                ),
            )

    def _unit_of(self, request: ListRequest, address: str) -> HsaId | str | None:
        """
        Return the unit of an address; None where nothing of it is missing.

        Nothing is, if another answer has the unit's bookings, or if the principal may
        see none of them.
        """
        try:
            unit = HsaId(address)
        except ValueError:
            return address if self._grant.reaches((address,)) else None
        if not self._grant.reaches((unit,)):
            return None
        return None if self._is_answered_elsewhere(request, unit) else unit

    def _of_silence(
        self, request: ListRequest, unit: str, silence: Silence
    ) -> SourceOutcome:
        asked = request.asked
        known = self._known(unit)
        name = _name(known)
        if request.unit is not None:
            what = f"is missing from the answer of {asked.title}"
        else:
            what = f"did not answer {asked.title}{_CAUSES[silence.cause]}"
        return SourceOutcome(
            source=asked.name,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                f"{name} {what}; its bookings may be missing or out of date:"
                f" {_whom_to_call(asked, known)}."
            ),
            since=silence.last_answered_at,
        )

    def _of_kept(
        self, request: ListRequest, unit: str, part: KeptPart
    ) -> SourceOutcome:
        asked = request.asked
        known = self._known(unit)
        name = _name(known)
        age = instant_text(part.since) if part.since else "an unknown time"
        if part.is_failed or part.since is None:
            problem = SourceProblem.STALE
            what = "could not be asked just now"
        else:
            problem = SourceProblem.CACHED
            what = f"was not asked, since {asked.title} has its list in a cache"
        return SourceOutcome(
            source=asked.name,
            problem=problem,
            detail=(
                f"{name} {what}; its bookings are shown as they were at {age}, and"
                f" newer ones may be missing: {_whom_to_call(asked, known)}."
            ),
            since=part.since,
        )

    def _known(self, unit: str) -> CareUnit | None:
        return self._find_unit(unit) if isinstance(unit, HsaId) else None

    def _is_answered_elsewhere(self, request: ListRequest, unit: HsaId) -> bool:
        """Return whether another answer has a unit's bookings as they are now."""
        return any(
            other is not request
            and other.unit in (None, unit)
            and not request.sources.isdisjoint(other.sources)
            and _has_now(other, answer, unit)
            for other, answer in self._heard.answers.items()
        )

    def _lists_all(self, sources: Iterable[SourceName]) -> bool:
        """Return whether each source has listed all its bookings directly."""
        return all(
            any(
                request.asked.name == name
                and request.unit is None
                and answer.is_whole
                and not answer.kept
                for request, answer in self._heard.answers.items()
            )
            for name in sources
        )


def _name(unit: CareUnit | None) -> str:
    """Return a unit's name; another system's text is not shown in its place."""
    return unit.name if unit else "A unit that this server does not know"


def _has_now(request: ListRequest, answer: BookedTimes, unit: HsaId) -> bool:
    """Return whether an answer certainly has all bookings of a unit, as of now."""
    named = {each.upper() for each in answer.unanswered}
    named |= {each.unit.upper() for each in answer.kept}
    if unit in named:
        return False
    if answer.answered is None:
        return request.way is Way.DIRECT
    return unit in {each.upper() for each in answer.answered}


def _lacks_of(answer: BookedTimes) -> dict[str, int]:
    return {
        "bookings or parts of bookings could not be read": len(answer.unreadable),
        "bookings of other persons were left out": answer.of_others,
        "bookings at units that are not its own were left out": answer.elsewhere,
    }


def _missing(
    asked: Source | Aggregate, place: str, what: str, contact: str
) -> SourceOutcome:
    return SourceOutcome(
        source=asked.name,
        problem=SourceProblem.UNAVAILABLE,
        detail=(
            f"{place} {what}; its bookings may be missing or out of date: {contact}."
        ),
    )


def _whom_to_call(asked: Source | Aggregate, unit: CareUnit | None) -> str:
    if unit is not None and unit.phone:
        return f"call {unit.name}, {unit.phone}"
    if asked.phone:
        return f"call {asked.title}, {asked.phone}"
    return f"contact {unit.name if unit else 'the unit where you expect one'}"
