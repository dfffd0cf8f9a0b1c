"""
Checking a source: who answers, and what its time types mean.
"""

from dataclasses import replace

from builders import (
    AGENT,
    COVID,
    NORR,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    TOLVAN,
    UNIT,
    VACCINATION,
    VISIT,
    source,
    unit,
)
from doubles import AnsweringAdapter

from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.model.interaction import Actor, GetAllTimeTypes, Interaction
from fhir_gateway.model.source import Budget
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.source_check import SourceReport, check_source

VISITS = TimeType(id=VISIT, name="Besök")
COVIDS = TimeType(id=COVID, name="Covid")
TWO_UNITS = source(
    units=(unit(), unit(OTHER_UNIT)), budget=Budget(calls_per_second=4.0)
)


def nothing(_: float = 0) -> None:
    """Do nothing."""


def test_time_types_are_sorted_by_meaning() -> None:
    """The report counts the mapped and lists the unmapped and the idle."""
    adapter = AnsweringAdapter(
        time_types={UNIT: (VISITS, COVIDS), OTHER_UNIT: (COVIDS,)}
    )
    gone = TimeTypeId("TT-GONE")

    report = check_source(
        TWO_UNITS,
        adapter,
        {
            (UNIT, COVID): (VACCINATION,),
            (UNIT, gone): (VACCINATION,),
            (SOUTHERN_UNIT, COVID): (VACCINATION,),
        },
        pause=nothing,
        progress=nothing,
    )

    assert report == SourceReport(
        source=TWO_UNITS,
        answered=2,
        errors=(),
        mapped=1,
        unmapped=((UNIT, VISITS), (OTHER_UNIT, COVIDS)),
        idle=((UNIT, gone),),
    )


def test_it_asks_as_the_agent() -> None:
    """Every unit is asked once, as the agent, about the agreed number."""
    adapter = AnsweringAdapter()

    check_source(TWO_UNITS, adapter, {}, pause=nothing, progress=nothing)

    assert adapter.calls == [
        GetAllTimeTypes(unit=each, actor=Actor.agent(AGENT), subject_of_care=TOLVAN)
        for each in (UNIT, OTHER_UNIT)
    ]


def test_a_unit_that_does_not_answer_is_named() -> None:
    """What went wrong stands by the unit; its meanings are not called idle."""
    error = Unavailable("The source did not answer in time.", source=NORR)
    adapter = AnsweringAdapter(errors={Interaction.GET_ALL_TIME_TYPES: error})

    report = check_source(
        source(),
        adapter,
        {(UNIT, COVID): (VACCINATION,)},
        pause=nothing,
        progress=nothing,
    )

    assert report == SourceReport(
        source=source(),
        answered=0,
        errors=((UNIT, "The source did not answer in time. (source norr)"),),
        mapped=0,
        unmapped=(),
        idle=(),
    )


def test_it_keeps_to_the_budget() -> None:
    """Between two questions it waits as long as the budget says, and tells of each."""
    pauses: list[float] = []
    steps: list[None] = []

    check_source(
        replace(TWO_UNITS, budget=Budget(calls_per_second=0.001)),
        AnsweringAdapter(),
        {},
        pause=pauses.append,
        progress=lambda: steps.append(None),
    )

    assert len(steps) == 2
    assert [round(pause, -1) for pause in pauses] == [1000, 1000]
