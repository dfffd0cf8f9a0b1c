"""
The journal: one object for each duty.

A write to a region is three steps, each committed before the next one begins:

    intents.claim_…          the place is claimed  CLAIMED
    intents.mark_sent        it may be sent        SENT
    settlements.settle_…     the outcome           DONE, REFUSED, NOT_DONE,
                                                   LEFT_NO_TRACE, UNKNOWN

`outcomes.take_unsettled` finds the writes that stopped between two steps, also after
their process has died.
"""

from datetime import timedelta

from fhir_gateway.model.client_limits import DEFAULT_LIMITS, ClientLimits
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.added_units import AddedUnits
from fhir_gateway.stores.journal.holds import Holds
from fhir_gateway.stores.journal.invitations import Invitations
from fhir_gateway.stores.journal.lookups import Lookups
from fhir_gateway.stores.journal.outcomes import Outcomes
from fhir_gateway.stores.journal.places import Places
from fhir_gateway.stores.journal.reports import Reports
from fhir_gateway.stores.journal.requests import Requests
from fhir_gateway.stores.journal.settlements import Settlements
from fhir_gateway.stores.journal.upkeep import Upkeep
from fhir_gateway.stores.journal.write_intents import WriteIntents
from fhir_gateway.stores.sealing import Seal

__all__ = ["Journal"]


class Journal:
    """
    What this server has booked, moved and cancelled, and what it is about to.

    Every method of its parts is one transaction. When the method returns, the change is
    committed; when it raises one of the errors it names, nothing has changed. Each may
    also raise `DatabaseUnavailable`, and then the change may or may not be committed:
    read the booking before you continue.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long a claim may wait to be sent before it counts as abandoned;
            longer than a request can last.
        limits: How much one client and one resident may hold and book.

    Attributes:
        intents: Claims places for writes, and commits that a write may be sent.
        settlements: Records the outcomes of writes.
        lookups: Finds bookings and the writes to them.
        places: Reads which places are claimed.
        holds: Makes, renews and ends holds.
        requests: Stores the clients' request keys.
        outcomes: Lists the writes with an open outcome, and the alarms.
        reports: Records what regions report of bookings.
        invitations: Records open invitations.
        upkeep: Wipes and reseals personal data.
        added_units: The units that residents have added to those that lists ask.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        claim_lease: timedelta = timedelta(minutes=1),
        limits: ClientLimits = DEFAULT_LIMITS,
    ) -> None:
        self.intents = WriteIntents(
            database, seal, claim_lease=claim_lease, limits=limits
        )
        self.settlements = Settlements(database, seal)
        self.lookups = Lookups(database, seal)
        self.places = Places(database)
        self.holds = Holds(database, seal, claim_lease=claim_lease, limits=limits)
        self.requests = Requests(database, seal)
        self.outcomes = Outcomes(database, seal)
        self.reports = Reports(database, seal)
        self.invitations = Invitations(database, seal)
        self.upkeep = Upkeep(database, seal)
        self.added_units = AddedUnits(database, seal)
