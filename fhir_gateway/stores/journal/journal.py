"""
The journal itself.

A write to a region is three steps, each committed before the next one begins:

    intents.claim_…          the place is ours     CLAIMED
    intents.mark_sent        it may be sent now    SENT
    settlements.settle_…     how it went           DONE, REFUSED, NOT_DONE,
                                                   LEFT_NO_TRACE, UNKNOWN

`outcomes.take_unsettled` finds what was left between two steps, also after its owner
has died.
"""

from datetime import timedelta

from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.holds import Holds
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

    Every method of its parts is one transaction: it has happened lastingly when the
    method returns, and not at all when it raises one of the errors it names.
    `DatabaseUnavailable`, which any of them may raise, leaves that open: look at the
    booking before going on.

    Args:
        database: Where the journal is.
        seal: Encrypts what is personal.
        claim_lease: How long a claim may wait to be sent before it counts as abandoned;
            longer than a request can live.

    Attributes:
        intents: Writes that are going to be sent.
        settlements: How writes went.
        lookups: Bookings, and the writes to them.
        places: Which places are claimed.
        holds: What is only held.
        requests: What clients call their requests.
        outcomes: Which writes still have to be looked after.
        reports: What regions say of bookings.
        upkeep: Wipes and reseals.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        claim_lease: timedelta = timedelta(minutes=1),
    ) -> None:
        self.intents = WriteIntents(database, seal, claim_lease=claim_lease)
        self.settlements = Settlements(database, seal)
        self.lookups = Lookups(database, seal)
        self.places = Places(database)
        self.holds = Holds(database, seal, claim_lease=claim_lease)
        self.requests = Requests(database, seal)
        self.outcomes = Outcomes(database, seal)
        self.reports = Reports(database, seal)
        self.upkeep = Upkeep(database, seal)
