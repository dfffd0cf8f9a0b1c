"""
Nothing that a region lists vanishes without a word, however its answers are damaged.

A region answers its adapter with documents; the refresh asks it, the view is searched.
What is shown and what is reported as left out are together never less than what it
lists. An empty answer without an outcome means that it lists nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from builders import (
    NORR,
    NOW,
    OTHER_UNIT,
    PREFIX,
    SOUTHERN_UNIT,
    UNIT,
    source,
    southern_source,
)
from doubles import MemoryRefreshHints, MemorySlotStore, MovableClock
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.source import Budget, SourceProblem
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.rivta.transport import Reply, Transport
from fhir_gateway.services.refresh.source_refresh import SourceRefresh
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.services.search.slot_view import SlotView

TODAY: Final = civil_date(NOW)
HORIZON: Final = 5
TYPE: Final = "4"
ITEM_TAGS: Final = {
    "GetAllHealthcareFacilities": "healthcareFacilityInfos",
    "GetAllTimeTypes": "ListOfTimeTypes",
    "GetAvailableDates": "performerAvailabilityByDate",
    "GetAvailableTimeslots": "timeslotDetail",
}
SOURCE: Final = source(
    units=(),
    units_from=UNIT,
    prefixes=(PREFIX,),
    horizon=timedelta(days=HORIZON),
    window=timedelta(days=1),
    budget=Budget(calls_per_second=10_000.0, calls_in_flight=1),
)

Item = dict[str, str]
Damage = Callable[[str], str]


def item(**elements: str) -> Item:
    """Return an item: its elements by name."""
    return elements


def slot(day: int, hour: int, minutes: int, **changed: str) -> Item:
    """Return a free time, which may be of no length."""
    on = TODAY + timedelta(days=day)
    end = hour * 60 + minutes
    return {
        "startTimeInclusive": f"{on:%Y%m%d}{hour:02}0000",
        "endTimeExclusive": f"{on:%Y%m%d}{end // 60:02}{end % 60:02}00",
        "healthcare_facility": UNIT,
        "timeTypeName": "Besök",
        "timeTypeID": TYPE,
    } | changed


SLOTS: Final = st.builds(
    slot,
    # Tomorrow at the earliest: what has begun is nobody's loss.
    st.integers(1, HORIZON + 1),
    st.integers(8, 16),
    st.sampled_from([0, 30, 30, 30, 45]),
) | st.builds(
    slot,
    st.integers(1, HORIZON),
    st.integers(8, 16),
    st.just(30),
    healthcare_facility=st.sampled_from([OTHER_UNIT, UNIT.lower(), "no unit", ""]),
    timeTypeID=st.sampled_from([TYPE, "5", "", "x" * 300]),
    performer=st.sampled_from(["", "1", "SE2321000016-P01", "x" * 300]),
)
FACILITIES: Final = st.builds(
    item,
    healthcare_facility=st.sampled_from(
        [
            UNIT,
            OTHER_UNIT,
            SOUTHERN_UNIT,
            "SE5561234567-A01",
            "no unit",
            "191212121212",
            "",
            "x" * 300,
        ]
    ),
    healthcare_facility_name=st.sampled_from(["Mottagningen", "", "x" * 30_000]),
)
TIME_TYPES: Final = st.builds(
    item,
    timeTypeName=st.sampled_from(["Besök", "", "x" * 30_000]),
    timeTypeId=st.sampled_from([TYPE, "5", "6", "", "x" * 300]),
)
NIL: Final = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'
# How the elements of one item are damaged, and how a whole document is.
ITEM_DAMAGES: Final[Mapping[str, Damage]] = {
    "none": str,
    "misspelt": lambda xml: re.sub("(?i)time", "tme", xml),
    "empty": lambda _: "",
    "nested": lambda xml: xml.replace(">2", "><b>2</b>").replace(">S", "><b>S</b>"),
    "zoned": lambda xml: xml.replace("00</", "Z</"),
    "hyphens": lambda xml: re.sub(r">(\d{4})(\d\d)(\d\d)", r">\1-\2-\3", xml),
    "twice": lambda xml: xml + xml,
    "nil": lambda xml: re.sub(">[^<]+<", "><", xml),
    "nil with content": lambda xml: re.sub("^<([A-Za-z_]+)>", rf"<\1 {NIL}>", xml),
    "doubled": lambda xml: re.sub(
        "<(healthcare_facility|date)>([^<]*)<", r"<\1>X1</\1><\1>\2<", xml
    ),
    "in another case": lambda xml: re.sub("_[fi]|I[dD]|date", _in_another_case, xml),
    "text": lambda xml: xml + "INSTÄLLT",
    "a vendor's": lambda xml: re.sub("<([A-Za-z_]+)>", r'<\1 xmlns="urn:vendor">', xml),
}
DOCUMENT_DAMAGES: Final[Mapping[str, Damage]] = {
    "none": str,
    "cut off": lambda xml: xml[: len(xml) * 2 // 3],
    "no XML": lambda _: "<html><body>Service unavailable</body>",
    "a fault": lambda _: (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>VP009</faultstring>"
        "</s:Fault></s:Body></s:Envelope>"
    ),
    "items misspelt": lambda xml: re.sub(
        "timeslotDetail|ListOfTimeTypes|healthcareFacilityInfos"
        "|performerAvailabilityByDate",
        "items",
        xml,
    ),
    "items a vendor's": lambda xml: re.sub(
        "<(timeslotDetail|ListOfTimeTypes|healthcareFacilityInfos"
        "|performerAvailabilityByDate)>",
        r'<\1 xmlns="urn:vendor">',
        xml,
    ),
    # One that is nil and empty is absent: it may vanish.
    "items nil with content": lambda xml: re.sub(
        "<(timeslotDetail|ListOfTimeTypes|healthcareFacilityInfos"
        "|performerAvailabilityByDate)>(?!</)",
        rf"<\1 {NIL}>",
        xml,
    ),
    "text for items": lambda xml: re.sub(
        "(Get[A-Za-z]+Response)>.*</", r"\1>Systemfel</", xml
    ),
    "a fault beside": lambda xml: xml.replace("</s:Body>", "<s:Fault/></s:Body>"),
    "a fault in the header": lambda xml: xml.replace(
        "<s:Body>", "<s:Header><s:Fault/></s:Header><s:Body>"
    ),
    "a second answer": lambda xml: re.sub("<s:Body>(.*)</s:Body>", _empty_first, xml),
    "another answer": lambda xml: re.sub("Get[A-Za-z]+Response>", "PingResponse>", xml),
}


def _in_another_case(found: re.Match[str]) -> str:
    return found[0].swapcase()


def _empty_first(body: re.Match[str]) -> str:
    return f"<s:Body>{re.sub('>.*<', '><', body[1])}{body[1]}</s:Body>"


SOME_ITEM_DAMAGE: Final = st.just("none") | st.sampled_from(sorted(ITEM_DAMAGES))
SOME_DOCUMENT_DAMAGE: Final = (
    st.just("none") | st.just("none") | st.sampled_from(sorted(DOCUMENT_DAMAGES))
)


@dataclass(frozen=True)
class Listed:
    """An answer of a region: its items, each with its damage, and the whole's."""

    items: tuple[tuple[Item, str], ...]
    damage: str = "none"

    def xml(self, interaction: str) -> str:
        """Return the document."""
        tag = ITEM_TAGS[interaction]
        items = "".join(
            f"<{tag}>{ITEM_DAMAGES[damage](_elements(each))}</{tag}>"
            for each, damage in self.items
        )
        return DOCUMENT_DAMAGES[self.damage](
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f"<{interaction}Response>{items}</{interaction}Response>"
            "</s:Body></s:Envelope>"
        )


def _elements(of: Item) -> str:
    return "".join(f"<{name}>{text}</{name}>" for name, text in of.items())


def listed(items: st.SearchStrategy[Item], most: int) -> st.SearchStrategy[Listed]:
    """Return answers; many of their items, and most of their documents, are whole."""
    return st.builds(
        Listed,
        st.lists(st.tuples(items, SOME_ITEM_DAMAGE), max_size=most).map(tuple),
        SOME_DOCUMENT_DAMAGE,
    )


@dataclass
class DamagedRegion(Transport):
    """A region that answers with what it is given, and filters by day alone."""

    facilities: Listed
    time_types: Listed
    slots: Listed
    dates_damages: tuple[str, ...]
    dates_damage: str

    def post(
        self,
        url: str,
        document: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 - it listens to the body alone
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
        most_bytes: int,  # noqa: ARG002 - its answers are small
    ) -> Reply:
        """Answer the question that a URL names."""
        interaction = url.rpartition("/")[2]
        return Reply(
            status=200,
            body=self._answer(interaction, document.decode()).xml(interaction).encode(),
            content_type="text/xml; charset=UTF-8",
        )

    def _answer(self, interaction: str, asked: str) -> Listed:
        if interaction == "GetAllHealthcareFacilities":
            return self.facilities
        if interaction == "GetAllTimeTypes":
            return self.time_types
        if f">{UNIT}</" not in asked or f">{TYPE}</" not in asked:
            return Listed(())
        if interaction == "GetAvailableDates":
            return Listed(
                tuple(
                    (
                        item(
                            healthcare_facility=UNIT,
                            date=f"{day:%Y%m%d}",
                            timeTypeID=TYPE,
                        ),
                        damage,
                    )
                    for day, damage in zip(
                        sorted(set(self._days())), self.dates_damages, strict=False
                    )
                ),
                self.dates_damage,
            )
        first, last = (
            re.search(f"{name}DateInclusive>([0-9]+)<", asked)
            for name in ("start", "end")
        )
        assert first is not None
        assert last is not None
        return Listed(
            tuple(
                each
                for each in self.slots.items
                if first[1] <= each[0]["startTimeInclusive"][:8] <= last[1]
            ),
            self.slots.damage,
        )

    def _days(self) -> Iterator[date]:
        for each, _ in self.slots.items:
            start = each["startTimeInclusive"]
            yield date(int(start[:4]), int(start[4:6]), int(start[6:8]))


class World:
    """A damaged region that was asked once, and the searches of it."""

    def __init__(self, region: DamagedRegion) -> None:
        clock, store = MovableClock(), MemorySlotStore()
        options = options_from_mapping(
            {
                "endpoint": "https://norr.example.org/{interaction}",
                "supports": list(ITEM_TAGS),
            }
        )
        sources = {each.name: each for each in (SOURCE, southern_source())}
        refresh = SourceRefresh(
            SOURCE,
            Scheduling11(NORR, options, transport=region),
            store,
            MemoryRefreshHints(),
            {},
            rechecks=MemoryRefreshHints(),
            others=(sources["syd"],),
            clock=clock,
            jitter=lambda: 0.5,
        )
        for _ in range(3):
            refresh.run_once()
            clock.forward(seconds=20)
        view = SlotView(sources.values(), {}, store, dict, clock=clock)
        view.catch_up()
        self.view = view
        self.search = SlotSearch(view, sources, clock=clock)
        self.status: Any = store.status(NORR)

    def reported(self, interaction: Interaction) -> int:
        """Return how many items of a contract's answers are reported as left out."""
        return sum(
            each.count for each in self.status.losses if each.interaction == interaction
        )


def regions(**fixed: Listed) -> st.SearchStrategy[DamagedRegion]:
    """Return regions; the answers that are not given are arbitrary."""
    fields: dict[str, Any] = {
        "facilities": listed(FACILITIES, 4),
        "time_types": listed(TIME_TYPES, 4),
        "slots": listed(SLOTS, 6),
    }
    return st.builds(
        DamagedRegion,
        **fields | {name: st.just(each) for name, each in fixed.items()},
        dates_damages=st.lists(
            SOME_ITEM_DAMAGE, min_size=HORIZON + 1, max_size=HORIZON + 1
        ).map(tuple),
        dates_damage=SOME_DOCUMENT_DAMAGE,
    )


ONE_UNIT: Final = Listed(((item(healthcare_facility=UNIT), "none"),))
ONE_TIME_TYPE: Final = Listed(((item(timeTypeName="Besök", timeTypeId=TYPE), "none"),))


@given(regions(facilities=ONE_UNIT, time_types=ONE_TIME_TYPE))
def test_no_time_vanishes(region: DamagedRegion) -> None:
    """Times shown and reported are at least the times listed within the horizon."""
    world = World(region)
    page = world.search.search(
        SlotCriteria(
            selector=Selector(units=(frozenset({UNIT}),)), count=1_000, counted=True
        )
    )
    last = f"{TODAY + timedelta(days=HORIZON):%Y%m%d}"
    within = sum(
        each["startTimeInclusive"][:8] <= last for each, _ in region.slots.items
    )
    shown = sum(page.count)

    if page.outcomes:
        assert page.total is None
    else:
        assert page.total == len(page.start)
        assert shown >= within
    if world.status.failing == ():
        assert shown + world.reported(scheduling.GET_AVAILABLE_TIMESLOTS) >= within
    else:
        assert any(
            each.problem in (SourceProblem.UNAVAILABLE, SourceProblem.NOT_YET_ASKED)
            for each in page.outcomes
        )


@given(regions(facilities=ONE_UNIT))
def test_no_time_type_vanishes(region: DamagedRegion) -> None:
    """Time types shown and reported are at least those listed."""
    world = World(region)
    answer = world.search.who_offers(Selector(units=(frozenset({UNIT}),)))
    ids = Counter(
        each["timeTypeId"]
        for each, damage in region.time_types.items
        if damage not in ("empty", "nil")
    )
    usable = {each for each in ids if each and len(each) <= 256}
    shown = len(answer.offerings)
    unusable = len(region.time_types.items) - sum(ids[each] for each in usable)

    if world.status.failing_since is None:
        assert shown + world.reported(scheduling.GET_ALL_TIME_TYPES) >= (
            len(usable) + unusable
        )
    if not answer.outcomes:
        assert (shown, unusable) == (len(usable), 0)


@given(regions(time_types=ONE_TIME_TYPE))
def test_no_unit_vanishes(region: DamagedRegion) -> None:
    """Units shown and reported are at least those listed, and all the source's own."""
    world = World(region)
    answer = world.search.who_offers(Selector(sources=(frozenset({NORR}),)))
    directory = world.view.snapshot.directory
    shown = {each for each in directory.units if directory.units[each].source == NORR}
    own = {
        HsaId(each["healthcare_facility"])
        for each, damage in region.facilities.items
        if each["healthcare_facility"].startswith(PREFIX)
        and damage not in ("empty", "nil")
    }
    others = sum(
        not each["healthcare_facility"].startswith(PREFIX)
        for each, _ in region.facilities.items
    )

    assert SOUTHERN_UNIT not in shown
    if world.status.failing_since is None:
        reported = world.reported(scheduling.GET_ALL_HEALTHCARE_FACILITIES)
        assert len(shown) + reported >= len(own) + others
    if not answer.outcomes:
        assert shown == own
