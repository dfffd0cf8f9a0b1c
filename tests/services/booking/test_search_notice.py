"""
When searches are made to follow what is claimed and released.
"""

import pytest
from builders import number
from granting import demo_grant

from fhir_gateway.model.booking import ResultCode, WriteResult
from fhir_gateway.model.errors import Refused, TimeslotTaken
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.holding import HoldRequest
from services.conftest import Wireless


def test_a_booking_is_shown_while_its_region_is_asked(wireless: Wireless) -> None:
    """Searches leave the time out as soon as its place is claimed."""
    wanted = wireless.coming()
    wireless.lists(wanted)

    wireless.desk.book(wanted, 0)

    assert wireless.desk.search_notice.shown == 1


def test_a_refused_booking_is_shown_to_be_free_again(wireless: Wireless) -> None:
    """The place is shown as claimed, and as given back."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR, text="Nej")

    with pytest.raises(Refused):
        wireless.desk.book(wanted, 0)

    assert wireless.desk.search_notice.shown == 2


def test_a_booking_that_claims_nothing_shows_nothing(wireless: Wireless) -> None:
    """A time that its source does not list was never claimed."""
    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wireless.coming(), 0)

    assert wireless.desk.search_notice.shown == 0


def test_a_hold_and_its_release_are_shown(wireless: Wireless) -> None:
    """Each changes what others are offered."""
    wanted = wireless.coming()
    wireless.lists(wanted)

    held = wireless.desk.booking.hold(
        HoldRequest(
            token=TimeslotToken.parse(wanted.token),
            number=number(0),
            grant=demo_grant(number(0)),
        )
    )
    wireless.desk.booking.renew(held.id)
    wireless.desk.booking.release(held.id)

    assert wireless.desk.search_notice.shown == 2


def test_a_cancellation_is_shown(wireless: Wireless) -> None:
    """The time is free again."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    before = wireless.desk.search_notice.shown

    wireless.desk.booking.cancel(made.id)

    assert wireless.desk.search_notice.shown == before + 1
