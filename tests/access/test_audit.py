"""
The audit trail's witness: what it records of a grant, and that nothing happens without.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import TOLVAN, UNIT, source
from structlog.testing import capture_logs

from fhir_gateway.access.audit import AuditTrail
from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.errors import Party, Unavailable
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.stores.audit import AuditStore
from fhir_gateway.stores.audit.tables import anchors
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

NORR = source()
SYD = source(name=SourceName("syd"), prefixes=("SE2321000099-",))
RESIDENT = Principal(role=Role.RESIDENT, number=TOLVAN)
SYSTEM = Principal(role=Role.SYSTEM, units=("SE2321000099-B",))
SEARCH = Interaction("Appointment", "search-type")
READ = Interaction("Appointment", "read")


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture(name="store")
def _store(database: Database) -> AuditStore:
    return AuditStore(database, Seal([Seal.new_key()]))


@pytest.fixture(name="trail")
def _trail(store: AuditStore) -> AuditTrail:
    return AuditTrail(store, [NORR, SYD], lambda: "request-1")


def granted(principal: Principal = RESIDENT, basis: Basis = Basis.SELF) -> Grant:
    """Return a grant for Tolvan."""
    return Grant(principal=principal, subject=TOLVAN, basis=basis)


def noted(
    trail: AuditTrail,
    store: AuditStore,
    interaction: Interaction = READ,
    **changed: Any,
) -> AuditEntry:
    """Return the entry of what was noted."""
    fields: dict[str, Any] = {
        "subject": TOLVAN,
        "booking": None,
        "unit": None,
        "grant": granted(),
    }
    fields |= changed
    grant = fields["grant"]
    principal = RESIDENT if grant is None else grant.principal
    trail.note(principal, interaction, **fields)
    return store.list_of(TOLVAN, limit=1)[0].entry


def test_a_grant_is_recorded_whole(trail: AuditTrail, store: AuditStore) -> None:
    """Who, for whom, what, on what ground, where and from which request."""
    found = noted(trail, store, booking="b-1", unit=UNIT)

    assert found == AuditEntry(
        principal=RESIDENT,
        resource_type="Appointment",
        interaction="read",
        basis=Basis.SELF,
        subject=TOLVAN,
        booking="b-1",
        sources=(NORR.name,),
        request="request-1",
    )


def test_a_refusal_is_recorded_without_sources(
    trail: AuditTrail, store: AuditStore
) -> None:
    """What is refused asks no source."""
    found = noted(trail, store, booking="b-1", unit=UNIT, grant=None)

    assert (found.is_permitted, found.basis, found.sources) == (False, None, ())


@pytest.mark.parametrize(
    ("interaction", "changed", "sources"),
    [
        pytest.param(SEARCH, {}, ("norr", "syd"), id="a list may ask all"),
        pytest.param(
            SEARCH,
            {"grant": granted(SYSTEM, Basis.OWN_UNITS)},
            ("syd",),
            id="a region's system is not asked elsewhere",
        ),
        pytest.param(READ, {"unit": HsaId("SE2321000099-B01")}, ("syd",), id="a unit"),
        pytest.param(READ, {"unit": HsaId("SE1-1")}, (), id="nobody's unit"),
        pytest.param(
            Interaction("AuditEvent", "search-type"), {}, (), id="the trail itself"
        ),
    ],
)
def test_the_sources_that_may_be_asked_are_recorded(
    trail: AuditTrail,
    store: AuditStore,
    interaction: Interaction,
    changed: dict[str, Any],
    sources: tuple[str, ...],
) -> None:
    """A request for one unit asks its source, and a list asks several."""
    assert noted(trail, store, interaction, **changed).sources == sources


def test_without_a_row_nothing_may_happen(
    trail: AuditTrail, store: AuditStore, database: Database
) -> None:
    """A row that cannot be stored is our own failure, and the log names nobody."""
    noted(trail, store)
    with database.writing() as connection:
        connection.execute(anchors.delete())

    with capture_logs() as logs, pytest.raises(Unavailable) as raised:
        noted(trail, store)
    assert raised.value.party is Party.GATEWAY
    assert [each["event"] for each in logs] == ["audit row not written"]
    assert "was changed by somebody else" in logs[0]["error"]
    assert TOLVAN.reveal() not in repr(logs)


def test_a_fault_of_the_program_lets_nothing_happen(
    trail: AuditTrail, database: Database
) -> None:
    """A missing table is a fault of ours, and no row means no data then too."""
    with database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE audit_event")

    with capture_logs() as logs, pytest.raises(Unavailable):
        trail.note(
            RESIDENT, READ, subject=TOLVAN, booking=None, unit=None, grant=granted()
        )
    assert [each["event"] for each in logs] == ["audit row not written"]
