"""
Changes of an Appointment that no region can make (R4, 3.1.0.4; RFC 5789, 2).

The contracts can move and cancel a booking, and nothing else. For any other change this
server names each changed element, and does nothing of the change. An update may leave
out what this server made, as many clients do.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_gateway.fhir.appointment import MESSAGE_ID
from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.patient import contained_patients, is_patient
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import instant_from_text

__all__ = ["changed_names", "unsupported_changes"]

_COMMENT: Final = (
    "The regions' contracts cannot change a comment; cancel and book again, or contact"
    " the unit."
)
_OTHER: Final = (
    "This cannot be changed: read the Appointment again and leave this as it is. Change"
    " only the slot, to move, or the status, to cancel."
)
# Elements that a change itself consists of, or that are compared by their meaning.
_READ: Final = frozenset({"resourceType", "status", "slot", "contained", "participant"})
# Elements that differ with a new time.
_OF_SLOT: Final = frozenset({"serviceType", "start", "end", "comment", "reasonCode"})
_TIMES: Final = ("start", "end")
_OF_VISIT: Final = frozenset({"comment", "patientInstruction"})
# R4, 3.1.0.4: a server ignores these, and sets them itself.
_SET_BY_SERVER: Final = frozenset({"versionId", "lastUpdated", "extension"})
# Elements of a Reference that only name the person, in the form of each dialect.
_OF_PERSON: Final = frozenset({"reference", "type", "display", "id", "identifier"})
# Elements of a Patient, and of its name, that other checks compare by their meaning.
_READ_OF_PATIENT: Final = frozenset(
    {"resourceType", "id", "meta", "text", "active", "identifier", "name", "telecom"}
)
_READ_OF_NAME: Final = frozenset({"use", "text", "family", "given", "period"})
# Elements of a reference to a slot that must agree with it.
_READ_OF_SLOT: Final = frozenset({"reference", "type", "identifier"})


def unsupported_changes(
    present: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    moves: bool,
    exact: bool = False,
    by_operation: bool = False,
    is_current: bool = True,
    service_type: Mapping[str, Any] | None = None,
) -> list[Issue]:
    """
    Return a fault for each change that no region can make.

    Args:
        present: The Appointment as this server shows it.
        wanted: The Appointment as a client wants it; it is valid.
        moves: It names another slot.
        exact: It is the present one with a patch applied, so that the patch removed
            each missing element; else the client did not send it.
        by_operation: It came with an operation, perhaps in the form that `$find`
            proposed.
        is_current: The source has just reported the visit's details; otherwise this
            server does not know which details it showed the client.
        service_type: The new slot's `serviceType`; None where it is unknown.
    """
    comparison = _Comparison(
        present,
        wanted,
        moves=moves,
        exact=exact,
        by_operation=by_operation,
        is_current=is_current,
        service_type=service_type,
    )
    return [
        Issue(
            code="not-supported",
            diagnostics=_COMMENT if path == "Appointment.comment" else _OTHER,
            expression=path,
        )
        for path in comparison.paths()
    ]


def changed_names(
    known: SubjectOfCare, wanted: SubjectOfCare, sent: Mapping[str, Any]
) -> list[Issue]:
    """
    Return a fault for a name and contacts that differ from the booking's.

    Args:
        known: The resident as the booking has them.
        wanted: The same resident as the client sends them.
        sent: The Appointment that the client sent; it is valid.
    """
    where = next(
        (f"Appointment.contained[{place}]" for place, _ in contained_patients(sent)),
        "Appointment.contained",
    )
    differs = {
        "name": any(
            getattr(known, part) != getattr(wanted, part)
            for part in ("first_name", "middle_name", "last_name")
        ),
        "telecom": any(
            getattr(wanted, kind) not in (None, getattr(known, kind))
            for kind in ("phone", "email")
        ),
    }
    return [
        Issue(
            code="not-supported",
            diagnostics=(
                "The booking has another one, which the regions' contracts cannot"
                " change. Leave out the contained Patient, or contact the unit."
            ),
            expression=f"{where}.{name}",
        )
        for name, is_other in differs.items()
        if is_other
    ]


class _Comparison:
    """Compares two Appointments, except for the elements that may differ."""

    def __init__(
        self,
        present: Mapping[str, Any],
        wanted: Mapping[str, Any],
        *,
        moves: bool,
        exact: bool,
        by_operation: bool,
        is_current: bool,
        service_type: Mapping[str, Any] | None,
    ) -> None:
        self._present = present
        self._wanted = wanted
        self._moves = moves
        self._exact = exact
        self._by_operation = by_operation
        self._is_current = is_current
        self._service_type = service_type
        # A client that missed the answer to a cancellation sends it again, with the
        # Appointment as it was before; its source reports nothing of it any more.
        self._is_cancelled: bool = present["status"] == "cancelled"
        self._repeats: bool = self._is_cancelled and wanted["status"] == "cancelled"

    def paths(self) -> Iterator[str]:
        """Yield the path of each element that differs and must not."""
        present, wanted = self._present, self._wanted
        for name in {**present, **wanted}:
            if not self._may_differ(name):
                yield from self._differing(
                    present.get(name), wanted.get(name), f"Appointment.{name}"
                )
        yield from self._contained()
        yield from self._slot()
        if self._moves and self._exact:
            yield from self._service_types()
            yield from self._reasons()
        yield from self._participants()

    def _may_differ(self, name: str) -> bool:
        if name in _READ or (self._moves and name in _OF_SLOT):
            return True
        if name == "cancelationReason":
            return not self._is_cancelled
        if name in _TIMES:
            times = [each.get(name) for each in (self._present, self._wanted)]
            return None not in times and (
                instant_from_text(str(times[0])) == instant_from_text(str(times[1]))
            )
        if self._exact:
            return False
        return (
            # Client libraries write a narrative of their own.
            name == "text"
            or (name in _OF_VISIT and not self._is_current)
            or (name == "extension" and self._repeats)
            or (self._by_operation and (name == "id" or self._is_proposal(name)))
        )

    def _is_proposal(self, name: str) -> bool:
        return name == "meta" and self._moves

    def _differing(self, present: Any, wanted: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON is any value
        if wanted is None and not self._exact:
            return
        if isinstance(present, dict) and isinstance(wanted, dict):
            for name in {**present, **wanted}:
                if path == "Appointment.meta" and self._is_set_by_server(name):
                    continue
                yield from self._differing(
                    present.get(name), wanted.get(name), f"{path}.{_spelt(name)}"
                )
        elif isinstance(present, list) and isinstance(wanted, list):
            for number in range(max(len(present), len(wanted))):
                yield from self._differing(
                    present[number] if number < len(present) else None,
                    wanted[number] if number < len(wanted) else None,
                    f"{path}[{number}]",
                )
        elif present != wanted:
            yield path

    def _is_set_by_server(self, name: str) -> bool:
        return name in _SET_BY_SERVER and not self._exact

    def _contained(self) -> Iterator[str]:
        """
        Yield contained resources other than Patients: these only identify the person.
        """
        shown = self._present.get("contained", [])
        patients = {each.get("id", "") for _, each in contained_patients(self._wanted)}
        names_patient = any(
            is_patient(each.get("actor", {}), patients)
            for each in self._wanted.get("participant", ())
        )
        for number, each in enumerate(self._wanted.get("contained", ())):
            is_read = each.get("resourceType") == "Patient" and (
                names_patient and (self._moves or not self._exact)
            )
            # Texts that this server showed before, and no longer knows.
            is_earlier_text = (
                each.get("resourceType") == "OperationOutcome"
                and each.get("id") == MESSAGE_ID
                and not (self._is_current or self._exact)
            )
            if not (each in shown or is_read or is_earlier_text):
                yield f"Appointment.contained[{number}]"
            elif is_read and self._keeps_person():
                yield from self._unread_of_patient(
                    each, f"Appointment.contained[{number}]"
                )
        if self._exact and any(
            each not in self._wanted.get("contained", ()) for each in shown
        ):
            yield "Appointment.contained"

    def _keeps_person(self) -> bool:
        """
        Return whether a contained Patient can do nothing.

        A move sends it to the region, a cancellation needs none, and the dialects of
        operations send it always.
        """
        cancels = self._wanted["status"] == "cancelled"
        return not (self._moves or self._by_operation or cancels)

    def _unread_of_patient(
        self, patient: Mapping[str, Any], path: str
    ) -> Iterator[str]:
        """Yield the elements of a Patient that no booking here has."""
        for name in patient:
            is_number = name == "birthDate" and patient[name] == self._born_on()
            if name not in _READ_OF_PATIENT and not is_number:
                yield f"{path}.{_spelt(name)}"
        for number, each in enumerate(patient.get("name", ())):
            for name in each:
                if name not in _READ_OF_NAME:
                    yield f"{path}.name[{number}].{_spelt(name)}"

    def _born_on(self) -> str:
        identifier = self._present["participant"][0]["actor"]["identifier"]
        return PersonalIdentityNumber(identifier["value"]).born_on.isoformat()

    def _service_types(self) -> Iterator[str]:
        """Yield what a patch says of `serviceType` that neither slot has."""
        wanted = self._wanted.get("serviceType")
        if wanted is None:
            return
        shown = [self._present.get("serviceType")]
        if self._service_type is not None:
            shown.append([self._service_type])
        yield from min(
            (
                list(self._differing(each, wanted, "Appointment.serviceType"))
                for each in shown
            ),
            key=len,
        )

    def _reasons(self) -> Iterator[str]:
        """Yield what a patch says of `reasonCode` that is no comment to the unit."""
        reasons = self._wanted.get("reasonCode", [])
        if reasons and "comment" in self._wanted:
            yield "Appointment.reasonCode"
            return
        for number, reason in enumerate(reasons):
            path = f"Appointment.reasonCode[{number}]"
            if number:
                yield path
            else:
                yield from (
                    f"{path}.{_spelt(name)}" for name in reason if name != "text"
                )

    def _slot(self) -> Iterator[str]:
        if self._moves:
            if not self._by_operation:
                yield from (
                    f"Appointment.slot[{number}].{_spelt(name)}"
                    for number, each in enumerate(self._wanted["slot"])
                    for name in each
                    if name not in _READ_OF_SLOT
                )
            return
        present, wanted = (
            [
                {name: value for name, value in each.items() if name != "reference"}
                for each in appointment.get("slot", ())
            ]
            for appointment in (self._present, self._wanted)
        )
        if len(present) == len(wanted) or self._exact:
            yield from self._differing(present, wanted, "Appointment.slot")

    def _participants(self) -> Iterator[str]:
        contained = {each.get("id", "") for _, each in contained_patients(self._wanted)}
        shown = list(self._present["participant"])
        wanted = self._wanted.get("participant", [])
        for number, participant in enumerate(wanted):
            path = f"Appointment.participant[{number}]"
            present: dict[str, Any] | None
            is_resident = is_patient(participant.get("actor", {}), contained)
            if self._moves and not self._exact:
                # Operations send it as a new request, with the participants of the new
                # time.
                if participant.get("status") == "declined":
                    yield f"{path}.status"
                continue
            if is_resident:
                yield from self._patient(
                    shown[0], self._as_shown(participant, shown[0]), path
                )
                continue
            if self._moves:
                present = self._of_new_slot(participant)
            elif self._exact:
                present = shown[number] if number < len(shown) else None
            else:
                present = next(
                    (each for each in shown[1:] if _same_actor(each, participant)),
                    None,
                )
            yield from self._differing(
                present, self._as_shown(participant, present), path
            )
        if self._exact and not self._moves and len(wanted) < len(shown):
            yield "Appointment.participant"

    def _of_new_slot(self, participant: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the form in which a participant of a new slot is shown.

        Another check covers who takes part there.
        """
        resident, *others = self._present["participant"]
        same = next((each for each in others if _same_actor(each, participant)), None)
        actor = participant.get("actor") if same is None else same["actor"]
        return {"actor": actor, "status": resident["status"]}

    def _as_shown(
        self, wanted: dict[str, Any], present: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """
        Return a participant with the status that this server shows, for an operation.

        The dialects send the Appointment as it was proposed, where nobody has accepted
        yet. A participant who declined stays as sent: that is no proposal.
        """
        if not self._by_operation or present is None:
            return wanted
        if wanted.get("status") == "declined":
            return wanted
        return {**wanted, "status": present["status"]}

    def _patient(
        self, present: dict[str, Any], wanted: dict[str, Any], path: str
    ) -> Iterator[str]:
        """Yield the differences of the patient participant."""
        present, wanted = (
            {**participant, "actor": self._compared(participant["actor"])}
            for participant in (present, wanted)
        )
        yield from self._differing(present, wanted, path)

    def _compared(self, actor: Mapping[str, Any]) -> dict[str, Any]:
        """Return a patient's actor without what only says who it is."""
        is_read = self._moves or not self._exact
        is_within = str(actor.get("reference", "")).startswith("#")
        return {
            name: value
            for name, value in actor.items()
            if not (
                (self._by_operation and name in _OF_PERSON)
                or (name == "reference" and is_within and is_read)
            )
        }


def _same_actor(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether two participants are the same: by reference, identifier, name."""
    one, other = present["actor"], wanted.get("actor", {})
    for name in ("reference", "identifier"):
        if name in one or name in other:
            return bool(one.get(name) == other.get(name))
    return bool(one.get("display") == other.get("display"))


def _spelt(name: str) -> str:
    """Return an element's name in FHIRPath: `value` for `valueBoolean`."""
    rest = name.removeprefix("value")
    return "value" if rest != name and rest[:1].isupper() else name.removeprefix("_")
