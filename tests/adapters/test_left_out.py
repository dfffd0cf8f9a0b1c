"""
What an adapter leaves out of the lists in an answer, and what it says of it.
"""

from datetime import date
from typing import Any

from builders import AGENT, NORR, TOLVAN, UNIT, schedule

from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
)
from fhir_gateway.model.timeslot import AvailableDate, TimeType

from .conftest import Answers

ASKED: dict[str, Any] = {
    "unit": UNIT,
    "actor": Actor.agent(AGENT),
    "subject_of_care": TOLVAN,
}
NOT_AN_HSA_ID = "not an HSA-id: expected 1 to 31 letters, digits, '.' and '-'"
OF_ANOTHER_UNIT = "healthcare_facility: is another unit than the one that was asked"


def test_a_time_type_without_a_name_is_named_by_its_id(answers: Answers) -> None:
    """The schema permits an empty timeTypeName; the id serves as the name."""
    adapter = answers(
        "GetAllTimeTypes",
        "<ListOfTimeTypes><c:timeTypeName/><c:timeTypeId>4</c:timeTypeId>"
        "</ListOfTimeTypes>"
        "<ListOfTimeTypes><c:timeTypeId>5</c:timeTypeId></ListOfTimeTypes>",
    )

    assert adapter.get_all_time_types(GetAllTimeTypes(**ASKED), timeout=1) == Listed(
        (
            TimeType(id=TimeTypeId("4"), name="4"),
            TimeType(id=TimeTypeId("5"), name="5"),
        )
    )


def test_a_time_type_without_an_id_is_left_out_and_named(answers: Answers) -> None:
    """What is missing stands beside the time types that could be read."""
    adapter = answers(
        "GetAllTimeTypes",
        "<ListOfTimeTypes><c:timeTypeName>A</c:timeTypeName><c:timeTypID>4</c:timeTypID>"
        "</ListOfTimeTypes><ListOfTimeTypes><c:timeTypeName>B</c:timeTypeName>"
        "<c:timeTypeId>5</c:timeTypeId></ListOfTimeTypes>",
    )

    assert adapter.get_all_time_types(GetAllTimeTypes(**ASKED), timeout=1) == Listed(
        (TimeType(id=TimeTypeId("5"), name="B"),),
        ("ListOfTimeTypes/timeTypID: is no element of the contract",),
    )


def test_a_care_type_without_a_name_is_named_by_its_id(answers: Answers) -> None:
    """The schema permits an empty careTypeName; the id serves as the name."""
    adapter = answers(
        "GetAllCareTypes",
        "<careTypes><c:careTypeName/><c:careTypeId>4</c:careTypeId></careTypes>",
    )

    assert adapter.get_all_care_types(GetAllCareTypes(**ASKED), timeout=1) == Listed(
        (("4", "4"),)
    )


def test_a_second_name_of_one_time_type_is_left_out_and_named(answers: Answers) -> None:
    """The first one stands; the same one again says nothing new."""
    adapter = answers(
        "GetAllTimeTypes",
        "".join(
            f"<ListOfTimeTypes><c:timeTypeName>{name}</c:timeTypeName>"
            f"<c:timeTypeId>{code}</c:timeTypeId></ListOfTimeTypes>"
            for name, code in (
                ("Vaccination", "4"),
                ("Besök", "5"),
                ("Ultraljud", "4"),
                ("Besök", "5"),
                ("Provtagning", "4"),
            )
        ),
    )

    assert adapter.get_all_time_types(GetAllTimeTypes(**ASKED), timeout=1) == Listed(
        (
            TimeType(id=TimeTypeId("4"), name="Vaccination"),
            TimeType(id=TimeTypeId("5"), name="Besök"),
        ),
        ("ListOfTimeTypes/timeTypeId: occurs again, with another name",) * 2,
    )


def test_a_second_name_of_one_performer_is_left_out_and_named(answers: Answers) -> None:
    """An HSA-id in other letters is the same one."""
    adapter = answers(
        "GetAllPerformers",
        "".join(
            f"<performerInfos><c:perfomer>{hsa_id}</c:perfomer>"
            f"<c:lastName>{name}</c:lastName></performerInfos>"
            for hsa_id, name in (
                ("SE2321000016-P01", "Ek"),
                ("se2321000016-p01", "Lind"),
                ("SE2321000016-P01", "Ek"),
            )
        ),
    )

    assert adapter.get_all_performers(GetAllPerformers(**ASKED), timeout=1) == Listed(
        (Performer(hsa_id=HsaId("SE2321000016-P01"), first_name="", last_name="Ek"),),
        ("performerInfos/perfomer: occurs again, with another name",),
    )


def test_a_second_name_of_one_unit_is_left_out_and_named(answers: Answers) -> None:
    """Which of the two a client would see may not depend on their order in time."""
    adapter = answers(
        "GetAllHealthcareFacilities",
        "".join(
            f"<healthcareFacilityInfos><c:healthcare_facility>{UNIT}"
            f"</c:healthcare_facility><c:healthcare_facility_name>{name}"
            "</c:healthcare_facility_name></healthcareFacilityInfos>"
            for name in ("Norr", "Söder")
        ),
    )

    answer = adapter.get_all_healthcare_facilities(
        GetAllHealthcareFacilities(**ASKED), timeout=1
    )

    (rejected,) = answer.rejected
    assert [each.name for each in answer.items] == ["Norr"]
    assert rejected == (
        "healthcareFacilityInfos/healthcare_facility: occurs again, with another name"
    )


def test_a_second_name_of_one_care_type_is_left_out_and_named(answers: Answers) -> None:
    """The first one stands."""
    adapter = answers(
        "GetAllCareTypes",
        "<careTypes><c:careTypeName>A</c:careTypeName><c:careTypeId>4</c:careTypeId>"
        "</careTypes><careTypes><c:careTypeName>B</c:careTypeName>"
        "<c:careTypeId>4</c:careTypeId></careTypes>",
    )

    assert adapter.get_all_care_types(GetAllCareTypes(**ASKED), timeout=1) == Listed(
        (("4", "A"),), ("careTypes/careTypeId: occurs again, with another name",)
    )


def test_a_performer_without_a_first_name_is_kept(answers: Answers) -> None:
    """The schema permits empty names; staff with an HSA-id can be chosen."""
    adapter = answers(
        "GetAllPerformers",
        "<performerInfos><c:perfomer>SE2321000016-P01</c:perfomer><c:firstName/>"
        "<c:lastName>Ek</c:lastName></performerInfos>",
    )

    assert adapter.get_all_performers(GetAllPerformers(**ASKED), timeout=1) == Listed(
        (Performer(hsa_id=HsaId("SE2321000016-P01"), first_name="", last_name="Ek"),)
    )


def test_a_performer_with_a_malformed_hsa_id_is_left_out_and_named(
    answers: Answers,
) -> None:
    """A person without a usable HSA-id cannot be shown; the others can."""
    adapter = answers(
        "GetAllPerformers",
        "<performerInfos><c:perfomer>SE2321000016-P 1</c:perfomer></performerInfos>"
        "<performerInfos><c:perfomer>SE2321000016-P02</c:perfomer></performerInfos>",
    )

    assert adapter.get_all_performers(GetAllPerformers(**ASKED), timeout=1) == Listed(
        (Performer(hsa_id=HsaId("SE2321000016-P02"), first_name="", last_name=""),),
        ("performerInfos[1]/perfomer: not an HSA-id",),
    )


def test_a_unit_with_a_malformed_id_is_left_out_and_named(answers: Answers) -> None:
    """One bad id costs that unit alone; its place is named, its value is not."""
    adapter = answers(
        "GetAllHealthcareFacilities",
        f"<healthcareFacilityInfos><c:healthcare_facility>{UNIT}"
        "</c:healthcare_facility></healthcareFacilityInfos><healthcareFacilityInfos>"
        "<c:healthcare_facility>19121212-1212 X</c:healthcare_facility>"
        "</healthcareFacilityInfos>",
    )

    found = adapter.get_all_healthcare_facilities(
        GetAllHealthcareFacilities(**ASKED), timeout=1
    )

    assert found == Listed(
        (CareUnit(hsa_id=UNIT, name=UNIT, source=NORR),),
        (f"healthcareFacilityInfos[2]/healthcare_facility: {NOT_AN_HSA_ID}",),
    )


def test_a_date_that_is_none_or_of_another_unit_is_left_out_and_named(
    answers: Answers,
) -> None:
    """The dates that can be read are kept."""
    adapter = answers(
        "GetAvailableDates",
        "".join(
            "<performerAvailabilityByDate>"
            f"<healthcare_facility>{unit}</healthcare_facility><date>{day}</date>"
            "<timeTypeName>Besök</timeTypeName><timeTypeID>TT-BESOK</timeTypeID>"
            "</performerAvailabilityByDate>"
            for unit, day in (
                (UNIT, "2026-06-02"),
                (UNIT, "20260603"),
                ("SE2321000016-A02", "20260604"),
            )
        ),
    )

    found = adapter.get_available_dates(
        GetAvailableDates(
            **ASKED,
            first_day=date(2026, 6, 1),
            last_day=date(2026, 6, 30),
            time_type_id=TimeTypeId("TT-BESOK"),
        ),
        timeout=1,
    )

    assert found == Listed(
        (AvailableDate(schedule=schedule(), day=date(2026, 6, 3)),),
        (
            "performerAvailabilityByDate/date: not a date: expected YYYYMMDD",
            f"performerAvailabilityByDate[2]/{OF_ANOTHER_UNIT}",
        ),
    )
