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
from fhir_gateway.model.person import SubjectOfCare
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
# Elements of a Reference that only name the person.
_OF_PERSON: Final = frozenset({"reference", "type", "display", "id"})


def unsupported_changes(
    present: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    moves: bool,
    exact: bool = False,
    by_operation: bool = False,
    is_current: bool = True,
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
    """
    comparison = _Comparison(
        present,
        wanted,
        moves=moves,
        exact=exact,
        by_operation=by_operation,
        is_current=is_current,
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
    ) -> None:
        self._present = present
        self._wanted = wanted
        self._moves = moves
        self._exact = exact
        self._by_operation = by_operation
        self._is_current = is_current
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
        if not self._moves:
            yield from self._slot()
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
        if self._exact and any(
            each not in self._wanted.get("contained", ()) for each in shown
        ):
            yield "Appointment.contained"

    def _slot(self) -> Iterator[str]:
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
            is_resident = is_patient(participant.get("actor", {}), contained)
            if self._moves and not (is_resident and self._exact):
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
            if self._exact:
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
        """Yield the differences of the patient participant, except for the identity."""
        present, wanted = (
            {
                **participant,
                "actor": {
                    name: value
                    for name, value in participant["actor"].items()
                    if name not in _OF_PERSON and name != "identifier"
                },
            }
            for participant in (present, wanted)
        )
        yield from self._differing(present, wanted, path)


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
