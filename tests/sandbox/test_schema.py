"""
What norr writes, held against the contracts' own schemas.

The schemas are not ours to carry: `RIVTA_SCHEMAS` names a folder that has them, or they
stand beside the repository in `shared/schemas`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.envelope import CONTENT_TYPE, write_request
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
    update_booking,
)
from fhir_gateway.rivta.scheduling_1_1.types import SubjectOfCareType
from fhir_gateway.rivta.xml import parse

from .consumer import TIMEOUT_S, TOLVAN, Consumer

SCHEMAS = Path(
    os.environ.get("RIVTA_SCHEMAS", Path(__file__).parents[3] / "shared" / "schemas")
)
ROOT = SCHEMAS / "crm_scheduling_1.1.1"

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="no schemas: set RIVTA_SCHEMAS to a folder with them"
)


class _WithoutAnchors(etree.Resolver):
    """Reads schemas, taking ^ and $ out of a pattern where they stand for letters."""

    def resolve(self, url: str, _public_id: str, context: Any) -> Any:  # type: ignore[override] # lxml hands over a context that its stubs leave out
        text = Path(url).read_text("utf-8")
        return self.resolve_string(
            text.replace('value="^', 'value="').replace('$"', '"').encode(),
            context,
            base_url=url,
        )


def _schema(interaction: Interaction) -> etree.XMLSchema:
    name = interaction.name
    path = ROOT / "interactions" / f"{name}Interaction" / f"{name}Responder_1.1.xsd"
    parser = etree.XMLParser()
    parser.resolvers.add(_WithoutAnchors())
    return etree.XMLSchema(etree.parse(str(path), parser))


def _requests(norr: Consumer) -> dict[Interaction, object]:
    """Return one request of each kind that norr has a full answer to."""
    here = norr.unit.hsa_id
    unit: dict[str, Any] = {"healthcare_facility": here, "subject_of_care": TOLVAN}
    days: dict[str, Any] = {
        "start_date_inclusive": "20260302",
        "end_date_inclusive": "20260530",
    }
    info = SubjectOfCareType(first_name="Tolvan", last_name="Tolvansson")
    slots = norr.slots_of("covid")
    to_move = norr.make(slots[0]).booking_id or ""
    to_cancel = norr.make(slots[1]).booking_id or ""
    moved = norr.make_request(slots[2], booking_id=to_move).requested_timeslot
    return {
        scheduling.GET_ALL_TIME_TYPES: get_all_time_types.Request(**unit),
        scheduling.GET_ALL_CARE_TYPES: get_all_care_types.Request(**unit),
        scheduling.GET_ALL_PERFORMERS: get_all_performers.Request(**unit),
        scheduling.GET_ALL_HEALTHCARE_FACILITIES: (
            get_all_healthcare_facilities.Request(**unit)
        ),
        scheduling.GET_AVAILABLE_DATES: get_available_dates.Request(**unit, **days),
        scheduling.GET_AVAILABLE_TIMESLOTS: get_available_timeslots.Request(
            **unit, **days
        ),
        scheduling.GET_BOOKING_DETAILS: get_booking_details.Request(
            healthcare_facility=here,
            booking_id=norr.open_invitation()["booking_id"],
        ),
        scheduling.GET_SUBJECT_OF_CARE_SCHEDULE: get_subject_of_care_schedule.Request(
            **unit
        ),
        scheduling.MAKE_BOOKING: norr.make_request(norr.slots_of("fasteprov")[0]),
        scheduling.UPDATE_BOOKING: update_booking.Request(
            requested_timeslot=moved, subject_of_care_info=info
        ),
        scheduling.CANCEL_BOOKING: cancel_booking.Request(
            healthcare_facility=here, booking_id=to_cancel
        ),
    }


@pytest.mark.parametrize(
    "interaction",
    list(scheduling.INTERACTIONS),
    ids=lambda interaction: interaction.name,
)
def test_norr_keeps_to_the_schema(norr: Consumer, interaction: Interaction) -> None:
    """Each of norr's answers is valid by the contract's own schema."""
    request = _requests(norr)[interaction]
    answer = norr.post(interaction, norr.document(interaction, request))
    body = parse(answer.content)[-1]
    schema = _schema(interaction)

    assert answer.status_code == 200
    assert len(body[0])
    schema.assertValid(etree.fromstring(etree.tostring(body[0])))


def test_mitt_does_not(mitt: Consumer) -> None:
    """A free time in mitt is not valid: an empty number breaks the schema's pattern."""
    interaction = scheduling.GET_AVAILABLE_TIMESLOTS
    request = get_available_timeslots.Request(
        healthcare_facility=mitt.unit.hsa_id,
        start_date_inclusive="20260302",
        end_date_inclusive="20260430",
        subject_of_care=TOLVAN,
    )
    answer = mitt.post(interaction, mitt.document(interaction, request))
    body = parse(answer.content)[-1]

    assert not _schema(interaction).validate(etree.fromstring(etree.tostring(body[0])))


def test_the_aggregating_service_keeps_to_the_schema(norr: Consumer) -> None:
    """Its body, and its report where no unit failed, are valid."""
    norr.booked()
    contract = get_subject_of_care_schedule.CONTRACT
    answer = requests.post(
        norr.server.endpoint("platform"),
        data=write_request(
            contract,
            get_subject_of_care_schedule.Request(
                healthcare_facility="5565594230", subject_of_care=TOLVAN
            ),
            logical_address=LogicalAddress("5565594230"),
            actor=Actor.resident(PersonalIdentityNumber(TOLVAN)),
        ),
        headers={"Content-Type": CONTENT_TYPE, "SOAPAction": contract.action},
        timeout=TIMEOUT_S,
    )
    header, body = parse(answer.content)
    headers = etree.XMLSchema(
        etree.parse(str(ROOT / "core_components" / "interoperability_headers_1.0.xsd"))
    )

    assert len(body[0]) > 1
    headers.assertValid(etree.fromstring(etree.tostring(header[0])))
    _schema(scheduling.GET_SUBJECT_OF_CARE_SCHEDULE).assertValid(
        etree.fromstring(etree.tostring(body[0]))
    )
