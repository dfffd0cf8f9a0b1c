"""
A consumer of one simulated region: the real client, and the sandbox's own pages.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import requests

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import civil_date_text
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import CONTENT_TYPE, ContractAnswer, write_request
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_all_care_types,
    get_all_healthcare_facilities,
    get_all_performers,
    get_all_time_types,
    get_available_dates,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
    make_booking,
    update_booking,
)
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.scheduling_1_1.types import SubjectOfCareType, TimeslotType
from fhir_gateway.sandbox.catalogue import LocalTimeType, SandboxUnit
from fhir_gateway.sandbox.server import SandboxServer

# A Monday before the units open.
NOW: Final = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
TODAY: Final = date(2026, 3, 2)
TOLVAN: Final = "191212121212"  # Skatteverket's test person, as are all serials 980-999
TIMEOUT_S: Final = 10.0

INFO_TYPE: Final = "fasteprov"
LOCKED_TYPE: Final = "halsosamtal"
COUNTED_TYPE: Final = "grupp"


class SettableClock:
    """A clock that stands still until it is moved."""

    def __init__(self, instant: datetime = NOW) -> None:
        self.instant = instant

    def __call__(self) -> datetime:
        """Return the instant it stands at."""
        return self.instant


def people(count: int) -> list[str]:
    """Return test persons: serials 980 to 989, which no resident has."""
    numbers: list[str] = []
    for day in range(count // 10 + 1):
        born = civil_date_text(date(1980, 1, 1) + timedelta(days=day))
        for serial in range(980, 990):
            numbers.extend(
                candidate
                for candidate in (f"{born}{serial}{digit}" for digit in range(10))
                if _is_number(candidate)
            )
    return numbers[:count]


def _is_number(text: str) -> bool:
    try:
        PersonalIdentityNumber(text)
    except ValueError:
        return False
    return True


class Consumer:
    """One region, as its first unit by default."""

    def __init__(self, server: SandboxServer, name: str) -> None:
        self.server = server
        self.name = name
        self.region = next(each for each in server.regions() if each.name == name)
        self.unit = self.region.units[0]
        self._client = SoapClient(
            source=self.region.name, endpoint=server.endpoint(name)
        )

    def call(
        self,
        contract: Contract[Any, Any],
        request: object,
        *,
        address: str | None = None,
        actor: Actor | None = None,
        timeout: float = TIMEOUT_S,
    ) -> ContractAnswer:
        """Send a message with the real client, as the agent by default."""
        return self._client.call(
            contract,
            request,
            logical_address=LogicalAddress(address or self.unit.hsa_id),
            actor=actor or Actor.agent(self.region.agent),
            timeout=timeout,
        )

    # The eleven interactions

    def time_types(self) -> Any:
        """Ask GetAllTimeTypes."""
        request = get_all_time_types.Request(
            healthcare_facility=self.unit.hsa_id, subject_of_care=TOLVAN
        )
        return self.call(get_all_time_types.CONTRACT, request).response

    def care_types(self, **narrowed: Any) -> Any:
        """Ask GetAllCareTypes."""
        request = get_all_care_types.Request(
            healthcare_facility=self.unit.hsa_id, subject_of_care=TOLVAN, **narrowed
        )
        return self.call(get_all_care_types.CONTRACT, request).response

    def performers(self, **narrowed: Any) -> Any:
        """Ask GetAllPerformers."""
        request = get_all_performers.Request(
            healthcare_facility=self.unit.hsa_id, subject_of_care=TOLVAN, **narrowed
        )
        return self.call(get_all_performers.CONTRACT, request).response

    def facilities(
        self, booking_id: str | None = None, *, address: str | None = None
    ) -> Any:
        """Ask GetAllHealthcareFacilities."""
        request = get_all_healthcare_facilities.Request(
            healthcare_facility=self.unit.hsa_id,
            subject_of_care=TOLVAN,
            booking_id=booking_id,
        )
        return self.call(
            get_all_healthcare_facilities.CONTRACT, request, address=address
        ).response

    def dates(self, **narrowed: Any) -> tuple[Any, ...]:
        """Ask GetAvailableDates, ninety days ahead."""
        request = get_available_dates.Request(
            **self._free_times(self.unit, TODAY, TODAY + timedelta(days=89)) | narrowed
        )
        answer = self.call(get_available_dates.CONTRACT, request)
        return tuple(answer.response.performer_availability_by_date)

    def slots(
        self,
        unit: SandboxUnit | None = None,
        *,
        first: date = TODAY,
        last: date = TODAY + timedelta(days=89),
        **narrowed: Any,
    ) -> tuple[TimeslotType, ...]:
        """Ask GetAvailableTimeslots, ninety days ahead."""
        unit = unit or self.unit
        request = get_available_timeslots.Request(
            **self._free_times(unit, first, last) | narrowed
        )
        answer = self.call(
            get_available_timeslots.CONTRACT, request, address=unit.hsa_id
        )
        return tuple(answer.response.timeslot_detail)

    def details(
        self,
        booking_id: str,
        *,
        unit: SandboxUnit | None = None,
        actor: Actor | None = None,
    ) -> TimeslotType:
        """Ask GetBookingDetails about a booking that there is."""
        answer = self.details_answer(booking_id, unit=unit, actor=actor)
        slot = answer.response.timeslot_detail
        assert isinstance(slot, TimeslotType)
        return slot

    def details_answer(
        self,
        booking_id: str,
        *,
        unit: SandboxUnit | None = None,
        actor: Actor | None = None,
    ) -> ContractAnswer:
        """Ask GetBookingDetails, whether there is such a booking or not."""
        here = (unit or self.unit).hsa_id
        request = get_booking_details.Request(
            healthcare_facility=here, booking_id=booking_id
        )
        return self.call(
            get_booking_details.CONTRACT, request, address=here, actor=actor
        )

    def schedule(
        self, person: str = TOLVAN, *, address: str | None = None
    ) -> tuple[TimeslotType, ...]:
        """Ask GetSubjectOfCareSchedule."""
        return tuple(self.schedule_answer(person, address).response.timeslot_detail)

    def schedule_answer(
        self, person: str = TOLVAN, address: str | None = None
    ) -> ContractAnswer:
        """Ask GetSubjectOfCareSchedule, for the header too."""
        here = address or self.unit.hsa_id
        request = get_subject_of_care_schedule.Request(
            healthcare_facility=here, subject_of_care=person
        )
        return self.call(get_subject_of_care_schedule.CONTRACT, request, address=here)

    def make(
        self, slot: TimeslotType, person: str = TOLVAN, **changed: Any
    ) -> make_booking.Response:
        """Book a time that was listed."""
        return self.send_make(self.make_request(slot, person, **changed))

    def send_make(
        self,
        request: make_booking.Request,
        *,
        address: str | None = None,
        timeout: float = TIMEOUT_S,
    ) -> make_booking.Response:
        """Send MakeBooking."""
        answer = self.call(
            make_booking.CONTRACT,
            request,
            address=address or request.requested_timeslot.healthcare_facility,
            timeout=timeout,
        )
        assert isinstance(answer.response, make_booking.Response)
        return answer.response

    def make_request(
        self,
        slot: TimeslotType,
        person: str = TOLVAN,
        *,
        phone: str | None = None,
        **changed: Any,
    ) -> make_booking.Request:
        """Return MakeBooking for a time that was listed."""
        return make_booking.Request(
            healthcare_facility_med=slot.healthcare_facility,
            requested_timeslot=_wanted(slot, person, **changed),
            subject_of_care_info=SubjectOfCareType(
                phone=phone, first_name="Tolvan", last_name="Tolvansson"
            ),
        )

    def update(
        self,
        booking_id: str,
        slot: TimeslotType,
        person: str = TOLVAN,
        *,
        with_info: bool = True,
    ) -> update_booking.Response:
        """Move a booking to a time that was listed."""
        request = update_booking.Request(
            requested_timeslot=_wanted(slot, person, booking_id=booking_id),
            subject_of_care_info=(
                SubjectOfCareType(first_name="Tolvan", last_name="Tolvansson")
                if with_info
                else None
            ),
        )
        answer = self.call(
            update_booking.CONTRACT, request, address=slot.healthcare_facility
        )
        assert isinstance(answer.response, update_booking.Response)
        return answer.response

    def cancel(
        self,
        booking_id: str,
        *,
        message: str | None = None,
        unit: SandboxUnit | None = None,
        actor: Actor | None = None,
    ) -> cancel_booking.Response:
        """Cancel a booking."""
        here = (unit or self.unit).hsa_id
        request = cancel_booking.Request(
            healthcare_facility=here, booking_id=booking_id, message=message
        )
        answer = self.call(cancel_booking.CONTRACT, request, address=here, actor=actor)
        assert isinstance(answer.response, cancel_booking.Response)
        return answer.response

    # What a test looks for

    def time_type(self, key: str, unit: SandboxUnit | None = None) -> LocalTimeType:
        """Return the time type that the sandbox calls so."""
        return next(each for each in (unit or self.unit).time_types if each.key == key)

    def slots_of(self, key: str) -> tuple[TimeslotType, ...]:
        """Return the free times of a time type at the first unit that has it."""
        unit = next(
            unit
            for unit in self.region.units
            if any(each.key == key for each in unit.time_types)
        )
        return self.slots(unit, time_type_id=self.time_type(key, unit).id)

    def booked(self, key: str = "covid", person: str = TOLVAN, **changed: Any) -> str:
        """Book the first free time of a time type and return the booking's id."""
        booking_id = self.make(self.slots_of(key)[0], person, **changed).booking_id
        assert booking_id is not None
        return booking_id

    # The sandbox's own pages, and messages that the client would not send

    def ledger(self) -> dict[str, Any]:
        """Return the ledger."""
        return self._get(f"/ledger/{self.name}")

    def writes(self) -> list[dict[str, Any]]:
        """Return the writes in the ledger."""
        rows: list[dict[str, Any]] = self.ledger()["writes"]
        return rows

    def bookings(self) -> list[dict[str, Any]]:
        """Return the live bookings, without the invitations that were there first."""
        return [row for row in self.ledger()["bookings"] if not row["is_invitation"]]

    def open_invitation(self) -> dict[str, Any]:
        """Return the open invitation."""
        rows: list[dict[str, Any]] = self.ledger()["bookings"]
        return next(row for row in rows if row["timeslot"] is None)

    def fault(self, fault: str, **fields: Any) -> requests.Response:
        """Order a fault."""
        return requests.post(
            f"{self.server.url}/faults/{self.name}",
            json={"fault": fault, **fields},
            timeout=TIMEOUT_S,
        )

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that apply."""
        rows: list[dict[str, Any]] = self._get(f"/faults/{self.name}")["faults"]
        return rows

    def _get(self, path: str) -> dict[str, Any]:
        answer = requests.get(self.server.url + path, timeout=TIMEOUT_S)
        data: dict[str, Any] = answer.json()
        return data

    def document(
        self, interaction: Interaction, request: object, *, address: str | None = None
    ) -> bytes:
        """Return a message as the strict writer has it."""
        return write_request(
            CONTRACTS[interaction],
            request,
            logical_address=LogicalAddress(address or self.unit.hsa_id),
            actor=Actor.agent(self.region.agent),
        )

    def post(self, interaction: Interaction, document: bytes, **headers: str) -> Any:
        """Post bytes as a message."""
        return requests.post(
            self.server.endpoint(self.name),
            data=document,
            headers={
                "Content-Type": CONTENT_TYPE,
                "SOAPAction": f'"{CONTRACTS[interaction].action}"',
            }
            | headers,
            timeout=TIMEOUT_S,
        )

    def _free_times(self, unit: SandboxUnit, first: date, last: date) -> dict[str, Any]:
        return {
            "healthcare_facility": unit.hsa_id,
            "start_date_inclusive": civil_date_text(first),
            "end_date_inclusive": civil_date_text(last),
            "subject_of_care": TOLVAN,
        }


def _wanted(slot: TimeslotType, person: str, **changed: Any) -> TimeslotType:
    """Return a listed time as a consumer sends it back: without what it may not set."""
    return replace(
        slot,
        **{
            "subject_of_care": person,
            "booking_id": None,
            "cancel_booking_allowed": None,
            "rebooking_allowed": None,
            "message_allowed": None,
            "is_invitation": None,
        }
        | changed,
    )
