"""
Catalogues: what is packed comes back, and nothing else passes for a catalogue.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from builders import NORR, NOW, UNIT, catalogue, unit
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import CareUnit, Performer, Position
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.stores.source_catalogue import (
    SourceCatalogue,
    UnreadableCatalogue,
    pack_catalogue,
    unpack_catalogue,
)

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
HSA_IDS = st.from_regex(r"SE[0-9]{6,10}-[A-Z0-9]{1,5}", fullmatch=True).map(HsaId)
INSTANTS = st.datetimes(
    # hypothesis wants its bounds without a zone.
    datetime(1990, 1, 1),  # noqa: DTZ001 - see above
    datetime(2100, 1, 1),  # noqa: DTZ001 - see above
    timezones=st.just(UTC),
)
UNITS = st.builds(
    CareUnit,
    hsa_id=HSA_IDS,
    name=TEXT,
    source=st.just(NORR),
    organization=st.none() | HSA_IDS,
    organization_name=st.none() | TEXT,
    phone=st.none() | TEXT,
    street=st.none() | TEXT,
    postal_code=st.none() | TEXT,
    city=st.none() | TEXT,
    position=st.none()
    | st.builds(Position, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180)),
)
STAFF = st.lists(
    st.builds(
        Performer,
        hsa_id=HSA_IDS,
        first_name=TEXT,
        last_name=TEXT,
        title=st.none() | TEXT,
    ),
    max_size=3,
)
LOSSES = st.builds(
    Loss,
    interaction=st.sampled_from(scheduling.INTERACTIONS),
    unit=HSA_IDS,
    time_type_id=st.none() | TEXT.map(TimeTypeId),
    reason=TEXT,
    count=st.integers(1, 1_000_000),
    is_elsewhere=st.booleans(),
)
OFFERS = st.builds(
    SourceCatalogue,
    source=st.just(NORR),
    answered_at=INSTANTS,
    units=st.lists(UNITS, max_size=3).map(tuple),
    losses=st.lists(LOSSES, max_size=3).map(tuple),
    time_types=st.dictionaries(
        HSA_IDS,
        st.lists(
            st.builds(TimeType, id=TEXT.map(TimeTypeId), name=TEXT), max_size=3
        ).map(tuple),
        max_size=3,
    ),
    performers=STAFF.map(lambda staff: {each.hsa_id: each for each in staff}),
)


@given(OFFERS)
def test_what_is_packed_comes_back(generated: SourceCatalogue) -> None:
    """Any catalogue is the same after a round trip."""
    assert unpack_catalogue(pack_catalogue(generated)) == generated


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_catalogue(foreign: bytes) -> None:
    """Bytes that nobody packed are unreadable, and nothing worse."""
    with pytest.raises(UnreadableCatalogue):
        unpack_catalogue(foreign)


def test_an_offer_that_is_cut_off_is_unreadable() -> None:
    """Cut at any byte, a catalogue is unreadable."""
    whole = pack_catalogue(
        catalogue(
            units=(unit(position=Position(latitude=63.8, longitude=20.3)),),
            performers={UNIT: Performer(hsa_id=UNIT, first_name="Eva", last_name="Ek")},
        )
    )

    for length in range(len(whole)):
        with pytest.raises(UnreadableCatalogue):
            unpack_catalogue(whole[:length])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"source": "Norr"}, id="a source that is none"),
        pytest.param({"answered_at": "now"}, id="a text for an instant"),
        pytest.param({"answered_at": 1e300}, id="an instant beyond all time"),
        pytest.param({"units": [{}]}, id="a unit without an id"),
        pytest.param({"units": ["A01"]}, id="a text for a unit"),
        pytest.param(
            {"units": [{"hsa_id": UNIT, "name": "M", "size": 3}]},
            id="a unit with something more",
        ),
        pytest.param(
            {"units": [{"hsa_id": UNIT, "name": "M", "position": [63.8]}]},
            id="half a position",
        ),
        pytest.param({"time_types": [1]}, id="a list for time types"),
        pytest.param({"time_types": {str(UNIT): [["a"]]}}, id="a nameless time type"),
        pytest.param({"performers": [[UNIT]]}, id="a performer without names"),
        pytest.param({"performers": [[7, "a", "b", None]]}, id="a number for an id"),
    ],
)
def test_a_damaged_offer_is_unreadable(changed: dict[str, object]) -> None:
    """A catalogue that says something impossible is unreadable, and nothing worse."""
    packed = orjson.dumps(orjson.loads(pack_catalogue(catalogue())) | changed)

    with pytest.raises(UnreadableCatalogue):
        unpack_catalogue(packed)


def test_a_unit_belongs_to_the_offers_source() -> None:
    """The source of a catalogue is that of its units."""
    southern = catalogue(name="syd", answered_at=NOW)

    found = unpack_catalogue(pack_catalogue(southern))

    assert [each.source for each in found.units] == [SourceName("syd")]


def test_what_is_said_again_is_the_same() -> None:
    """When it was said does not make a catalogue another one; anything else does."""
    said = catalogue()

    assert said.says_the_same(catalogue(answered_at=NOW + timedelta(hours=1)))
    assert not said.says_the_same(replace(said, performers={}, time_types={}))
