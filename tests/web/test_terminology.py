"""
The terminology operations: what codes mean, where they are, what they are called.

https://hl7.org/fhir/R4/terminology-service.html
"""

from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.fhir.vocabulary import ERROR_CODE

_BASE: Final = "https://fhir-gateway.example.org"
_SNOMED_CT: Final = "http://snomed.info/sct"
_SWEDEN: Final = "http://snomed.info/sct/45991000052106"
_COVID: Final = "72791000052103"
_ABOVE: Final = "33879002"
_OTHER: Final = "185349003"
_SUPPLEMENT: Final = f"{_BASE}/CodeSystem/standard-time-types-supplement"
_UNIT: Final = f"{_BASE}/CodeSystem/time-types-SE2321009901-1001"
_STANDARD: Final = f"{_BASE}/ValueSet/standard-time-types"
_MAP: Final = f"{_BASE}/ConceptMap/time-types-norr"
_SV: Final = "vaccination mot covid-19"
_EN: Final = "vaccination against covid-19"


def called(
    client: FlaskClient, path: str, headers: dict[str, str] | None = None, **query: str
) -> TestResponse:
    """Call an operation by GET."""
    return client.get(f"/fhir/{path}", query_string=query, headers=headers)


def posted(client: FlaskClient, path: str, *parameter: dict[str, Any]) -> TestResponse:
    """Call an operation by POST."""
    body = {"resourceType": "Parameters", "parameter": list(parameter)}
    return client.post(f"/fhir/{path}", json=body)


def refused(response: TestResponse) -> tuple[int, str]:
    """Return the status and the code of the one issue of a refusal."""
    outcome: Any = response.json
    (issue,) = outcome["issue"]
    return response.status_code, issue["code"]


def values(response: TestResponse) -> dict[str, Any]:
    """Return the values in a Parameters resource, those of parts too."""
    assert response.status_code == 200, response.text
    body: Any = response.json
    found: dict[str, Any] = {}
    for each in body["parameter"]:
        for part in (each, *each.get("part", ())):
            for key, value in part.items():
                if key.startswith("value"):
                    found[part["name"]] = value
    return found


@pytest.mark.parametrize(
    "code",
    [
        {"system": _SNOMED_CT, "code": _COVID},
        {"coding": f"{_SNOMED_CT}|{_COVID}"},
    ],
    ids=["code", "coding"],
)
def test_another_version_is_not_known(
    client: FlaskClient, code: dict[str, str]
) -> None:
    """A version counts beside a code, and beside a coding: a token has none."""
    present = called(client, "CodeSystem/$lookup", version=_SWEDEN, **code)
    other = called(client, "CodeSystem/$lookup", version="x", **code)

    assert present.status_code == 200
    assert refused(other) == (422, "not-supported")


def test_a_units_code_is_translated_to_its_meaning(client: FlaskClient) -> None:
    """A unit's own time type has the SNOMED CT code that its source maps it to."""
    found = values(
        called(client, "ConceptMap/$translate", system=_UNIT, code="TT-COVID")
    )

    assert found == {
        "result": True,
        "equivalence": "equivalent",
        "concept": {
            "system": _SNOMED_CT,
            "version": _SWEDEN,
            "code": _COVID,
            "display": _SV,
        },
        "source": _MAP,
    }


@pytest.mark.parametrize(
    "path", ["ConceptMap/time-types-norr/$translate", "ConceptMap/$translate"]
)
def test_a_coding_is_translated_by_post(client: FlaskClient, path: str) -> None:
    """A Coding in a body is translated, with all maps or with one."""
    coding = {"system": _UNIT, "code": "TT-COVID"}
    found = values(posted(client, path, {"name": "coding", "valueCoding": coding}))

    assert found["concept"]["code"] == _COVID


def test_a_code_is_translated_there_and_back(client: FlaskClient) -> None:
    """The reverse of a translation finds the unit's own code again."""
    found = values(
        called(
            client,
            "ConceptMap/$translate",
            url=_MAP,
            system=_SNOMED_CT,
            code=_COVID,
            targetsystem=_UNIT,
            reverse="true",
        )
    )

    assert found["concept"] == {
        "system": _UNIT,
        "code": "TT-COVID",
        "display": "Covid-vaccination distriktssköterska",
    }


def test_an_unmapped_code_of_a_unit_has_no_translation(client: FlaskClient) -> None:
    """A code that the unit's source maps to nothing is answered with result false."""
    found = values(
        called(client, "ConceptMap/$translate", system=_UNIT, code="TT-OTHER")
    )

    assert found["result"] is False
    assert found["message"]


def test_another_systems_code_is_not_denied(client: FlaskClient) -> None:
    """No map is about the system, so that this server cannot know: 422."""
    response = called(
        client, "ConceptMap/$translate", system="http://loinc.org", code="1"
    )

    assert refused(response) == (422, "not-supported")


@pytest.mark.parametrize("named", ["target", "targetsystem", "source"])
@pytest.mark.parametrize("reverse", ["false", "true"])
def test_a_translation_to_an_unknown_target_is_not_denied(
    client: FlaskClient, named: str, reverse: str
) -> None:
    """A source or target that no map has is unknown: 422, and the reason names it."""
    response = called(
        client,
        "ConceptMap/$translate",
        system=_SNOMED_CT if reverse == "true" else _UNIT,
        code=_COVID if reverse == "true" else "TT-COVID",
        reverse=reverse,
        **{named: "http://loinc.org/vs"},
    )

    assert refused(response) == (422, "not-supported")
    assert f"that {named.removesuffix('system')}:" in response.text


def test_the_value_set_of_the_meanings_is_a_target(client: FlaskClient) -> None:
    """A client may name the value set of standard time types as the target."""
    found = values(
        called(
            client,
            "ConceptMap/$translate",
            system=_UNIT,
            code="TT-COVID",
            target=_STANDARD,
        )
    )

    assert found["result"] is True


def test_a_value_set_is_expanded(client: FlaskClient) -> None:
    """The expansion has the codes with their Swedish names."""
    response = called(client, "ValueSet/$expand", url=_STANDARD)
    body: Any = response.json

    assert body["expansion"]["total"] == 1
    assert body["expansion"]["contains"] == [
        {"system": _SNOMED_CT, "version": _SWEDEN, "code": _COVID, "display": _SV}
    ]
    assert response.headers["Content-Language"] == "sv"
    assert "Accept-Language" in response.headers["Vary"]


def test_an_expansion_has_names_in_the_language_of_the_client(
    client: FlaskClient,
) -> None:
    """`Accept-Language` chooses the language of names."""
    response = called(
        client,
        "ValueSet/standard-time-types/$expand",
        headers={"Accept-Language": "fi, en-GB;q=0.8, sv;q=0.5"},
        includeDesignations="true",
    )
    body: Any = response.json

    (only,) = body["expansion"]["contains"]
    assert only["display"] == _EN
    assert only["designation"] == [
        {"language": "sv", "value": _SV},
        {"language": "en", "value": _EN},
    ]
    assert response.headers["Content-Language"] == "en"


def test_the_parameter_overrides_the_header(client: FlaskClient) -> None:
    """`displayLanguage` counts before `Accept-Language`."""
    response = called(
        client,
        "CodeSystem/$lookup",
        headers={"Accept-Language": "sv"},
        system=_SNOMED_CT,
        code=_COVID,
        displayLanguage="en",
    )

    assert values(response)["display"] == _EN


def test_an_expansion_is_filtered_and_paged(client: FlaskClient) -> None:
    """A text narrows the codes, and pages show each of them once."""
    url = f"{_BASE}/ValueSet/error-code"
    whole: Any = called(client, "ValueSet/$expand", url=url, filter="region").json
    pages: list[Any] = []
    for offset in range(0, whole["expansion"]["total"] + 3, 3):
        page: Any = called(
            client,
            "ValueSet/$expand",
            url=url,
            filter="region",
            offset=str(offset),
            count="3",
        ).json
        assert page["expansion"]["total"] == whole["expansion"]["total"]
        pages.extend(page["expansion"].get("contains", ()))

    assert pages == whole["expansion"]["contains"]
    assert all(
        "region" in f"{each['code']} {each['display']}".casefold() for each in pages
    )


def test_a_page_of_an_expansion_may_be_larger_than_any(client: FlaskClient) -> None:
    """A huge count is a count, and an offset beyond the end leaves nothing."""
    huge = "1" + "0" * 30
    whole: Any = called(client, "ValueSet/error-code/$expand", count=huge).json
    none: Any = called(client, "ValueSet/error-code/$expand", offset=huge).json

    assert len(whole["expansion"]["contains"]) == whole["expansion"]["total"]
    assert "contains" not in none["expansion"]


def test_the_groups_of_error_codes_are_no_choice(client: FlaskClient) -> None:
    """The expansion of error codes leaves out the groups."""
    url = f"{_BASE}/ValueSet/error-code"
    whole: Any = called(client, "ValueSet/$expand", url=url).json

    assert "CLIENT" not in {each["code"] for each in whole["expansion"]["contains"]}


def test_lookup_knows_what_an_expansion_has(client: FlaskClient) -> None:
    """Each code in an expansion can be looked up, with the same name."""
    for name in ("standard-time-types", "error-code"):
        whole: Any = called(client, f"ValueSet/{name}/$expand").json
        for each in whole["expansion"]["contains"]:
            found = values(
                called(
                    client,
                    "CodeSystem/$lookup",
                    system=each["system"],
                    code=each["code"],
                )
            )
            assert found["display"] == each["display"]


def test_a_units_mapped_code_is_looked_up(client: FlaskClient) -> None:
    """A unit's time type has the name that the map gives it."""
    found = values(called(client, "CodeSystem/$lookup", system=_UNIT, code="TT-COVID"))

    assert found["display"] == "Covid-vaccination distriktssköterska"


@pytest.mark.parametrize(
    ("system", "code", "status"),
    [
        (ERROR_CODE, "NO_SUCH_CODE", 404),
        (_SNOMED_CT, _OTHER, 404),
        (_UNIT, "TT-OTHER", 404),
        ("http://loinc.org", "1", 422),
    ],
)
def test_an_unknown_code_is_not_looked_up(
    client: FlaskClient, system: str, code: str, status: int
) -> None:
    """A code that is not known is 404; one of a system that is not known 422."""
    response = called(client, "CodeSystem/$lookup", system=system, code=code)

    assert refused(response) == (
        status,
        "not-found" if status == 404 else "not-supported",
    )


def test_a_right_code_is_valid_in_its_system(client: FlaskClient) -> None:
    """A known code is valid, and so is its name in either language."""
    found = values(
        called(
            client,
            "CodeSystem/$validate-code",
            url=_SNOMED_CT,
            code=_COVID,
            display=_EN.upper(),
        )
    )

    assert found == {"result": True, "display": _SV}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("CodeSystem/standard-time-types-supplement/$validate-code", {}),
        ("CodeSystem/$validate-code", {"url": _SUPPLEMENT}),
        ("CodeSystem/$validate-code", {"url": _SUPPLEMENT, "version": "0.1.0"}),
        ("CodeSystem/$validate-code", {"url": _SNOMED_CT}),
    ],
)
@pytest.mark.parametrize(
    ("coded", "name"),
    [
        ({"code": _COVID}, _SV),
        ({"coding": f"{_SNOMED_CT}|{_COVID}"}, _SV),
        ({"code": _ABOVE}, "vaccination"),
    ],
)
def test_a_supplement_has_its_codes(
    client: FlaskClient,
    path: str,
    query: dict[str, str],
    coded: dict[str, str],
    name: str,
) -> None:
    """The codes of a supplement, and those above them, are valid in it."""
    assert values(called(client, path, **query, **coded)) == {
        "result": True,
        "display": name,
    }


def test_a_parent_of_a_code_is_looked_up(client: FlaskClient) -> None:
    """What a code names as its parent has a name too, and names it as its child."""
    found = values(called(client, "CodeSystem/$lookup", system=_SNOMED_CT, code=_ABOVE))

    assert found["display"] == "vaccination"
    # The parts of the one property.
    assert (found["code"], found["value"]) == ("child", _COVID)


@pytest.mark.parametrize(
    ("language", "name"), [("sv", "Hittades inte"), ("en", "Not found")]
)
def test_an_error_code_has_names_in_both_languages(
    client: FlaskClient, language: str, name: str
) -> None:
    """A resident reads the name of an error in Swedish or in English."""
    response = called(
        client,
        "CodeSystem/$lookup",
        headers={"Accept-Language": language},
        system=ERROR_CODE,
        code="NOT_FOUND",
        property="designation",
    )

    assert values(response)["display"] == name
    assert response.headers["Content-Language"] == language


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("CodeSystem/$lookup", "system"),
        ("CodeSystem/$validate-code", "url"),
        ("ConceptMap/$translate", "targetsystem"),
    ],
)
def test_a_units_name_is_not_called_english(
    client: FlaskClient, path: str, system: str
) -> None:
    """A name that a unit has in Swedish alone is Swedish to each client."""
    coded = {system: _UNIT, "code": "TT-COVID"}
    if system == "targetsystem":
        coded |= {"system": _SNOMED_CT, "code": _COVID, "reverse": "true"}
    response = called(client, path, headers={"Accept-Language": "en"}, **coded)

    assert response.status_code == 200
    assert response.headers["Content-Language"] == "sv"


def test_a_wrong_name_is_not_valid(client: FlaskClient) -> None:
    """A code with another name is not valid; the answer has the right name."""
    found = values(
        called(
            client,
            "CodeSystem/$validate-code",
            url=_SNOMED_CT,
            code=_COVID,
            display="flu vaccination",
        )
    )

    assert (found["result"], found["display"]) == (False, _SV)


def test_a_code_of_a_whole_system_can_be_wrong(client: FlaskClient) -> None:
    """Of its own code system this server knows every code."""
    found = values(
        called(client, "CodeSystem/$validate-code", url=ERROR_CODE, code="NO_SUCH")
    )

    assert found["result"] is False


def test_another_snomed_code_is_not_denied(client: FlaskClient) -> None:
    """This server does not have SNOMED CT, so that it never calls a code wrong."""
    response = called(client, "CodeSystem/$validate-code", url=_SNOMED_CT, code=_OTHER)

    assert refused(response) == (422, "not-supported")


@pytest.mark.parametrize(("code", "is_in"), [(_COVID, True), (_ABOVE, False)])
def test_a_value_set_knows_its_codes(
    client: FlaskClient, code: str, *, is_in: bool
) -> None:
    """A value set that lists its codes has them and no other."""
    found = values(
        called(
            client,
            "ValueSet/$validate-code",
            url=_STANDARD,
            system=_SNOMED_CT,
            code=code,
        )
    )

    assert found["result"] is is_in


def test_one_right_coding_makes_a_concept_valid(client: FlaskClient) -> None:
    """A CodeableConcept is valid when one of its codings is."""
    concept = {
        "coding": [
            {"system": "http://loinc.org", "code": "1"},
            {"system": _SNOMED_CT, "code": _COVID},
        ]
    }
    found = values(
        posted(
            client,
            "ValueSet/standard-time-types/$validate-code",
            {"name": "codeableConcept", "valueCodeableConcept": concept},
        )
    )

    assert found == {"result": True, "display": _SV}


@pytest.mark.parametrize("path", ["CodeSystem/$validate-code", "ConceptMap/$translate"])
def test_an_unknown_coding_beside_a_known_one_does_no_harm(
    client: FlaskClient, path: str
) -> None:
    """Of a concept's codings, those of systems that this server knows decide."""
    concept = {
        "coding": [
            {"system": "http://loinc.org", "code": "1"},
            {"system": _UNIT, "code": "TT-COVID"},
        ]
    }
    found = values(
        posted(
            client, path, {"name": "codeableConcept", "valueCodeableConcept": concept}
        )
    )

    assert found["result"] is True


def test_a_concept_of_unknown_codings_is_not_denied(client: FlaskClient) -> None:
    """Where one coding cannot be known and none is right, nothing is denied."""
    concept = {
        "coding": [
            {"system": "http://loinc.org", "code": "1"},
            {"system": ERROR_CODE, "code": "NO_SUCH"},
        ]
    }
    response = posted(
        client,
        "CodeSystem/$validate-code",
        {"name": "codeableConcept", "valueCodeableConcept": concept},
    )

    assert refused(response) == (422, "not-supported")


def test_a_code_is_equivalent_to_itself(client: FlaskClient) -> None:
    """A code subsumes itself as an equivalent one."""
    found = values(
        called(
            client,
            "CodeSystem/$subsumes",
            system=_SNOMED_CT,
            codeA=_COVID,
            codeB=_COVID,
        )
    )

    assert found == {"outcome": "equivalent"}


@pytest.mark.parametrize(
    ("system", "one", "another"),
    [(_SNOMED_CT, _COVID, _OTHER), (_SNOMED_CT, _OTHER, "1"), (ERROR_CODE, "NO", "NO")],
)
def test_an_unknown_code_is_related_to_nothing(
    client: FlaskClient, system: str, one: str, another: str
) -> None:
    """Of a code that it does not know this server cannot say what is above it: 422."""
    response = called(
        client, "CodeSystem/$subsumes", system=system, codeA=one, codeB=another
    )

    assert refused(response) == (422, "not-supported")


def test_unrelated_codes_are_not_told_apart(client: FlaskClient) -> None:
    """Groups of codes are no subsumption, so that this server cannot know."""
    response = called(
        client,
        "CodeSystem/$subsumes",
        system=ERROR_CODE,
        codeA="CLIENT",
        codeB="NOT_FOUND",
    )

    assert refused(response) == (422, "not-supported")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("ConceptMap/$translate", {}),
        ("ConceptMap/$translate", {"code": "TT-COVID"}),
        ("ConceptMap/$translate", {"code": "x", "system": _UNIT, "reverse": "maybe"}),
        ("ConceptMap/$translate", {"code": "x", "coding": f"{_UNIT}|x"}),
        ("ConceptMap/$translate", {"code": "x", "system": _UNIT, "dependency": "x"}),
        ("ConceptMap/time-types-norr/$translate", {"url": _MAP, "code": "x"}),
        ("ValueSet/$expand", {}),
        ("ValueSet/$expand", {"url": _STANDARD, "count": "-1"}),
        ("ValueSet/$expand", {"url": _STANDARD, "count": "1e3"}),
        ("ValueSet/$expand", {"url": _STANDARD, "date": "2026-01-01"}),
        ("CodeSystem/$lookup", {"code": "x"}),
        ("CodeSystem/$validate-code", {"code": "x"}),
        ("CodeSystem/$subsumes", {"codeA": "x", "system": _UNIT}),
    ],
)
def test_a_wrong_call_is_refused(
    client: FlaskClient, path: str, query: dict[str, str]
) -> None:
    """What is missing, doubled, unknown or unreadable is answered 400."""
    assert called(client, path, **query).status_code == 400


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("ValueSet/$expand", {"url": "http://hl7.org/fhir/ValueSet/slotstatus"}),
        ("ValueSet/nothing/$expand", {}),
        ("ConceptMap/$translate", {"url": f"{_MAP}s", "system": _UNIT, "code": "x"}),
        ("ConceptMap/nothing/$translate", {"system": _UNIT, "code": "x"}),
    ],
)
def test_what_is_not_here_is_not_found(
    client: FlaskClient, path: str, query: dict[str, str]
) -> None:
    """A value set or a map that this server does not have is answered 404."""
    assert refused(called(client, path, **query)) == (404, "not-found")
