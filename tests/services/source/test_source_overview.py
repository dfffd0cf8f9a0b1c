"""
How a source stands, and what `fhir-gateway sources` makes of it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from builders import NORR, NOW, UNIT, VISIT, source
from rich.console import Console

from fhir_gateway.model import scheduling
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.source import Mode
from fhir_gateway.services.source.source_overview import SourceOverview, SourceState
from fhir_gateway.source_table import overview_json, overview_tables
from fhir_gateway.stores.sightings import LiveSighting, ResidentLoss
from fhir_gateway.stores.source_status import FailingQuestion, SourceStatus

ERROR = "The source did not answer in time."
FAILING = FailingQuestion(unit=UNIT, time_type_id=VISIT, since=NOW, error=ERROR)


LOSS = Loss(
    interaction=scheduling.GET_AVAILABLE_TIMESLOTS,
    unit=UNIT,
    time_type_id=VISIT,
    reason="of another time type",
    count=2,
)


def overview(mode: Mode = Mode.CACHED, **changed: Any) -> SourceOverview:
    """Return a source that is well."""
    fields: dict[str, Any] = {
        "source": NORR,
        "last_answer_at": NOW,
        "failing_since": None,
        "last_error": None,
        "reported_at": NOW,
        "worker": "host-1",
        "calls_last_minute": 58,
        "questions": 12,
        "oldest_answer_at": NOW - timedelta(minutes=9, seconds=5),
        "slots": 340,
        "rejected": {"past": 3, "unmapped": 20},
    }
    return SourceOverview(
        source=source(mode=mode), status=SourceStatus(**fields | changed), moment=NOW
    )


def printed(*overviews: SourceOverview) -> str:
    """Return what is printed."""
    console = Console(file=StringIO(), width=140)
    for table in overview_tables(overviews):
        console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    return text


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, SourceState.WELL, id="well"),
        pytest.param(
            {"reported_at": NOW - timedelta(seconds=61)},
            SourceState.UNATTENDED,
            id="old",
        ),
        pytest.param(
            {"reported_at": None}, SourceState.UNATTENDED, id="never reported"
        ),
        pytest.param({"failing_since": NOW}, SourceState.UNAVAILABLE, id="failing"),
        pytest.param(
            {"failing": (FAILING,)}, SourceState.FAILING_IN_PART, id="a unit fails"
        ),
        pytest.param(
            {"broken": ("GetAllPerformers",)},
            SourceState.FAILING_IN_PART,
            id="a contract fails",
        ),
        pytest.param(
            {"losses": (LOSS,)}, SourceState.READ_IN_PART, id="something was left out"
        ),
        pytest.param(
            {"losses": (replace(LOSS, is_elsewhere=True),)},
            SourceState.WELL,
            id="another source's unit was left out",
        ),
        pytest.param({"unanswered": 1}, SourceState.FILLING, id="at the start"),
        pytest.param(
            {"oldest_answer_at": NOW - timedelta(minutes=11)},
            SourceState.AGEING,
            id="ageing",
        ),
        pytest.param({"oldest_answer_at": None}, SourceState.WELL, id="no block"),
    ],
)
def test_the_state_is_the_first_that_fits(
    changed: dict[str, Any], expected: SourceState
) -> None:
    """Each state has its sign."""
    assert overview(**changed).state is expected


def test_a_live_sources_losses_within_searches_count() -> None:
    """They stand beside what the worker has reported."""
    reported = replace(overview(mode=Mode.LIVE), live_losses=(LOSS,))

    assert reported.state is SourceState.READ_IN_PART
    assert overview_json(reported)["losses"][0]["reason"] == "of another time type"
    assert "of another time type" in printed(reported)


@pytest.mark.parametrize(
    ("unanswered", "failing_since", "expected"),
    [
        pytest.param(3, NOW, SourceState.UNAVAILABLE, id="nothing"),
        pytest.param(1, None, SourceState.FAILING_IN_PART, id="in part"),
        pytest.param(0, None, SourceState.WELL, id="everything"),
    ],
)
def test_a_live_source_stands_as_its_last_questions_went(
    unanswered: int, failing_since: datetime | None, expected: SourceState
) -> None:
    """The worker asks it no times, so that its own word is only half of it."""
    error = ERROR if unanswered else None
    live = LiveSighting(
        seen_at=NOW,
        asked=3,
        unanswered=unanswered,
        failing_since=failing_since,
        last_error=error,
    )
    seen = replace(overview(Mode.LIVE), live=live)

    assert seen.state is expected
    assert overview_json(seen)["live"] == {
        "seen_at": "2026-03-02T06:00:00+01:00",
        "asked": 3,
        "unanswered": unanswered,
        "failing_since": failing_since and "2026-03-02T06:00:00+01:00",
        "last_error": error,
    }
    assert f"live, {expected.value}" in printed(seen)
    assert seen.last_error == error


def test_losses_of_answers_about_residents_count() -> None:
    """They stand beside what the worker has reported, by contract and reason."""
    lost = ResidentLoss(
        interaction=scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
        reason="timeslotDetail/startTimeInclusive: is missing",
        count=7,
    )
    reported = replace(overview(), resident_losses=(lost,))

    assert reported.state is SourceState.READ_IN_PART
    assert overview_json(reported)["resident_losses"] == [
        {
            "interaction": "GetSubjectOfCareSchedule",
            "reason": "timeslotDetail/startTimeInclusive: is missing",
            "count": 7,
        }
    ]
    assert "GetSubjectOfCareSchedule" in printed(reported)


def test_a_source_without_a_status_is_unheard_of() -> None:
    """Without a status there is nothing to say but that."""
    unheard = SourceOverview(source=source(), status=None, moment=NOW)

    assert unheard.state is SourceState.UNHEARD
    assert overview_json(unheard) == {
        "source": "norr",
        "title": "Region Norr",
        "mode": "cached",
        "state": "unheard of",
        "oldest_age_s": None,
        "budget_calls_per_minute": 60.0,
        "live": None,
        "resident_losses": [],
    }
    assert "unheard of" in printed(unheard)


def test_json_has_everything() -> None:
    """A program gets all that is known."""
    assert overview_json(
        overview(failing=(FAILING,), unanswered=1, losses=(LOSS,))
    ) == {
        "source": "norr",
        "title": "Region Norr",
        "mode": "cached",
        "state": "failing in part",
        "worker": "host-1",
        "told_at": "2026-03-02T06:00:00+01:00",
        "last_answer_at": "2026-03-02T06:00:00+01:00",
        "failing_since": None,
        "last_error": None,
        "oldest_answer_at": "2026-03-02T05:50:55+01:00",
        "oldest_age_s": 545,
        "calls_last_minute": 58,
        "budget_calls_per_minute": 60.0,
        "slots": 340,
        "questions": 12,
        "unanswered": 1,
        "broken": [],
        "failing": [
            {
                "unit": UNIT,
                "time_type": VISIT,
                "since": "2026-03-02T06:00:00+01:00",
                "error": ERROR,
            }
        ],
        "rejected": {"past": 3, "unmapped": 20},
        "live": None,
        "resident_losses": [],
        "losses": [
            {
                "interaction": "GetAvailableTimeslots",
                "unit": UNIT,
                "time_type": VISIT,
                "reason": "of another time type",
                "count": 2,
                "is_elsewhere": False,
            }
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        "norr",
        "well",
        "9 min 05 s",
        "58/60",
        "340",
        "past: 3",
        "unmapped: 20",
    ],
)
def test_the_table_shows_what_matters(text: str) -> None:
    """State, age, calls against budget, slots, and what was rejected and why."""
    assert text in printed(overview())


def test_what_fails_alone_is_listed() -> None:
    """With unit, time type and error."""
    text = printed(overview(failing=(FAILING,), last_error=ERROR))

    assert "What does not answer" in text
    assert UNIT in text


def test_nothing_is_listed_where_nothing_fails() -> None:
    """There is one table alone."""
    assert "What does not answer" not in printed(overview())


def test_a_live_source_is_marked() -> None:
    """Its state is that of its catalogue."""
    assert "live, well" in printed(overview(Mode.LIVE))
