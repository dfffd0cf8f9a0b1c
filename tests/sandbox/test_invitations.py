"""
Invitations that a test orders: what a region permits with an open one.
"""

from typing import Any

import pytest
import requests

from fhir_gateway.model.errors import SourceFault
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S, TOLVAN, Consumer, people

MINE, STRANGER = people(2)
# The time type of the first unit's nurse, and another one there.
INVITED, OTHER = "dsk", "lakare"


def order(consumer: Consumer, **fields: Any) -> requests.Response:
    """Order an invitation."""
    return requests.post(
        f"{consumer.server.url}/invitations/{consumer.name}",
        json={"subject_of_care": MINE} | fields,
        timeout=TIMEOUT_S,
    )


def invited(consumer: Consumer, **fields: Any) -> str:
    """Return the id of a new open invitation."""
    answer = order(consumer, **fields)
    assert answer.status_code == 201
    booking_id: str = answer.json()["booking_id"]
    return booking_id


@pytest.fixture(name="inviting", params=["norr", "syd"])
def _inviting(server: SandboxServer, request: pytest.FixtureRequest) -> Consumer:
    return Consumer(server, request.param)


def test_an_ordered_invitation_is_in_the_ledger(inviting: Consumer) -> None:
    """An open invitation has its resident and its unit, and no time."""
    booking_id = invited(inviting)

    assert inviting.ledger()["bookings"][-1] == {
        "booking_id": booking_id,
        "unit": inviting.unit.hsa_id,
        "timeslot": None,
        "subject_of_care": MINE,
        "is_invitation": True,
    }


def test_an_invitation_can_have_a_time(inviting: Consumer) -> None:
    """With a number of days it has the first free time after them."""
    answer = order(inviting, in_days=3, purpose="Välkommen")

    listed = inviting.schedule(MINE)
    assert [each.booking_id for each in listed] == [answer.json()["booking_id"]]
    assert (listed[0].is_invitation, listed[0].purpose) == (True, "Välkommen")


def test_a_unit_books_for_a_resident_who_calls(inviting: Consumer) -> None:
    """It is a booking like others, and no invitation."""
    answer = order(inviting, in_days=7, by_telephone=True)

    (listed,) = inviting.schedule(MINE)
    assert (answer.status_code, answer.json()["is_invitation"]) == (201, False)
    assert (bool(listed.is_invitation), listed.purpose) == (False, None)


def test_an_open_invitation_is_in_no_list(inviting: Consumer) -> None:
    """GetSubjectOfCareSchedule never has an invitation without a time."""
    invited(inviting)

    assert inviting.schedule(MINE) == ()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"subject_of_care": "1"}, "subject_of_care must be a test person's number"),
        ({"time_type": "frisör"}, "no such unit has such a time_type"),
        ({"unit": "SE1"}, "no such unit has such a time_type"),
        ({"in_days": -1}, "in_days must be a whole number from 0 to 60"),
        ({"in_days": True}, "in_days must be a whole number from 0 to 60"),
        ({"protected": 1}, "protected must be true or false"),
        ({"by_telephone": 1}, "by_telephone must be true or false"),
        ({"by_telephone": True}, "a booking by_telephone needs in_days"),
        ({"purpose": 1}, "purpose must be a text"),
        (
            {"when": "now"},
            (
                "unknown field 'when'; valid are subject_of_care, time_type, unit,"
                " in_days, purpose, protected, by_telephone"
            ),
        ),
    ],
)
def test_a_wrong_order_says_what_is_wrong(
    norr: Consumer, fields: dict[str, Any], error: str
) -> None:
    """An order that cannot be read is 400, and nobody is invited."""
    before = norr.ledger()
    answer = order(norr, **fields)

    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert norr.ledger() == before


def test_an_invitation_is_for_its_time_type_only(norr: Consumer) -> None:
    """MakeBooking with another time type is an ERROR; the invitation stays open."""
    booking_id = invited(norr)
    slot = norr.slots(time_type_id=norr.time_type(OTHER).id)[0]
    refused = norr.make(slot, MINE, booking_id=booking_id)

    assert (refused.result_code, refused.result_text) == (
        "ERROR",
        "Kallelsen gäller en annan typ av tid.",
    )
    assert norr.details(booking_id).start_time_inclusive is None


def test_an_unknown_invitation_is_refused(norr: Consumer) -> None:
    """MakeBooking with an id that nobody has is an ERROR."""
    slot = norr.slots(time_type_id=norr.time_type(INVITED).id)[0]
    refused = norr.make(slot, MINE, booking_id="NB0-0")

    assert refused.result_code == "ERROR"


def test_an_invitation_is_for_its_resident_only(norr: Consumer) -> None:
    """Another resident can neither book it, nor see its times and its units."""
    booking_id = invited(norr)
    slot = norr.slots(time_type_id=norr.time_type(INVITED).id)[0]
    refused = norr.make(slot, STRANGER, booking_id=booking_id)

    assert refused.result_code == "ERROR"
    # The consumer asks as Tolvan.
    assert norr.slots(booking_id=booking_id) == ()
    assert norr.facilities(booking_id).healthcare_facility_infos == ()


def test_an_invitation_is_booked_at_a_listed_unit_only(norr: Consumer) -> None:
    """MakeBooking at a unit of another kind is an ERROR."""
    booking_id = invited(norr)
    elsewhere = next(unit for unit in norr.region.units if unit.kind != norr.unit.kind)
    slot = norr.slots(elsewhere)[0]
    refused = norr.make(slot, MINE, booking_id=booking_id)

    assert refused.result_code == "ERROR"


def test_an_open_invitation_is_not_moved(norr: Consumer) -> None:
    """UpdateBooking of an invitation without a time is an ERROR."""
    booking_id = invited(norr)
    slot = norr.slots(time_type_id=norr.time_type(INVITED).id)[0]

    assert norr.update(booking_id, slot, MINE).result_code == "ERROR"


def test_protected_times_are_for_the_invited_only(norr: Consumer) -> None:
    """A protected time type is in no list, but in that of its invitation."""
    time_type = norr.time_type(INVITED).id
    slot = norr.slots(time_type_id=time_type)[0]
    booking_id = invited(norr, subject_of_care=TOLVAN, protected=True)

    assert norr.slots(time_type_id=time_type) == ()
    assert time_type not in {
        each.time_type_id for each in norr.time_types().list_of_time_types
    }
    assert norr.make(slot).result_code == "ERROR"
    shown = norr.slots(booking_id=booking_id)
    assert {each.time_type_id for each in shown} == {time_type}
    assert norr.make(shown[0], booking_id=booking_id).result_code == "OK"


def test_an_invitation_is_taken_back(norr: Consumer) -> None:
    """A withdrawn invitation is gone: a fault, and no units."""
    booking_id = invited(norr, subject_of_care=TOLVAN)
    url = f"{norr.server.url}/invitations/{norr.name}/{booking_id}"

    assert requests.delete(url, timeout=TIMEOUT_S).status_code == 200
    assert requests.delete(url, timeout=TIMEOUT_S).status_code == 404
    with pytest.raises(SourceFault):
        norr.details(booking_id, actor=Actor.resident(PersonalIdentityNumber(TOLVAN)))
    assert norr.facilities(booking_id).healthcare_facility_infos == ()
