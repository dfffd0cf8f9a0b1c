"""
The adapter for the engagement index 1.0, over every kind of answer.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import responses
from engagements import TOLVAN, post

from fhir_gateway.model.engagement import EngagementChange
from fhir_gateway.model.errors import GatewayError, MalformedAnswer, SourceFault
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.national.engagement_index import (
    EngagementIndex10,
    FoundPosts,
    UpdateResult,
    WrongEngagementIndex,
    engagement_index_options,
)
from fhir_gateway.national.engagement_index.mapping import type_from_engagement
from fhir_gateway.rivta.engagement_index_1_0 import find_content, update
from fhir_gateway.rivta.envelope import write_fault, write_response
from fhir_gateway.rivta.fault import Fault

URL = "https://index.example.org/index"
LEAST = f'endpoint = "{URL}"\nlogical_address = "SE165565594230-1000"\n'
OTHER = PersonalIdentityNumber("197010632391")
CHANGE = EngagementChange(engagement=post())
WITHIN = timedelta(seconds=5)


@pytest.fixture(name="service")
def _service() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=True) as service:
        yield service


@pytest.fixture(name="index")
def _index(tmp_path: Path) -> EngagementIndex10:
    path = tmp_path / "index.toml"
    path.write_text(LEAST, encoding="utf-8")
    return EngagementIndex10(engagement_index_options(path))


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("OK", UpdateResult.ACCEPTED),
        ("INFO", UpdateResult.ACCEPTED),
        ("ERROR", UpdateResult.REFUSED),
        ("MAYBE", UpdateResult.REFUSED),
    ],
)
def test_only_a_yes_is_a_yes(
    index: EngagementIndex10,
    service: responses.RequestsMock,
    code: str,
    result: UpdateResult,
) -> None:
    """A result that is not OK or INFO is a no."""
    service.post(
        URL, body=write_response(update.CONTRACT, update.Response(result_code=code))
    )

    assert index.update([CHANGE]) is result


@pytest.mark.parametrize("text", ["EI002: two", "EI004: wrong", "EI006: reserved"])
def test_a_broken_rule_is_a_no(
    index: EngagementIndex10, service: responses.RequestsMock, text: str
) -> None:
    """The national index says no by a fault with its code."""
    service.post(
        URL, status=500, body=write_fault(Fault(code="soapenv:Server", text=text))
    )

    assert index.update([CHANGE]) is UpdateResult.REFUSED


@pytest.mark.parametrize("text", ["EI000: a technical error", "VP009", "", "xEI002"])
def test_any_other_fault_is_an_error(
    index: EngagementIndex10, service: responses.RequestsMock, text: str
) -> None:
    """A fault without a code of a rule says nothing of the posts."""
    service.post(
        URL, status=500, body=write_fault(Fault(code="soapenv:Server", text=text))
    )

    with pytest.raises(SourceFault):
        index.update([CHANGE])


@pytest.mark.parametrize("body", [b"", b"<html/>", b"{}"])
def test_an_unreadable_answer_is_an_error(
    index: EngagementIndex10, service: responses.RequestsMock, body: bytes
) -> None:
    """Nobody takes silence for a yes."""
    service.post(URL, body=body)

    with pytest.raises(MalformedAnswer):
        index.update([CHANGE])


def test_a_resident_gets_no_post_of_another(
    index: EngagementIndex10, service: responses.RequestsMock
) -> None:
    """An index that ignores the filter gives nobody another's posts."""
    service.post(
        URL,
        body=write_response(
            find_content.CONTRACT,
            find_content.Response(
                engagements=(
                    type_from_engagement(post(1)),
                    type_from_engagement(post(2, resident=OTHER)),
                )
            ),
        ),
    )

    assert index.find_content(TOLVAN, within=WITHIN) == FoundPosts(posts=(post(1),))


def test_an_unreadable_post_is_counted(
    index: EngagementIndex10, service: responses.RequestsMock
) -> None:
    """The others are used, and the caller knows that one is missing."""
    document = write_response(
        find_content.CONTRACT,
        find_content.Response(
            engagements=(type_from_engagement(post(1)), type_from_engagement(post(2)))
        ),
    )
    service.post(URL, body=document.replace(b">B-2<", b"><"))

    found = index.find_content(TOLVAN, within=WITHIN)

    assert found == FoundPosts(posts=(post(1),), unread=1)


def test_a_question_without_time_is_not_sent(
    index: EngagementIndex10, service: responses.RequestsMock
) -> None:
    """A list that has no time left asks nobody."""
    with pytest.raises(GatewayError):
        index.find_content(TOLVAN, within=timedelta())

    assert len(service.calls) == 0


def test_all_faults_of_the_file_are_listed(tmp_path: Path) -> None:
    """Each wrong setting is named at once."""
    path = tmp_path / "index.toml"
    path.write_text(
        'endpoint = "ftp://x"\ntimeout_s = 99\nnotifiers = ["not valid"]\nwhat = 1\n',
        encoding="utf-8",
    )

    with pytest.raises(WrongEngagementIndex) as raised:
        engagement_index_options(path)

    assert sorted(fault.partition(":")[0] for fault in raised.value.faults) == [
        "endpoint",
        "logical_address",
        "notifiers.0",
        "timeout_s",
        "what",
    ]
