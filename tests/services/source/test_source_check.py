"""
Checking a source: who answers what, how, and what its time types mean.
"""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

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
    schedule,
    source,
    southern_source,
    timeslot,
    unit,
)
from doubles import AnsweringAdapter, MovableClock, PlainAdapter

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.ids import TimeTypeId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.scheduling import (
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
)
from fhir_gateway.model.source import Budget, Source
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.services.source.source_check import (
    CheckError,
    Difference,
    SourceReport,
    check_source,
)

VISITS = TimeType(id=VISIT, name="Besök")
COVIDS = TimeType(id=COVID, name="Covid")
TWO_UNITS = source(
    units=(unit(), unit(OTHER_UNIT)), budget=Budget(calls_per_second=4.0)
)
WHO: dict[str, Any] = {"actor": Actor.agent(AGENT), "subject_of_care": TOLVAN}


def nothing(*_: float) -> None:
    """Do nothing."""


def checked(
    adapter: AnsweringAdapter,
    of: Source = TWO_UNITS,
    meanings: dict[Any, Any] | None = None,
    **options: Any,
) -> SourceReport:
    """Check a source as of NOW, without waiting."""
    given = {"pause": nothing, "progress": nothing, "clock": MovableClock()} | options
    return check_source(of, adapter, meanings or {}, **given)


def report(of: Source = TWO_UNITS, **changed: Any) -> SourceReport:
    """Return the report of a source that answers everything and offers nothing."""
    fields: dict[str, Any] = {
        "source": of,
        "units": tuple(each.hsa_id for each in of.units),
        "answered": len(of.units),
        "errors": (),
        "losses": (),
        "differences": (),
        "mapped": 0,
        "unmapped": (),
        "idle": (),
        "without_offer": tuple(each.hsa_id for each in of.units),
    }
    return SourceReport(**fields | changed)


def test_time_types_are_sorted_by_meaning() -> None:
    """The report counts the mapped and lists the unmapped and the idle."""
    adapter = AnsweringAdapter(
        time_types={UNIT: (VISITS, COVIDS), OTHER_UNIT: (COVIDS,)}
    )
    gone = TimeTypeId("TT-GONE")

    found = checked(
        adapter,
        meanings={
            (UNIT, COVID): (VACCINATION,),
            (UNIT, gone): (VACCINATION,),
            (SOUTHERN_UNIT, COVID): (VACCINATION,),
        },
    )

    assert found == report(
        mapped=1,
        unmapped=((UNIT, VISITS), (OTHER_UNIT, COVIDS)),
        idle=((UNIT, gone),),
        without_offer=(),
    )
    assert found.is_well


def test_a_map_of_a_unit_that_the_source_lacks_is_idle() -> None:
    """A unit that has the source's prefix, and is none of its units, is shown."""
    of = source(units=(unit(),))

    found = checked(
        AnsweringAdapter(),
        of,
        {
            (OTHER_UNIT, COVID): (VACCINATION,),
            (SOUTHERN_UNIT, COVID): (VACCINATION,),
        },
    )

    assert found == report(of, idle=((OTHER_UNIT, COVID),))


def test_an_ability_that_a_source_lacks_is_not_asked_for() -> None:
    """A source that can do what every source must is well, and is asked no more."""
    adapter = AnsweringAdapter(time_types={UNIT: (VISITS,)})
    of = source(units=(unit(),))

    found = checked(PlainAdapter(adapter), of)  # type: ignore[arg-type] # it is a SchedulingAdapter

    assert found == report(of, unmapped=((UNIT, VISITS),), without_offer=())
    assert [type(each) for each in adapter.calls] == [
        GetAllTimeTypes,
        GetAvailableTimeslots,
    ]


def test_a_unit_without_time_types_is_named_as_not_asked() -> None:
    """A unit that offers nothing is listed, and nothing is asked about its times."""
    adapter = AnsweringAdapter(time_types={UNIT: (VISITS,)})

    found = checked(adapter)

    assert found == report(
        unmapped=((UNIT, VISITS),),
        without_offer=(OTHER_UNIT,),
    )
    assert [
        each.unit for each in adapter.calls if isinstance(each, GetAvailableTimeslots)
    ] == [UNIT]


def test_each_contract_is_asked_as_the_agent() -> None:
    """All that is asked without a resident is asked, of the mapped time type first."""
    adapter = AnsweringAdapter(time_types={UNIT: (VISITS, COVIDS)})
    about = {
        **WHO,
        "unit": UNIT,
        "first_day": date(2026, 3, 2),
        "last_day": date(2026, 3, 4),
        "time_type_id": COVID,
    }

    checked(
        adapter,
        source(window=timedelta(days=3)),
        meanings={(UNIT, COVID): (VACCINATION,)},
    )

    assert adapter.calls == [
        GetAllTimeTypes(unit=UNIT, **WHO),
        GetAllPerformers(unit=UNIT, **WHO),
        GetAllCareTypes(unit=UNIT, **WHO),
        GetAvailableDates(**about),
        GetAvailableTimeslots(**about),
    ]


def test_the_units_that_a_source_names_itself_are_asked() -> None:
    """A unit of another source is named and not asked."""
    adapter = AnsweringAdapter(
        units=(unit(), unit(SOUTHERN_UNIT)), time_types={UNIT: (VISITS,)}
    )
    of = source(units=(), units_from=UNIT, prefixes=("SE2321000",))

    found = checked(adapter, of, others=(southern_source(),))

    assert adapter.calls[0] == GetAllHealthcareFacilities(unit=UNIT, **WHO)
    assert {each.unit for each in adapter.calls[1:]} == {UNIT}
    assert found == report(
        of,
        units=(UNIT,),
        answered=1,
        unmapped=((UNIT, VISITS),),
        losses=(
            Loss(
                interaction=scheduling.GET_ALL_HEALTHCARE_FACILITIES,
                unit=UNIT,
                reason="SE2321000099-B01 belongs to the source syd",
                count=1,
                is_elsewhere=True,
            ),
        ),
    )
    assert found.is_well


def test_a_contract_that_is_not_supported_is_not_asked() -> None:
    """What the configuration says of the source is believed."""
    adapter = AnsweringAdapter(supports=frozenset({scheduling.GET_ALL_TIME_TYPES}))

    checked(adapter, source())

    assert [type(each) for each in adapter.calls] == [GetAllTimeTypes]


def test_a_unit_that_does_not_answer_is_named() -> None:
    """What went wrong stands by the unit; its meanings are not called idle."""
    error = Unavailable("The source could not be reached.", source=NORR)
    error.detail = "the connection was refused"
    adapter = AnsweringAdapter(errors={scheduling.GET_ALL_TIME_TYPES: error})

    found = checked(adapter, source(), meanings={(UNIT, COVID): (VACCINATION,)})

    assert found == report(
        source(),
        without_offer=(),
        answered=0,
        errors=(
            CheckError(
                interaction=scheduling.GET_ALL_TIME_TYPES,
                unit=UNIT,
                error=(
                    "The source could not be reached. (source norr) [the connection was"
                    " refused]"
                ),
            ),
        ),
    )
    assert not found.is_well


def test_a_faulting_contract_is_named_with_the_time_type() -> None:
    """A unit that says what it offers can still fault when it is asked for times."""
    error = SourceFault("The source answered with a technical fault.", source=NORR)
    error.detail = "Schemat är låst"
    adapter = AnsweringAdapter(
        time_types={UNIT: (VISITS,)},
        errors={scheduling.GET_AVAILABLE_TIMESLOTS: error},
    )

    assert checked(adapter, source()).errors == (
        CheckError(
            interaction=scheduling.GET_AVAILABLE_TIMESLOTS,
            unit=UNIT,
            time_type_id=VISIT,
            error=(
                "The source answered with a technical fault. (source norr) [Schemat är"
                " låst]"
            ),
        ),
    )


def test_what_was_left_out_is_named_by_contract() -> None:
    """Items that the worker would leave out are losses of the report, past ones not."""
    adapter = AnsweringAdapter(
        time_types={UNIT: (VISITS,)},
        is_careless=True,
        timeslots=[timeslot(-1), timeslot(3), timeslot(4, of=schedule(UNIT, COVID))],
        rejected={GetAllCareTypes: ("careTypeId: is missing",)},
    )

    found = checked(adapter, source())

    assert found.losses == (
        Loss(
            interaction=scheduling.GET_ALL_CARE_TYPES,
            unit=UNIT,
            reason="careTypeId: is missing",
            count=1,
        ),
        Loss(
            interaction=scheduling.GET_AVAILABLE_TIMESLOTS,
            unit=UNIT,
            time_type_id=VISIT,
            reason="of another time type",
            count=1,
        ),
    )
    assert not found.is_well


class DifferingAdapter(AnsweringAdapter):
    """An adapter that meets an unknown element in each answer about time types."""

    def watch(self, differs: Any) -> None:
        """Record it."""
        self.before = lambda interaction: differs(interaction, "timeTypID: is no")


def test_unknown_elements_are_counted_by_contract() -> None:
    """What an adapter notices in its source's answers stands in the report."""
    found = checked(
        DifferingAdapter(supports=frozenset({scheduling.GET_ALL_TIME_TYPES}))
    )

    assert found.differences == (
        Difference(
            interaction=scheduling.GET_ALL_TIME_TYPES,
            what="timeTypID: is no",
            count=2,
        ),
    )
    assert not found.is_well


def test_it_keeps_to_the_budget() -> None:
    """Between two questions it waits as long as the budget says, and reports units."""
    pauses: list[float] = []
    steps: list[tuple[int, int]] = []

    checked(
        AnsweringAdapter(supports=frozenset({scheduling.GET_ALL_TIME_TYPES})),
        replace(TWO_UNITS, budget=Budget(calls_per_second=0.001)),
        pause=pauses.append,
        progress=lambda asked, of: steps.append((asked, of)),
    )

    assert steps == [(0, 2), (1, 2), (2, 2)]
    assert [round(pause, -1) for pause in pauses] == [1000, 1000]
