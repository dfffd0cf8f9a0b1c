"""
Rendered includes: each equals what a read of it returns.
"""

import pytest
from assertions import assert_searchset
from flask.testing import FlaskClient

_ALL = (
    "_include=Slot:schedule"
    "&_include:iterate=Schedule:actor"
    "&_include:iterate=HealthcareService:providedBy"
    "&_include:iterate=Location:organization"
    "&_include:iterate=PractitionerRole:practitioner"
)


@pytest.mark.parametrize("sort", ["start", "-start"])
def test_what_is_included_is_what_is_read(client: FlaskClient, sort: str) -> None:
    """Resource by resource, rendered the first time or cached since."""
    url = f"/fhir/Slot?_count=200&_sort={sort}&{_ALL}"
    for asked in (url, f"{url}&_total=none"):
        response = client.get(asked)
        assert_searchset(response)
        assert response.json is not None
        included = [
            entry["resource"]
            for entry in response.json["entry"]
            if entry["search"]["mode"] == "include"
        ]
        names = [f"{each['resourceType']}/{each['id']}" for each in included]

        assert len(set(names)) == len(names)
        assert {name.partition("/")[0] for name in names} == {
            *("Schedule", "HealthcareService", "Location", "Organization"),
            *("PractitionerRole", "Practitioner"),
        }
        assert included == [client.get(f"/fhir/{name}").json for name in names]


@pytest.mark.parametrize(
    ("paths", "kinds"),
    [
        ([], set()),
        (["Schedule:actor:HealthcareService"], {"HealthcareService"}),
        (["Schedule:actor:Location"], {"Location"}),
        (["Schedule:actor:PractitionerRole"], {"PractitionerRole"}),
        (["Schedule:actor:Practitioner"], {"Practitioner"}),
        (["HealthcareService:location", "PractitionerRole:practitioner"], set()),
        (
            ["Schedule:actor:HealthcareService", "HealthcareService:location"],
            {"HealthcareService", "Location"},
        ),
        (
            ["Schedule:actor:HealthcareService", "HealthcareService:organization"],
            {"HealthcareService", "Organization"},
        ),
        (
            ["Schedule:actor:Location", "Location:organization"],
            {"Location", "Organization"},
        ),
        (
            ["Schedule:actor:PractitionerRole", "PractitionerRole:practitioner"],
            {"PractitionerRole", "Practitioner"},
        ),
    ],
)
def test_only_what_is_asked_for_is_followed(
    client: FlaskClient, paths: list[str], kinds: set[str]
) -> None:
    """Step by step from the schedules, to the types that are wanted."""
    response = client.get(
        "/fhir/Slot?_count=200&_include=Slot:schedule"
        + "".join(f"&_include:iterate={path}" for path in paths)
    )

    assert response.json is not None
    assert {
        entry["resource"]["resourceType"]
        for entry in response.json["entry"]
        if entry["search"]["mode"] == "include"
    } == {"Schedule", *kinds}
