"""
Open invitations in a resident's list: found, kept, neither lost nor doubled.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from builders import NORR, UNIT, VISIT, booked, number, source
from doubles import AnsweringAdapter

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookedTimes, Booking, BookingStatus
from fhir_gateway.model.engagement import Category, Engagement
from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, LogicalAddress, TimeTypeId
from fhir_gateway.model.scheduling import GetBookingDetails, GetSubjectOfCareSchedule
from fhir_gateway.services.engagement.resident_posts import IndexedPosts
from fhir_gateway.services.resident.resident_bookings import ResidentsTimes
from services.conftest import MakeWireless, Wireless

WHOLE = (source(schedule_address=LogicalAddress("25")),)
ID = BookingId("K-1")


class ByTheContract(AnsweringAdapter):
    """A source that lists no open invitation, as the contract has it."""

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the bookings with a time."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(
            answer,
            bookings=tuple(each for each in answer.bookings if each.start is not None),
        )


@dataclass
class Index:
    """An engagement index with posts about one id of the unit."""

    category: Category = Category.NOT_STATED

    def posts_of(self, grant: Grant, *, within: timedelta) -> IndexedPosts:  # noqa: ARG002 - it answers at once
        """Return the post."""
        return IndexedPosts(
            posts=(
                Engagement(
                    resident=grant.subject,
                    category=self.category,
                    unit=UNIT,
                    booking_id=ID,
                    source_system=UNIT,
                    data_controller=UNIT,
                ),
            )
        )


def invitation(who: int) -> Booking:
    """Return an open invitation of a resident, as a unit describes it."""
    return Booking(
        unit=UNIT,
        booking_id=ID,
        start=None,
        end=None,
        subject_of_care=number(who),
        time_type_id=TimeTypeId(VISIT),
        time_type_name="Besök",
        purpose="Dags för kontroll.",
        is_invitation=True,
    )


def shown(times: ResidentsTimes) -> list[tuple[str, BookingStatus, str | None]]:
    """Return our id of each invitation and booking, how it stands, and the region's."""
    return [
        (each.id, each.status, each.booking_id)
        for each in (*times.invitations, *times.bookings)
    ]


@pytest.fixture(name="wireless")
def _wireless(make_wireless: MakeWireless) -> Wireless:
    """Give a desk over a source that the index has a post about."""
    return make_wireless(ByTheContract(), sources=WHOLE, posts=Index())


@pytest.mark.parametrize(
    "category", [Category.NOT_STATED, Category.INVITATION], ids=["NA", "Invitation"]
)
def test_the_index_leads_to_an_invitation(
    make_wireless: MakeWireless, who: int, category: Category
) -> None:
    """A post that no booking explains is asked about, and shown with its purpose."""
    wireless = make_wireless(ByTheContract(), sources=WHOLE, posts=Index(category))
    wireless.adapter.book[ID] = invitation(who)
    times = wireless.desk.residents.list_of(number(who))

    (found,) = times.invitations
    assert (found.status, found.booking_id, found.purpose) == (
        BookingStatus.PROPOSED,
        ID,
        "Dags för kontroll.",
    )
    assert times.bookings == ()
    assert times.outcomes == ()


def test_a_listed_invitation_is_shown(make_wireless: MakeWireless, who: int) -> None:
    """A source that lists one against the contract is read: shown once, and whole."""
    wireless = make_wireless(AnsweringAdapter(), sources=WHOLE)
    wireless.adapter.book[ID] = invitation(who)
    lists = [shown(wireless.desk.residents.list_of(number(who))) for _ in range(2)]

    assert [each[1:] for each in lists[0]] == [(BookingStatus.PROPOSED, ID)]
    assert lists[1] == lists[0]
    assert wireless.desk.residents.list_of(number(who)).outcomes == ()


def test_a_post_about_a_listed_booking_asks_nothing(
    wireless: Wireless, who: int
) -> None:
    """What the list explains costs no call of its own."""
    wireless.adapter.book[ID] = booked(
        wireless.coming(), booking_id=ID, subject_of_care=number(who)
    )
    times = wireless.desk.residents.list_of(number(who))

    assert [each.booking_id for each in times.bookings] == [ID]
    assert wireless.adapter.asked(GetBookingDetails) == []


def test_anothers_invitation_is_not_shown(wireless: Wireless, who: int) -> None:
    """A post that leads to somebody else's invitation records none."""
    wireless.adapter.book[ID] = invitation(who + 1)

    assert shown(wireless.desk.residents.list_of(number(who))) == []
    assert wireless.desk.journal.invitations.list_of_resident(number(who + 1)) == ()


def test_an_invitation_of_nobody_is_not_shown(wireless: Wireless, who: int) -> None:
    """Details that name no resident could be anybody's."""
    wireless.adapter.book[ID] = replace(invitation(who), subject_of_care=None)

    assert shown(wireless.desk.residents.list_of(number(who))) == []


def test_a_post_that_cannot_be_asked_about_is_said(
    wireless: Wireless, who: int
) -> None:
    """A unit that does not answer about a post is an outcome."""
    wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = Unavailable("away")
    times = wireless.desk.residents.list_of(number(who))

    assert [each.source for each in times.outcomes] == [NORR]


def test_a_known_invitation_outlives_an_outage(wireless: Wireless, who: int) -> None:
    """When its unit is away, it is shown as last known; a fault withdraws nothing."""
    wireless.adapter.book[ID] = invitation(who)
    first = shown(wireless.desk.residents.list_of(number(who)))
    # It lists its own units for the id, so that it knows the invitation.
    wireless.adapter.units = wireless.catalogues[NORR].units
    lists = []
    for error in (Unavailable("away"), SourceFault("fault")):
        wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = error
        lists.append(shown(wireless.desk.residents.list_of(number(who))))

    assert lists == [first, first]


def test_a_fault_and_no_units_withdraw_it(wireless: Wireless, who: int) -> None:
    """A unit that faults, and lists no units for its id, does not know it any more."""
    wireless.adapter.book[ID] = invitation(who)
    (first,) = shown(wireless.desk.residents.list_of(number(who)))
    wireless.adapter.errors[scheduling.GET_BOOKING_DETAILS] = SourceFault("fault")
    withdrawn = shown(wireless.desk.residents.list_of(number(who)))
    wireless.adapter.errors.clear()
    again = shown(wireless.desk.residents.list_of(number(who)))

    assert withdrawn == [(first[0], BookingStatus.CANCELLED, ID)]
    # The index has a post about it, and the unit describes it again.
    assert again == [first]


def test_a_unit_that_books_it_keeps_its_id(wireless: Wireless, who: int) -> None:
    """Booked by telephone, it is one booking with the invitation's id, in each list."""
    wireless.adapter.book[ID] = invitation(who)
    (first,) = shown(wireless.desk.residents.list_of(number(who)))
    wireless.adapter.book[ID] = booked(
        wireless.coming(), booking_id=ID, subject_of_care=number(who)
    )
    lists = [shown(wireless.desk.residents.list_of(number(who))) for _ in range(2)]

    assert lists == [[(first[0], BookingStatus.BOOKED, ID)]] * 2
