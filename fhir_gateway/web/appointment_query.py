"""
The parameters of a search for appointments, and which appointments fit them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from fhir_gateway.fhir.appointment_request import STATUSES
from fhir_gateway.fhir.appointment_search import (
    PARTICIPATION_CODES,
    ActorParameter,
    AppointmentIncludeParameter,
    actors_of,
    has_reference,
    has_token,
    identifiers_of,
    participations_of,
    service_types_of,
    slots_of,
)
from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.search_date import (
    ANY_INSTANT,
    DateBounds,
    DateParameter,
)
from fhir_gateway.fhir.search_parameters import (
    Choice,
    MissingParameter,
    ReferenceParameter,
    Token,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.fhir.vocabulary import (
    APPOINTMENT_STATUS,
    PARTICIPATION_STATUS,
    is_system_of_time_types,
)
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.web.patient_identifier import PatientIdentifier
from fhir_gateway.web.searching import (
    count_parameter,
    cursor_parameter,
    include_iterate_parameter,
    total_parameter,
)

__all__ = [
    "OF_RESIDENT",
    "AppointmentQuery",
    "AppointmentSearchSchema",
    "Found",
    "Place",
    "Resource",
    "fits",
    "has_values",
    "named_resident",
    "page_of",
    "sort_key",
    "start_of",
]

OF_RESIDENT: Final = ("patient.identifier", "patient:identifier")
"""The parameters that name a resident."""

Resource = dict[str, Any]
Found = ManagedBooking | OpenInvitation
Tokens = tuple[tuple[Token, ...], ...]
Ids = tuple[frozenset[str], ...]

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_KINDS: Final = ("known", "resident")
_REFUSED: Final = {
    **dict.fromkeys(
        (
            *("appointment-type", "based-on", "reason-code", "reason-reference"),
            *("service-category", "specialty", "supporting-info"),
        ),
        "no contract of the regions has it",
    ),
    "patient": (
        "use patient.identifier or patient:identifier, by POST; there are no Patient"
        " resources here"
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place in a resident's list.

    Attributes:
        start: When the last appointment before it begins, in seconds since 1970.
        id: That appointment's id.
        of_resident: The search is about all appointments of that one's resident.
        moment: The time of the first page: what was past then is past on each page.
    """

    start: int
    id: str
    of_resident: bool
    moment: int = 0

    @property
    def text(self) -> str:
        """Return it as a text."""
        kind = _KINDS[self.of_resident]
        return f"{kind}.{self.start}.{self.moment}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place in a text; raise ValueError for any other text."""
        kind, start, moment, identifier = text.split(".", 3)
        return cls(
            int(start),
            identifier,
            of_resident=bool(_KINDS.index(kind)),
            moment=int(moment),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentQuery:
    """
    The values of a search for appointments; of each group one has to fit.

    Attributes:
        of_patient: The resident, in R4's own spelling.
        count: How many a page has at most; None for all.
        sort: None for what is ahead, the next first, and then what is past, the last
            first.
        cursor: The last appointment of the page before.
    """

    patient_identifier: PersonalIdentityNumber | None = None
    of_patient: PersonalIdentityNumber | None = None
    id: Tokens = ()
    identifier: Tokens = ()
    no_identifier: bool | None = None
    status: Tokens = ()
    status_not: Tokens = ()
    date: DateBounds = ANY_INSTANT
    slot: Ids = ()
    no_slot: bool | None = None
    location: Ids = ()
    practitioner: Ids = ()
    no_practitioner: bool | None = None
    actor: Ids = ()
    actor_location: Ids = ()
    actor_service: Ids = ()
    actor_practitioner: Ids = ()
    part_status: Tokens = ()
    service_type: Tokens = ()
    service_type_not: Tokens = ()
    no_service_type: bool | None = None
    last_updated: DateBounds = ANY_INSTANT
    sort: str | None = None
    count: int | None = None
    total: str | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    cursor: Place | None = None


class AppointmentSearchSchema(SearchSchema[AppointmentQuery]):
    """The parameters of a search for appointments."""

    query = AppointmentQuery
    is_personal = True
    refused = _REFUSED

    patient_identifier = PatientIdentifier(
        data_key="patient.identifier",
        documentation=(
            "The resident's number, as system|number. By POST only; without it, the"
            " resident is who asks."
        ),
    )
    of_patient = PatientIdentifier(
        data_key="patient:identifier",
        documentation="The same as patient.identifier, in R4's own spelling.",
    )
    id = TokenParameter(
        data_key="_id",
        is_system=lambda _: False,
        definition=f"{_R4}Resource-id",
        documentation="The appointment's id.",
    )
    identifier = TokenParameter(
        definition=f"{_R4}Appointment-identifier",
        documentation="The region's id of the booking.",
    )
    no_identifier = MissingParameter(data_key="identifier:missing")
    status = TokenParameter(
        codes=sorted(STATUSES),
        system=APPOINTMENT_STATUS,
        definition=f"{_R4}Appointment-status",
    )
    status_not = TokenParameter(
        data_key="status:not", codes=sorted(STATUSES), system=APPOINTMENT_STATUS
    )
    date = DateParameter(
        definition=f"{_R4}Appointment-date",
        documentation="The appointment begins within.",
    )
    slot = ReferenceParameter(target="Slot", definition=f"{_R4}Appointment-slot")
    no_slot = MissingParameter(data_key="slot:missing")
    location = ReferenceParameter(
        target="Location",
        definition=f"{_R4}Appointment-location",
        documentation="The unit, by its HSA-id.",
    )
    practitioner = ReferenceParameter(
        target="Practitioner",
        definition=f"{_R4}Appointment-practitioner",
        documentation="A member of staff, by HSA-id.",
    )
    no_practitioner = MissingParameter(data_key="practitioner:missing")
    actor = ActorParameter(
        definition=f"{_R4}Appointment-actor",
        documentation="A unit, its time type or a member of staff; never a patient.",
    )
    actor_location = ReferenceParameter(target="Location", data_key="actor:Location")
    actor_service = ReferenceParameter(
        target="HealthcareService", data_key="actor:HealthcareService"
    )
    actor_practitioner = ReferenceParameter(
        target="Practitioner", data_key="actor:Practitioner"
    )
    part_status = TokenParameter(
        data_key="part-status",
        codes=PARTICIPATION_CODES,
        system=PARTICIPATION_STATUS,
        definition=f"{_R4}Appointment-part-status",
        documentation="What one of the participants has answered.",
    )
    service_type = TokenParameter(
        data_key="service-type",
        is_system=is_system_of_time_types,
        definition=f"{_R4}Appointment-service-type",
    )
    service_type_not = TokenParameter(
        data_key="service-type:not", is_system=is_system_of_time_types
    )
    no_service_type = MissingParameter(data_key="service-type:missing")
    last_updated = DateParameter(
        data_key="_lastUpdated",
        definition=f"{_R4}Resource-lastUpdated",
        documentation="When this server last learnt of a change.",
    )
    sort = Choice(of=("date", "-date"), data_key="_sort")
    count = count_parameter()
    total = total_parameter()
    include = AppointmentIncludeParameter(data_key="_include")
    include_iterate = include_iterate_parameter()
    cursor = cursor_parameter(Place.parse)


def sort_key(
    booking: Found, query: AppointmentQuery, moment: int
) -> tuple[bool, int, str]:
    """
    Return what orders bookings, in the order that a search wants.

    An open invitation has no time: it stands where the present is.

    Args:
        booking: The booking.
        query: The search.
        moment: The time of the search's first page, in seconds since 1970.
    """
    return _place_key(start_of(booking, moment), booking.id, query.sort, moment)


def start_of(booking: Found, moment: int) -> int:
    """Return when a booking begins, in seconds; of an open invitation the moment."""
    if isinstance(booking, OpenInvitation):
        return moment
    return epoch_seconds(booking.timeslot.start)


def _place_key(
    start: int, identifier: str, sort: str | None, moment: int
) -> tuple[bool, int, str]:
    is_past = sort is None and start < moment
    descends = is_past or sort == "-date"
    return is_past, -start if descends else start, identifier


def has_values(booking: Found, query: AppointmentQuery) -> bool:
    """Return whether a booking fits what needs no Appointment to compare."""
    status = booking.status.value
    return (
        all(any(token.code == status for token in group) for group in query.status)
        and all(token.code != status for group in query.status_not for token in group)
        and _is_within(booking, query.date)
        and query.last_updated.has(booking.updated_at)
        and all(any(token.code == booking.id for token in group) for group in query.id)
    )


def _is_within(booking: Found, bounds: DateBounds) -> bool:
    # What has no time fits no search for one.
    if isinstance(booking, OpenInvitation):
        return bounds == ANY_INSTANT
    return bounds.has(booking.timeslot.start)


def fits(appointment: Resource, query: AppointmentQuery) -> bool:
    """Return whether an Appointment fits the other parameters."""
    slots, actors = slots_of(appointment), actors_of(appointment)
    identifiers = identifiers_of(appointment)
    service_types = service_types_of(appointment)
    staff = [each for each in actors if each.startswith("Practitioner/")]
    return (
        has_reference(slots, query.slot, "Slot")
        and has_reference(actors, query.location, "Location")
        and has_reference(actors, query.practitioner, "Practitioner")
        and has_reference(actors, query.actor)
        and has_reference(actors, query.actor_location, "Location")
        and has_reference(actors, query.actor_service, "HealthcareService")
        and has_reference(actors, query.actor_practitioner, "Practitioner")
        and has_token(identifiers, query.identifier)
        and has_token(participations_of(appointment), query.part_status)
        and has_token(service_types, query.service_type)
        and not any(
            has_token(service_types, [group]) for group in query.service_type_not
        )
        and all(
            wanted in (None, not found)
            for found, wanted in (
                (slots, query.no_slot),
                (staff, query.no_practitioner),
                (identifiers, query.no_identifier),
                (service_types, query.no_service_type),
            )
        )
    )


def named_resident(query: AppointmentQuery) -> PersonalIdentityNumber | None:
    """
    Return the number of the resident whom a search names, if it names one.

    Raises:
        Problem: 400: it names two.
    """
    given = {query.patient_identifier, query.of_patient} - {None}
    if len(given) > 1:
        raise Problem(
            [
                Issue(
                    code="value",
                    diagnostics=(
                        "patient:identifier is not patient.identifier: give one of"
                        " them."
                    ),
                    parameter=OF_RESIDENT[1],
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
    return min(given, default=None, key=str)


def page_of(
    fitting: Sequence[tuple[Found, Resource]],
    query: AppointmentQuery,
    moment: int,
) -> tuple[list[Resource], Found | None]:
    """Return a page, and its last booking where others follow; as of `sort_key`."""
    after = fitting
    if query.cursor is not None:
        place = _place_key(query.cursor.start, query.cursor.id, query.sort, moment)
        after = [pair for pair in fitting if sort_key(pair[0], query, moment) > place]
    page = after if query.count is None else after[: query.count]
    has_more = len(page) < len(after)
    last = page[-1][0] if page and has_more else None
    return [resource for _, resource in page], last
