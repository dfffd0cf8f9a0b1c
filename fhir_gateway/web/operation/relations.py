"""
`Appointment/$relations` and `$relate`: which units a resident's list asks, and why.
"""

from flask import Response, request

from fhir_gateway.fhir.care_relation import (
    RelationCall,
    parameters_from_relations,
    relation_call,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.grant import Grant
from fhir_gateway.web.exchange import (
    check_accept,
    check_type,
    fhir_response,
    is_without_body,
    read_body,
    refuse_parameters,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import grant_for_person, present_principal
from fhir_gateway.web.operation.call import refuse_query

__all__ = ["Relations"]


class Relations:
    """
    Answers `$relations` and `$relate`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def answer(self) -> Response:
        """Answer a call of `$relations`."""
        call = self._read(changes=False)
        return self._relations(self._grant(call))

    def change(self) -> Response:
        """Answer a call of `$relate`: it changes, and answers as `$relations`."""
        call = self._read(changes=True)
        grant = self._grant(call)
        self._gateway.resident_bookings.relations.change(
            grant, add=call.add, remove=call.remove
        )
        return self._relations(grant)

    def _read(self, *, changes: bool) -> RelationCall:
        check_accept()
        if request.method == "GET":
            # No URL names a resident: by GET they ask about themselves.
            refuse_parameters()
            return RelationCall(number=None)
        refuse_query()
        if request.method == "POST":
            check_type()
        body = {"resourceType": "Parameters"} if is_without_body() else read_body()
        return relation_call(body, self._gateway.base_url, changes=changes)

    def _grant(self, call: RelationCall) -> Grant:
        number = call.number or present_principal().number
        if number is None:
            raise Problem(
                [
                    Issue(
                        code="required",
                        diagnostics="Name the resident: patient, as an Identifier.",
                        expression="Parameters",
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )
        return grant_for_person(self._gateway, number)

    def _relations(self, grant: Grant) -> Response:
        return fhir_response(
            parameters_from_relations(
                self._gateway.resident_bookings.relations.list_of(grant)
            )
        )
