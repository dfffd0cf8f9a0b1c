"""
The parameters of `Appointment/$find`: a search for slots in other terms.

IHE, Argonaut, WOF and Medplum each have their own names; they become the parameters of
the search for slots. Several values of one parameter mean "any of these", two
parameters mean "both". The answer names the parameters that no search for slots can
apply.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.operation_parameters import (
    DATES,
    NUMBERS,
    REFERENCES,
    RESOURCE,
    TEXTS,
    TOKENS,
    Arguments,
    Given,
    OperationParameter,
)
from fhir_gateway.fhir.outcome import Issue, Severity
from fhir_gateway.fhir.search_date import (
    DateBounds,
    DateParameter,
)
from fhir_gateway.fhir.vocabulary import SNOMED_CT, SNOMED_CT_SWEDEN
from fhir_gateway.model.error_code import ErrorCode

__all__ = ["FIND", "FindRequest", "find_request", "issues_of_find"]

_MANY: Final = 50
_PASSED_ON: Final = (
    *("_source", "time-of-day", "day-of-week", "schedule.actor:Location.near"),
    *("service-type:not", "service-type:below"),
    *("service-type:in", "service-type:not-in", "schedule.actor"),
    *("first-per", "invitation", "_cursor", "_total", "_sort"),
)
# Each kind: its parameter in the search for slots, the type that it refers to, and its
# names.
_REFERRED: Final = {
    "schedule.actor:Practitioner": ("Practitioner", ("practitioner",)),
    "schedule.actor:HealthcareService.organization": (
        "Organization",
        ("organization",),
    ),
    "schedule.actor:Location": ("Location", ("location", "location-reference")),
    "schedule.actor:HealthcareService": (
        "HealthcareService",
        ("healthcareService", "healthcare-service", "service-type-reference"),
    ),
    "schedule": ("Schedule", ("schedule",)),
}
_TOKEN_NAMES: Final = ("visit-type", "service-type")
_ROLE: Final = OperationParameter(
    names=("practitionerRole",), types=REFERENCES, most=_MANY
)
_PLACE: Final = OperationParameter(
    names=("location-string",), types=frozenset({"string"}), most=_MANY
)
_ANYTHING: Final = REFERENCES | TOKENS | DATES | NUMBERS | RESOURCE | {"Timing"}
_NOT_APPLIED: Final = tuple(
    OperationParameter(names=(name,), types=_ANYTHING, most=_MANY)
    for name in (
        *("specialty", "reason", "timing", "referral-identifier"),
        *("insurance", "insurance-reference", "insurance-resource"),
        *("patient-reference", "patient-resource", "patient-id"),
        *("ignore-appointment", "occurrence-count"),
    )
)

_COUNT: Final = OperationParameter(names=("_count",), types=NUMBERS)

FIND: Final = (
    OperationParameter(names=("start", "startTime"), types=DATES),
    OperationParameter(names=("end", "endTime"), types=DATES),
    OperationParameter(names=_TOKEN_NAMES, types=TOKENS, most=_MANY),
    *(
        OperationParameter(names=names, types=REFERENCES, most=_MANY)
        for _, names in _REFERRED.values()
    ),
    *(_ROLE, _PLACE),
    _COUNT,
    *(
        OperationParameter(names=(name,), types=TEXTS, most=_MANY)
        for name in _PASSED_ON
    ),
    *_NOT_APPLIED,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FindRequest:
    """
    A search for proposed appointments.

    Attributes:
        search: The parameters of a search for slots.
        spelt: The client's name for each of those.
        called: The call's parameters as the query of a URL, without any that may be a
            patient's.
        roles: Ids of PractitionerRole; any of them fits.
        places: Texts within the name or town of a unit; any of them fits.
        not_applied: The parameters that this server does not apply.
    """

    search: Sequence[tuple[str, str]]
    spelt: Mapping[str, str]
    called: Sequence[tuple[str, str]]
    roles: frozenset[str]
    places: frozenset[str]
    not_applied: Sequence[str]


def find_request(arguments: Arguments) -> FindRequest:
    """
    Return the search; the arguments collect its faults.

    A value with a fault is left out of the search, so that the search's own checks find
    the faults of the others.
    """
    return _Translation(arguments).request()


def issues_of_find(request: FindRequest) -> list[Issue]:
    """Return an issue for each filter that was not applied."""
    return [
        Issue(
            severity=Severity.WARNING,
            code="not-supported",
            error_code=ErrorCode.FILTER_IS_NOT_APPLIED,
            diagnostics=(
                f"{name}: is not applied: no region states it for its free times. The"
                " answer may hold times that it would exclude."
            ),
            parameter=name,
        )
        for name in request.not_applied
    ]


class _Translation:
    """Translates a call of `$find` into a search for slots."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._search: list[tuple[str, str]] = []
        self._spelt: dict[str, str] = {}
        self._called: list[tuple[str, str]] = []

    def request(self) -> FindRequest:
        """Return the search, of the values without faults."""
        for name, prefix in (("start", "ge"), ("end", "lt")):
            for given in self._arguments.all(name):
                self._take_time(given, prefix)
        self._check_window()
        services = self._arguments.all(_TOKEN_NAMES[0])
        for each in services:
            self._check_version(each)
        self._take(
            "service-type",
            services,
            ",".join(
                self._said(each, _token_text(each.type, each.value))
                for each in services
            ),
        )
        for target, (kind, names) in _REFERRED.items():
            values = self._arguments.all(names[0])
            ids = self._ids(values, kind)
            self._take(target, values if ids else (), ",".join(ids))
        roles = self._ids(self._arguments.all(_ROLE.names[0]), "PractitionerRole")
        places = [
            self._said(each, str(each.value))
            for each in self._arguments.all(_PLACE.names[0])
        ]
        for given in self._passed_on():
            text = str(given.value)
            if given.name != "_cursor":
                self._said(given, text)
            self._take(given.name, [given], text)
        return FindRequest(
            search=self._search,
            spelt=self._spelt,
            called=self._called,
            roles=frozenset(roles),
            places=frozenset(places),
            not_applied=[
                declared.names[0]
                for declared in _NOT_APPLIED
                if self._arguments.all(declared.names[0])
            ],
        )

    def _passed_on(self) -> Iterator[Given]:
        # Two counts are a fault already.
        yield from self._arguments.all("_count")[:1]
        for name in _PASSED_ON:
            yield from self._arguments.all(name)

    def _take(self, target: str, given: Sequence[Given], text: str) -> None:
        if given:
            self._search.append((target, text))
            self._spelt[target] = given[0].name

    def _take_time(self, given: Given, prefix: str) -> None:
        text = self._said(given, str(given.value))
        # The search includes the whole of the last day.
        if prefix == "lt" and "T" not in text:
            prefix = "le"
        if text[:1].isalpha():
            self._arguments.fault(
                "value", f"{given.name}: is a date, without a prefix.", given
            )
            return
        self._take("start", [given], f"{prefix}{text}")

    def _check_window(self) -> None:
        times = [text for target, text in self._search if target == "start"]
        ends = self._arguments.all("end")
        try:
            bounds = DateParameter().deserialize(times) if times else DateBounds()
        except ValidationError:
            # The search's own checks find this fault.
            return
        if ends and bounds.start and bounds.before and bounds.before <= bounds.start:
            self._arguments.fault(
                "value", f"{ends[0].name}: must be later than start.", ends[0]
            )

    def _check_version(self, given: Given) -> None:
        """Note a fault for a version of a code system that is not this server's."""
        codings = [given.value] if given.type == "Coding" else []
        if given.type == "CodeableConcept":
            codings = given.value.get("coding", [])
        for coding in codings:
            version = coding.get("version")
            if version is None or (
                (coding.get("system"), version) == (SNOMED_CT, SNOMED_CT_SWEDEN)
            ):
                continue
            self._arguments.fault(
                "value",
                f"{given.name}: a version cannot be searched for: leave it out.",
                given,
            )
            return

    def _ids(self, values: Iterable[Given], kind: str) -> list[str]:
        ids = []
        for given in values:
            identifier = self._arguments.referred(given, kind)
            if identifier is not None:
                ids.append(self._said(given, f"{kind}/{identifier}"))
        return [text.partition("/")[2] for text in ids]

    def _said(self, given: Given, text: str) -> str:
        self._called.append((given.name, text))
        return text


def _token_text(kind: str, value: Any) -> str:  # noqa: ANN401 - JSON is any value
    """Return a value as a token of a search; any coding of a concept fits."""
    if kind == "CodeableConcept":
        codings = value.get("coding")
        listed = codings if isinstance(codings, list) else []
        return ",".join(_coding_text(each, "code") for each in listed)
    if kind in ("Coding", "Identifier"):
        return _coding_text(value, "code" if kind == "Coding" else "value")
    return str(value)


def _coding_text(coding: object, name: str) -> str:
    if not isinstance(coding, dict):
        return ""
    system, code = (_escaped(coding.get(each)) for each in ("system", name))
    return f"{system}|{code}" if system else code


def _escaped(text: object) -> str:
    if not isinstance(text, str):
        return ""
    for character in "\\,|$":
        text = text.replace(character, f"\\{character}")
    return text
