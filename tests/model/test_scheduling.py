"""
The eleven interactions of crm:scheduling 1.1: which of them write.
"""

from fhir_gateway.model.scheduling import INTERACTIONS, READS, WRITES


def test_interactions_are_the_contracts_eleven() -> None:
    """There are the eleven interactions of crm:scheduling 1.1."""
    assert sorted(interaction.name for interaction in INTERACTIONS) == [
        "CancelBooking",
        "GetAllCareTypes",
        "GetAllHealthcareFacilities",
        "GetAllPerformers",
        "GetAllTimeTypes",
        "GetAvailableDates",
        "GetAvailableTimeslots",
        "GetBookingDetails",
        "GetSubjectOfCareSchedule",
        "MakeBooking",
        "UpdateBooking",
    ]


def test_writes_are_what_changes_a_booking() -> None:
    """An interaction that does not begin with Get is a write."""
    assert {
        interaction
        for interaction in INTERACTIONS
        if not interaction.name.startswith("Get")
    } == WRITES


def test_every_interaction_reads_or_writes() -> None:
    """No interaction is both or neither."""
    both_and_neither = (READS & WRITES, frozenset(INTERACTIONS) - READS - WRITES)

    assert both_and_neither == (frozenset(), frozenset())
