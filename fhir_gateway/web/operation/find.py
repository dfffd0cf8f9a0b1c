"""
`Appointment/$find`: free times as proposed Appointments (IHE ITI-115, Argonaut, WOF).

The same search as `GET Slot`, from memory: no region is asked, but for an invitation.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from flask import Response, request

from fhir_gateway.fhir.bundle import Entry, searchset
from fhir_gateway.fhir.find_request import (
    FIND,
    FindRequest,
    find_request,
    issues_of_find,
)
from fhir_gateway.fhir.operation_parameters import (
    Arguments,
    arguments_from_query,
    arguments_from_resource,
)
from fhir_gateway.fhir.outcome import (
    Issue,
    Problem,
    ProblemKind,
    Severity,
    issue_from_source_outcome,
)
from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_schema import understand, without_empty
from fhir_gateway.fhir.vocabulary import PERSON_NUMBER_KINDS
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.services.source.unit_lack import lack_sentence
from fhir_gateway.web.answer_form import (
    SEARCH_FORM_PARAMETERS,
    form_parameters_of_url,
    remember_subset,
    subset_of_request,
)
from fhir_gateway.web.exchange import (
    check_accept,
    fhir_response,
    parameters_of_request,
    preferences,
    read_body,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.invitation_slots import InvitationSlots
from fhir_gateway.web.operation.call import is_of_patient, refuse_query
from fhir_gateway.web.partial_answer import check_completeness, heeded_preferences
from fhir_gateway.web.personal_text import has_personal_number
from fhir_gateway.web.proposal import Proposals
from fhir_gateway.web.slot import with_lacking_staff, with_unknown
from fhir_gateway.web.slot_criteria import (
    PARAMETERS,
    actors_from_references,
    slot_criteria,
)
from fhir_gateway.web.slot_cursor import cursor_behind
from fhir_gateway.web.slot_query import SlotQuery, SlotSearchSchema

__all__ = ["Find"]

# No template renders a proposal, which costs several times as much as a slot.
_MOST: Final = 200
_NAMES: Final = frozenset(name for each in FIND for name in each.names)


class Find:
    """
    Answers `$find`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._proposals = Proposals(gateway)
        self._invited = InvitationSlots(gateway)
        self._schema = SlotSearchSchema(gateway.terminology)

    def answer(self) -> Response:
        """Answer the present request."""
        check_accept()
        arguments = self._arguments()
        wanted = find_request(arguments)
        # The answer's links repeat the search, and they are URLs.
        _refuse_personal(wanted.called)
        search = self._gateway.slot_search
        query = self._query(wanted, arguments)
        if query.invitation:
            return self._of_invitation(wanted, query)
        criteria = self._criteria(wanted, query)
        page = search.search(criteria)
        if criteria.selector.performers or wanted.roles:
            page = with_lacking_staff(page, of_any_unit=True)
        page, unknown = with_unknown(
            search,
            page,
            criteria,
            _parameters(wanted, criteria.selector),
        )
        check_completeness(page.outcomes)
        # The next page has the form of this one.
        called = [*wanted.called, *form_parameters_of_url()]
        next_url = None
        cursor = cursor_behind(page)
        if cursor is not None:
            next_url = self._url([*called, ("_cursor", cursor)])
        return fhir_response(
            searchset(
                self._entries(page),
                base_url=self._gateway.base_url,
                self_url=self._self_url(wanted, called),
                next_url=next_url,
                total=page.total,
                issues=[
                    *issues_of_find(wanted),
                    *unknown,
                    *self._lacks(page),
                    *(issue_from_source_outcome(each) for each in page.outcomes),
                ],
            ),
            headers=heeded_preferences(),
        )

    def _of_invitation(self, wanted: FindRequest, query: SlotQuery) -> Response:
        """Answer with the times of an invitation, which no cache stores."""
        names = [name for name, _ in wanted.search]
        if wanted.places or wanted.roles:
            names.append("location-string" if wanted.places else "practitionerRole")
        page = self._invited.page(replace(query, count=min(query.count, _MOST)), names)
        called = [*wanted.called, *form_parameters_of_url()]
        return fhir_response(
            searchset(
                [Entry(self._invited.proposal(each, page)) for each in page.timeslots],
                base_url=self._gateway.base_url,
                self_url=self._self_url(wanted, called),
                next_url=(
                    None
                    if page.cursor is None
                    else self._url([*called, ("_cursor", page.cursor)])
                ),
                total=page.total,
                issues=[*issues_of_find(wanted), *page.issues],
            ),
            headers=heeded_preferences(),
        )

    def _self_url(self, wanted: FindRequest, called: list[tuple[str, str]]) -> str:
        """Return the URL of this very page."""
        at = [pair for pair in wanted.search if pair[0] == "_cursor"]
        return self._url([*called, *at])

    def _arguments(self) -> Arguments:
        base_url = self._gateway.base_url
        _refuse_personal(request.args.items(multi=True))
        if request.method == "POST":
            refuse_query()
            return arguments_from_resource(read_body(), FIND, base_url)
        given = parameters_of_request(is_personal=True)
        remember_subset(subset_of_request(given, is_search=True))
        searched = [pair for pair in given if pair[0] not in SEARCH_FORM_PARAMETERS]
        return arguments_from_query(without_empty(searched, _NAMES), FIND, base_url)

    def _entries(self, page: SlotPage) -> list[Entry]:
        return [Entry(self._proposals.proposal(found)) for found in page.found]

    def _lacks(self, page: SlotPage) -> Iterator[Issue]:
        """Yield an issue for each unit on the page that takes no bookings."""
        directory = page.directory
        sources = {each.name: each for each in directory.sources}
        units = dict.fromkeys(found.known.schedule.unit for found in page.found)
        for unit in units:
            known = directory.units.get(unit)
            if known is None:
                continue
            sentence = lack_sentence(known, UnitAbility.BOOK, sources.get(known.source))
            if sentence is not None:
                yield Issue(
                    severity=Severity.WARNING,
                    code="not-supported",
                    error_code=ErrorCode.APPOINTMENT_IS_NOT_ALLOWED,
                    diagnostics=sentence,
                )

    def _query(self, wanted: FindRequest, arguments: Arguments) -> SlotQuery:
        """
        Return the values of the search.

        Raises:
            Problem: 400, with an issue for each fault of the call and of the search.
        """
        try:
            understood = understand(
                self._schema,
                wanted.search,
                lenient=False,
                base_url=self._gateway.base_url,
            )
        except Problem as problem:
            arguments.check(_in_the_clients_names(problem.issues, wanted))
            raise
        arguments.check()
        return understood.query

    def _criteria(self, wanted: FindRequest, query: SlotQuery) -> SlotCriteria:
        """Return the criteria of the search."""
        criteria = slot_criteria(query, self._gateway.vocabulary, self._snapshot)
        return replace(
            criteria,
            selector=self._narrowed(criteria.selector, wanted),
            count=min(criteria.count, _MOST),
            live_within=preferences().wait,
        )

    def _narrowed(self, selector: Selector, wanted: FindRequest) -> Selector:
        """
        Return a selector narrowed by texts and roles, which the search for slots lacks.
        """
        units, actors = selector.units, selector.actors
        if wanted.places:
            units = (*units, self._units_at(wanted.places))
        if wanted.roles:
            roles = (
                Reference(type="PractitionerRole", id=each) for each in wanted.roles
            )
            actors = (*actors, actors_from_references(roles, self._snapshot))
        return replace(selector, units=units, actors=actors)

    @property
    def _snapshot(self) -> Snapshot:
        return self._gateway.slot_search.snapshot

    def _units_at(self, places: frozenset[str]) -> frozenset[HsaId]:
        """Return the units with one of the texts in their name or town."""
        folded = [place.casefold() for place in places]
        directory = self._gateway.slot_search.snapshot.directory
        return frozenset(
            unit.hsa_id
            for unit in directory.units.values()
            if any(
                place in text.casefold()
                for place in folded
                for text in (unit.name, unit.city or "")
            )
        )

    def _url(self, pairs: Sequence[tuple[str, str]]) -> str:
        base = f"{self._gateway.base_url}/Appointment/$find"
        return f"{base}?{urlencode(pairs, safe=':,/')}" if pairs else base


def _refuse_personal(pairs: Iterable[tuple[str, str]]) -> None:
    """
    Refuse a patient's parameter in a URL, since logs and caches store URLs.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    for name, value in pairs:
        text = f"{name}={value}"
        if (
            is_of_patient(name)
            or has_personal_number(text)
            or any(system in text for system in PERSON_NUMBER_KINDS)
        ):
            raise Problem(
                [
                    Issue(
                        code="security",
                        diagnostics=(
                            "A parameter that may be a patient's must not be in a URL:"
                            " send it by POST, as a parameter that is a patient's."
                        ),
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )


def _parameters(wanted: FindRequest, selector: Selector) -> dict[str, str]:
    """Return the client's parameter for each attribute with possibly unknown values."""
    parameters = {
        name: wanted.spelt.get(spelt, spelt) for name, spelt in PARAMETERS.items()
    }
    # Texts and roles come last, since they were resolved to units and schedules.
    if wanted.places and not selector.units[-1]:
        parameters["units"] = "location-string"
    if wanted.roles:
        parameters["actors"] = "practitionerRole"
    return parameters


def _in_the_clients_names(
    issues: Iterable[Issue], wanted: FindRequest
) -> Iterator[Issue]:
    """Yield the faults of a search with the names of the client's parameters."""
    for issue in issues:
        name = issue.parameter or ""
        spelt = wanted.spelt.get(name, name)
        said = (issue.diagnostics or "").removeprefix(name)
        yield replace(issue, parameter=spelt, diagnostics=f"{spelt}{said}")
