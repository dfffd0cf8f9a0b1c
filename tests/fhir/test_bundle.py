"""
Searchsets.
"""

from uuid import UUID

from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.outcome import Issue, Severity
from fhir_gateway.fhir.vocabulary import ERROR_CODE

_BASE = "http://h/fhir"
_SLOT = {"resourceType": "Slot", "id": "a"}
_SCHEDULE = {"resourceType": "Schedule", "id": "b"}
_MISSING = Issue(code="transient", diagnostics="No.", severity=Severity.WARNING)


def test_a_search_without_matches_is_a_bundle_without_entries() -> None:
    """Nothing found is a searchset that says zero and has no empty list."""
    assert searchset([], base_url=_BASE, self_url="http://h/fhir/Slot", total=0) == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "link": [{"relation": "self", "url": "http://h/fhir/Slot"}],
    }


def test_an_unknown_total_is_left_out() -> None:
    """When nobody knows how many match, nothing is said."""
    bundle = searchset([], base_url=_BASE, self_url="http://h/fhir/Slot")

    assert bundle == {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": "http://h/fhir/Slot"}],
    }


def test_matches_includes_and_outcome_have_their_modes() -> None:
    """Matches come first, then what was included, then what is missing."""
    bundle = searchset(
        [Entry(_SLOT), Entry(_SCHEDULE, Mode.INCLUDE)],
        base_url=_BASE,
        self_url="http://h/fhir/Slot",
        next_url="http://h/fhir/Slot?_cursor=x",
        issues=[_MISSING, _MISSING],
    )

    outcome_url = bundle["entry"][-1].pop("fullUrl")
    assert bundle == {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [
            {"relation": "self", "url": "http://h/fhir/Slot"},
            {"relation": "next", "url": "http://h/fhir/Slot?_cursor=x"},
        ],
        "entry": [
            {
                "fullUrl": "http://h/fhir/Slot/a",
                "resource": _SLOT,
                "search": {"mode": "match"},
            },
            {
                "fullUrl": "http://h/fhir/Schedule/b",
                "resource": _SCHEDULE,
                "search": {"mode": "include"},
            },
            {
                "resource": {
                    "resourceType": "OperationOutcome",
                    "issue": [
                        {
                            "severity": "warning",
                            "code": "transient",
                            "details": {
                                "coding": [
                                    {
                                        "system": ERROR_CODE,
                                        "code": "GATEWAY_IS_UNAVAILABLE",
                                    }
                                ]
                            },
                            "diagnostics": "No.",
                        }
                    ]
                    * 2,
                },
                "search": {"mode": "outcome"},
            },
        ],
    }
    assert UUID(outcome_url.removeprefix("urn:uuid:")).version == 4
