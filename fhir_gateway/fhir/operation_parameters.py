"""
Parameters (FHIR R4, 2.6.8) of an operation's call, in any dialect.

A parameter can have several names, of several dialects. A client that uses two of them
has given the parameter twice. The reading collects every fault. No message repeats a
value.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fhir_gateway.fhir.limits import MOST_PARAMETERS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.reference import contradicts, own_id
from fhir_gateway.fhir.structure import checked
from fhir_gateway.model.error_code import ErrorCode

__all__ = [
    "DATES",
    "NUMBERS",
    "REFERENCES",
    "RESOURCE",
    "TEXTS",
    "TOKENS",
    "Arguments",
    "Given",
    "OperationParameter",
    "arguments_from_query",
    "arguments_from_resource",
]

RESOURCE: Final = frozenset({"resource"})
TEXTS: Final = frozenset({"string", "code", "id", "uri", "url", "canonical"})
DATES: Final = frozenset({"dateTime", "instant", "date", "string"})
NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt", "string"})
REFERENCES: Final = TEXTS | {"Reference"}
TOKENS: Final = TEXTS | {"Coding", "CodeableConcept", "Identifier"}

_OBJECTS: Final = frozenset(
    {"Coding", "CodeableConcept", "Identifier", "Period", "Reference", "Timing"}
)
_NAME: Final = re.compile(r"[a-z_][A-Za-z_:.\-]{0,63}")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationParameter:
    """
    A parameter that an operation takes.

    Attributes:
        names: Its names; the first is this server's own.
        types: The types that its value may have, `resource` among them.
        most: How many times it may be given.
    """

    names: tuple[str, ...]
    types: frozenset[str]
    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Given:
    """
    A value that a client gave.

    Attributes:
        name: Its name as the client spelt it.
        type: The type of the value; `string` in a URL.
        value: JSON of that type.
        where: Its place in the body as FHIRPath; None in a URL.
    """

    name: str
    type: str
    value: Any
    where: str | None


class Arguments:
    """
    The arguments of a call; collects their faults.

    Args:
        given: The values of each parameter, by this server's own name for it.
        base_url: What absolute references to this server begin with.
        faults: The faults so far.
        names: The names in the call, also of parameters that could not be read.
    """

    def __init__(
        self,
        given: Mapping[str, Sequence[Given]],
        base_url: str,
        faults: Iterable[Issue] = (),
        names: Collection[object] = (),
    ) -> None:
        self._given = given
        self._base_url = base_url
        self._faults = list(faults)
        self._names = names

    @property
    def spelt(self) -> frozenset[str]:
        """Return the names that were given, as the client spelt them."""
        return frozenset(
            each.name for values in self._given.values() for each in values
        )

    @property
    def faults(self) -> tuple[Issue, ...]:
        """Return the faults."""
        return tuple(self._faults)

    def names_any(self, *declared: OperationParameter) -> bool:
        """Return whether the call names a parameter, even with a faulty value."""
        return any(name in self._names for each in declared for name in each.names)

    def all(self, name: str) -> Sequence[Given]:
        """Return the values of a parameter."""
        return self._given.get(name, ())

    def text(self, name: str) -> str | None:
        """Return the text of a parameter that is given once."""
        given = self._only(name)
        return None if given is None else str(given.value)

    def resource(self, name: str, kind: str) -> dict[str, Any] | None:
        """Return the resource of a parameter that is given once."""
        given = self._only(name)
        if given is None:
            return None
        if given.value.get("resourceType") != kind:
            self.fault("value", f"{given.name} must be one {kind}.", given)
            return None
        found: dict[str, Any] = given.value
        return found

    def reference(self, name: str, kind: str) -> str | None:
        """Return the id that a parameter refers to: `kind/id`, or the id alone."""
        given = self._only(name)
        return None if given is None else self.referred(given, kind)

    def referred(self, given: Given, kind: str) -> str | None:
        """Return the id that a value refers to: `kind/id`, or the id alone."""
        text = given.value
        is_reference = given.type == "Reference"
        if is_reference:
            text = text.get("reference", "")
        if not is_reference and _ID.fullmatch(text):
            return str(text)
        found = own_id(text, kind, self._base_url)
        if found is None:
            self.fault(
                "value",
                f"{given.name} must be a reference to this server, as {kind}/id.",
                given,
            )
        elif is_reference and contradicts(given.value, kind, found):
            self.fault(
                "value",
                f"{given.name} contradicts itself: leave out its type and identifier.",
                given,
            )
        return found

    def fault(
        self,
        code: str,
        diagnostics: str,
        given: Given | None = None,
        *,
        error_code: ErrorCode | None = None,
    ) -> None:
        """Note a fault."""
        self._faults.append(
            Issue(
                code=code,
                error_code=error_code,
                diagnostics=diagnostics,
                expression=given.where if given else "Parameters",
                parameter=given.name if given and given.where is None else None,
            )
        )

    def check(self, others: Iterable[Issue] = ()) -> None:
        """
        Refuse the call if anything is wrong.

        Args:
            others: Faults that other checks found.

        Raises:
            Problem: 400, with an issue for each fault.
        """
        faults = [*self._faults, *others]
        if faults:
            raise Problem(faults, kind=ProblemKind.MALFORMED)

    def _only(self, name: str) -> Given | None:
        values = self._given.get(name, ())
        return values[0] if values else None


def arguments_from_resource(
    body: object,
    declared: Iterable[OperationParameter],
    base_url: str,
    *,
    deferred: Collection[str] = (),
) -> Arguments:
    """
    Return the arguments in a Parameters resource.

    Args:
        body: The resource.
        declared: What the operation takes.
        base_url: What absolute references to this server begin with.
        deferred: Types of resources that the caller checks itself.

    Raises:
        Problem: 400 when it is not a Parameters at all. The arguments collect other
            faults.
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise Problem(
            [
                Issue(
                    code="structure",
                    diagnostics="The body must be one Parameters, or one Appointment.",
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
    listed = body.get("parameter", [])
    every = listed if isinstance(listed, list) else [listed]
    names = [each.get("name") for each in every if isinstance(each, dict)]
    if isinstance(listed, list) and len(listed) > MOST_PARAMETERS:
        fault = Issue(
            code="too-costly",
            diagnostics=f"An operation has at most {MOST_PARAMETERS} parameters.",
            expression="Parameters.parameter",
        )
        return Arguments({}, base_url, [fault], names)
    sound = checked(body, deferred=deferred)
    reader = _Reader(declared)
    for number, parameter in enumerate(sound.resource.get("parameter", ())):
        where = f"Parameters.parameter[{number}]"
        if not any(place.startswith(where) for place in sound.lost):
            reader.read(parameter, where)
    given = reader.counted()
    return Arguments(given, base_url, [*sound.issues, *reader.faults], names)


def arguments_from_query(
    pairs: Iterable[tuple[str, str]],
    declared: Iterable[OperationParameter],
    base_url: str,
) -> Arguments:
    """Return the arguments in the query of a URL; they collect its faults."""
    reader = _Reader(declared)
    for name, value in pairs:
        reader.take(Given(name=name, type="string", value=value, where=None))
    return Arguments(reader.counted(), base_url, reader.faults)


class _Reader:
    """Reads parameters one by one, collecting faults."""

    def __init__(self, declared: Iterable[OperationParameter]) -> None:
        self._declared = {name: each for each in declared for name in each.names}
        self._given: dict[str, list[Given]] = {}
        self.faults: list[Issue] = []

    def fault(
        self,
        code: str,
        diagnostics: str,
        where: str | None = "Parameters",
        *,
        parameter: str | None = None,
    ) -> None:
        """Note a fault."""
        self.faults.append(
            Issue(
                code=code,
                diagnostics=diagnostics,
                expression=where,
                parameter=parameter,
            )
        )

    def read(self, parameter: Mapping[str, Any], where: str) -> None:
        """Read one parameter of a Parameters resource."""
        values = [
            key
            for key in parameter
            if key in ("resource", "part") or key.startswith("value")
        ]
        if len(values) != 1 or values == ["part"]:
            self.fault(
                "structure",
                "The parameter must have one value, or one resource.",
                where,
            )
            return
        (key,) = values
        kind = key if key == "resource" else _type_of(key)
        name, value = parameter["name"], parameter[key]
        self.take(
            Given(name=name, type=kind, value=value, where=f"{where}.{_place(key)}")
        )

    def take(self, given: Given) -> None:
        """Add a value, if the operation has such a parameter of that type."""
        declared = self._declared.get(given.name)
        is_harmless = _NAME.fullmatch(given.name) is not None
        shown = given.name if is_harmless else "(a name that cannot be shown)"
        place = {
            "where": given.where,
            "parameter": shown if is_harmless and given.where is None else None,
        }
        if declared is None:
            self.fault(
                "not-supported",
                f"{shown}: is not a parameter of this operation; see /metadata for"
                " those that are.",
                **place,
            )
        elif given.where is not None and given.type not in declared.types:
            self.fault(
                "value",
                f"{shown}: must be one of {', '.join(sorted(declared.types))}.",
                **place,
            )
        else:
            self._given.setdefault(declared.names[0], []).append(given)

    def counted(self) -> Mapping[str, Sequence[Given]]:
        """Return the values; note a fault for a parameter that was given too often."""
        for name, values in self._given.items():
            most = self._declared[name].most
            for given in values[most:]:
                synonyms = " or ".join(self._declared[name].names)
                self.fault(
                    "value",
                    f"{given.name}: is given more than {_times(most)} ({synonyms}).",
                    given.where,
                    parameter=given.name if given.where is None else None,
                )
        return self._given


def _times(most: int) -> str:
    return "once" if most == 1 else f"{most} times"


def _type_of(key: str) -> str:
    """Return the type in a key such as `valueDateTime`."""
    kind = key.removeprefix("value")
    return kind if kind in _OBJECTS else kind[0].lower() + kind[1:]


def _place(key: str) -> str:
    return key if key == "resource" else "value"
