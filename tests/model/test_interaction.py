"""
The eleven interactions: which of them write.
"""

from fhir_gateway.model.interaction import READS, WRITES, Interaction


def test_interactions_are_the_contracts_eleven() -> None:
    """There are the eleven interactions of crm:scheduling 1.1."""
    assert sorted(interaction.value for interaction in Interaction) == [
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
    """Whatever does not begin with Get is a write."""
    assert {
        interaction
        for interaction in Interaction
        if not interaction.value.startswith("Get")
    } == WRITES


def test_every_interaction_reads_or_writes() -> None:
    """No interaction is both or neither."""
    both_and_neither = (READS & WRITES, frozenset(Interaction) - READS - WRITES)

    assert both_and_neither == (frozenset(), frozenset())
