"""
A resident's relations with units: what a list asks directly, and why.
"""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from builders import (
    OTHER_UNIT,
    SOUTHERN_UNIT,
    UNIT,
    booked,
    number,
    source,
    southern_source,
    unit,
)
from doubles import AnsweringAdapter
from granting import demo_grant

from fhir_gateway.model.booking import BookedTimes, BookingStatus
from fhir_gateway.model.care_relation import CareRelation, RelationKind
from fhir_gateway.model.engagement import Engagement
from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    LimitReached,
    Unavailable,
)
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.scheduling import GetSubjectOfCareSchedule
from fhir_gateway.model.source import SourceProblem
from fhir_gateway.services.engagement.resident_posts import IndexedPosts
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.added_units import MOST_UNITS
from fhir_gateway.stores.journal.tables import added_units
from fhir_gateway.stores.sealing import Seal
from services.conftest import TIMEOUT_S, MakeWireless, Wireless

UNITS = (
    unit(),
    unit(OTHER_UNIT),
)


class UnitAdapter(AnsweringAdapter):
    """A source that lists one unit's bookings at a time."""

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return one unit's part of the book."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(
            answer,
            bookings=tuple(
                each for each in answer.bookings if each.unit == query.address
            ),
        )


@dataclass
class Listings:
    """A service that names units, or fails."""

    units: Collection[HsaId] = ()
    error: GatewayError | None = None

    def units_of(self, _: PersonalIdentityNumber) -> Collection[HsaId]:
        """Return the units."""
        if self.error is not None:
            raise self.error
        return self.units


@dataclass
class Index:
    """
    The engagement index, or what this server has stored of it.

    Attributes:
        may_answer: It hangs until then.
    """

    units: Collection[HsaId] = ()
    missing: str | None = None
    may_answer: threading.Event = field(default_factory=threading.Event)

    def posts_of(self, grant: Grant, *, within: timedelta) -> IndexedPosts:
        """Return a post for each unit."""
        assert self.may_answer.wait(within.total_seconds() + TIMEOUT_S)
        return IndexedPosts(
            posts=tuple(
                Engagement(
                    resident=grant.subject,
                    unit=each,
                    booking_id=BookingId("B"),
                    source_system=each,
                    data_controller=each,
                )
                for each in self.units
            ),
            missing=self.missing,
        )


@pytest.fixture(name="index")
def _index() -> Iterator[Index]:
    index = Index()
    index.may_answer.set()
    yield index
    index.may_answer.set()


@pytest.fixture(name="listings")
def _listings() -> Listings:
    return Listings()


@pytest.fixture(name="wireless")
def _wireless(
    make_wireless: MakeWireless, index: Index, listings: Listings
) -> Wireless:
    return make_wireless(
        UnitAdapter(),
        sources=(source(units=UNITS), southern_source()),
        posts=index,
        listings=listings,
    )


def in_the_book(wireless: Wireless, hsa_id: HsaId = UNIT) -> None:
    """Let norr have a booking of resident 0 that this server does not know."""
    wanted = wireless.coming()
    wanted = replace(wanted, schedule=replace(wanted.schedule, unit=hsa_id))
    wireless.adapter.book["B-1"] = booked(
        wanted, booking_id="B-1", subject_of_care=number(0)
    )


def kinds(wireless: Wireless) -> dict[str, tuple[str, ...]]:
    """Return resident 0's relations: unit and kinds."""
    return {
        each.unit.hsa_id: tuple(kind.value for kind in each.kinds)
        for each in wireless.desk.relations.list_of(demo_grant(number(0)))
    }


def test_a_unit_that_the_resident_has_added_is_asked(wireless: Wireless) -> None:
    """A booking at an added unit is found, and then the unit is known from it too."""
    in_the_book(wireless)
    grant = demo_grant(number(0))
    before = wireless.desk.residents.list_of(number(0))

    wireless.desk.relations.change(grant, add=[UNIT], remove=())
    added = kinds(wireless)
    after = wireless.desk.residents.list_of(number(0))

    assert before.bookings == ()
    assert added == {UNIT: ("added",)}
    assert [(each.status, each.booking_id) for each in after.bookings] == [
        (BookingStatus.BOOKED, "B-1")
    ]
    assert kinds(wireless) == {UNIT: ("booked", "added")}


def test_a_unit_that_the_index_names_is_asked(wireless: Wireless, index: Index) -> None:
    """What another service names is a relation of that kind."""
    in_the_book(wireless, OTHER_UNIT)
    index.units = [OTHER_UNIT, HsaId("SE0000000000-NOWHERE")]

    times = wireless.desk.residents.list_of(number(0))

    assert [each.booking_id for each in times.bookings] == ["B-1"]
    assert kinds(wireless) == {OTHER_UNIT: ("booked", "indexed")}


def test_an_index_that_is_late_is_named(wireless: Wireless, index: Index) -> None:
    """The list goes out with what is known, and says that the index is missing."""
    in_the_book(wireless)
    wireless.desk.relations.change(demo_grant(number(0)), add=[UNIT], remove=())
    index.may_answer.clear()

    times = wireless.desk.residents.list_of(number(0), within=timedelta(seconds=1))

    assert len(times.bookings) == 1
    assert [(each.source, each.problem) for each in times.outcomes] == [
        ("engagement-index", SourceProblem.INCOMPLETE),
        ("norr", SourceProblem.NOT_ASKED),
        ("syd", SourceProblem.NOT_ASKED),
    ]


def test_a_unit_where_the_resident_is_listed_is_asked(
    wireless: Wireless, listings: Listings
) -> None:
    """What the service of listings names is a relation of its own kind."""
    in_the_book(wireless)
    listings.units = [UNIT]

    times = wireless.desk.residents.list_of(number(0))

    assert len(times.bookings) == 1
    assert kinds(wireless) == {UNIT: ("booked", "listed")}


def test_a_service_that_is_away_hides_no_other_relation(
    wireless: Wireless, listings: Listings
) -> None:
    """Without the listings, the other units are asked all the same."""
    in_the_book(wireless)
    listings.error = Unavailable("The service is away.")
    wireless.desk.relations.change(demo_grant(number(0)), add=[UNIT], remove=())

    times = wireless.desk.residents.list_of(number(0))

    assert len(times.bookings) == 1


def test_what_is_removed_is_asked_no_more(wireless: Wireless) -> None:
    """Adding and removing twice is the same as once; others' relations stay."""
    grant, others = demo_grant(number(0)), demo_grant(number(1))
    relations = wireless.desk.relations
    for _ in range(2):
        relations.change(grant, add=[UNIT, OTHER_UNIT], remove=())
    relations.change(others, add=[UNIT], remove=())
    for _ in range(2):
        relations.change(grant, add=(), remove=[UNIT, SOUTHERN_UNIT])

    assert kinds(wireless) == {OTHER_UNIT: ("added",)}
    assert relations.list_of(others) == (
        CareRelation(unit=UNITS[0], kinds=(RelationKind.ADDED,)),
    )


def test_a_unit_that_there_is_not_cannot_be_added(wireless: Wireless) -> None:
    """An unknown unit is refused, and nothing is changed."""
    with pytest.raises(Incorrect) as raised:
        wireless.desk.relations.change(
            demo_grant(number(0)), add=[UNIT, HsaId("SE1-X")], remove=()
        )

    assert "SE1-X" in str(raised.value)
    assert kinds(wireless) == {}


def test_a_regions_system_sees_relations_at_its_own_units(wireless: Wireless) -> None:
    """A relation with another region's unit is not shown to a region's system."""
    relations = wireless.desk.relations
    relations.change(demo_grant(number(0)), add=[UNIT, SOUTHERN_UNIT], remove=())
    principal = Principal(role=Role.SYSTEM, units=("SE2321000099-",))
    grant = Grant(principal=principal, subject=number(0), basis=Basis.OWN_UNITS)

    assert [each.unit.hsa_id for each in relations.list_of(grant)] == [SOUTHERN_UNIT]


def test_scopes_of_some_statuses_show_no_other_booking(wireless: Wireless) -> None:
    """Where scopes reach cancelled appointments only, a booked one shows no unit."""
    in_the_book(wireless)
    wireless.desk.relations.change(demo_grant(number(0)), add=[UNIT], remove=())
    wireless.desk.residents.list_of(number(0))
    grant = replace(demo_grant(number(0)), statuses=frozenset({"cancelled"}))

    (relation,) = wireless.desk.relations.list_of(grant)

    assert relation.kinds == (RelationKind.ADDED,)


def test_a_resident_can_add_so_many_units(own_journal: Journal) -> None:
    """One more is refused; one for another is not."""
    units = [HsaId(f"SE2321000016-U{place:03}") for place in range(MOST_UNITS + 1)]
    store = own_journal.added_units
    store.change(number(0), add=units[:-1], remove=())

    with pytest.raises(LimitReached):
        store.change(number(0), add=units[-1:], remove=())
    store.change(number(0), add=units[-1:], remove=units[:1])

    assert store.units_of(number(0)) == tuple(units[1:])


def test_no_number_is_stored_in_clear(
    own_journal: Journal, own_database: Database
) -> None:
    """The table has the number sealed, and a keyed hash of it."""
    own_journal.added_units.change(number(0), add=[UNIT], remove=())

    with own_database.reading() as connection:
        (row,) = connection.execute(added_units.select()).all()

    assert number(0).reveal() not in repr(tuple(row))


def test_relations_outlive_a_change_of_keys(
    own_database: Database, own_journal: Journal, seal: Seal
) -> None:
    """With a new key they are found, and resealing seals them with it."""
    old = seal.new_key()
    new = seal.new_key()
    Journal(own_database, Seal((old,))).added_units.change(
        number(0), add=[UNIT], remove=()
    )
    both = Journal(own_database, Seal((new, old)))
    both.added_units.change(number(0), add=[UNIT, OTHER_UNIT], remove=())
    list(both.upkeep.reseal())

    found = Journal(own_database, Seal((new,))).added_units.units_of(number(0))

    assert found == (UNIT, OTHER_UNIT)
    assert own_journal.added_units.units_of(number(0)) == ()
