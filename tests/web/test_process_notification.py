"""
ProcessNotification over the web: who may notify, what is taken, what is refused.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engagements import TOLVAN, post
from flask.testing import FlaskClient
from granting import GRANT
from lxml import etree
from pem import certificate_of
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.engagement import Engagement, EngagementChange
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.national.engagement_index.mapping import transaction_from_change
from fhir_gateway.rivta.engagement_index_1_0.process_notification import (
    CONTRACT,
    Request,
    Response,
)
from fhir_gateway.rivta.envelope import read_fault, read_response, write_request
from fhir_gateway.web.peer import TrustedProxies

from .running import OtherPrograms

pytestmark = pytest.mark.flow

URL = "/rivta/engagementindex/ProcessNotification/1"
INDEX = "SE165565594230-1000"
US = "SE2321000016-GW"
NOW = timedelta(seconds=1)


@pytest.fixture(name="own", scope="module")
def _own(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    path: Path = tmp_path_factory.mktemp("index") / "index.toml"
    path.write_text(
        f"""
endpoint = "http://127.0.0.1:9/index"
logical_address = "{INDEX}"
notified_as = "{US}"
notifiers = ["{INDEX}"]
""",
        encoding="utf-8",
    )
    with other_programs.start(
        engagement_index=path, proxies=TrustedProxies.parse("127.0.0.1")
    ) as made:
        yield made


@pytest.fixture(name="client")
def _client(own: Program) -> FlaskClient:
    return own.app.test_client()


def headers(hsa_id: str | None = INDEX) -> dict[str, str]:
    """Return what the proxy reports of a client certificate."""
    if hsa_id is None:
        return {}
    return {"Client-Cert": f":{b64encode(certificate_of(hsa_id)).decode()}:"}


def message(*changes: EngagementChange, address: str = US) -> bytes:
    """Return a notification."""
    return write_request(
        CONTRACT,
        Request(transactions=tuple(map(transaction_from_change, changes))),
        logical_address=LogicalAddress(address),
        actor=None,
    )


def made(engagement: Engagement) -> EngagementChange:
    """Return the change that makes a post."""
    return EngagementChange(engagement=engagement)


def send(client: FlaskClient, document: bytes, **changes: Any) -> TestResponse:
    """Send a document as the index does."""
    return client.post(
        URL,
        **{
            "data": document,
            "content_type": "text/xml; charset=UTF-8",
            "headers": headers(),
        }
        | changes,
    )


def result(response: TestResponse) -> Response:
    """Return the result that an answer has."""
    assert (response.status_code, response.mimetype) == (200, "text/xml")
    answer: Response = read_response(CONTRACT, response.data).response
    return answer


def fault_of(response: TestResponse) -> tuple[int, str]:
    """Return the status and the text of a fault."""
    fault = read_fault(response.data)
    assert fault is not None, response.data
    return response.status_code, fault.text


def known(own: Program) -> set[Engagement]:
    """Return what is known of Tolvan, as a list of his bookings asks for it."""
    return set(own.index.resident_posts.posts_of(GRANT, within=NOW).posts)


def test_a_notification_is_taken(own: Program, client: FlaskClient) -> None:
    """A list knows the units of the posts from then on, and of no deleted one."""
    assert GRANT.subject == TOLVAN

    first = result(send(client, message(made(post(1)), made(post(2)))))
    second = result(
        send(client, message(EngagementChange(engagement=post(1), is_deleted=True)))
    )

    assert (first, second) == (Response(result_code="OK"),) * 2
    assert post(2) in known(own)
    assert post(1) not in known(own)


def test_a_repeat_is_ok(own: Program, client: FlaskClient) -> None:
    """The index sends a message until it gets an answer: twice is as once."""
    document = message(made(post(3)))

    codes = [result(send(client, document)).result_code for _ in range(2)]

    assert (codes, post(3) in known(own)) == (["OK", "OK"], True)


def test_a_thousand_posts_are_taken(own: Program, client: FlaskClient) -> None:
    """The largest permitted message is stored whole."""
    posts = [post(which, unit="SE2321009901-MANY") for which in range(1000)]

    answer = result(send(client, message(*map(made, posts))))

    assert answer == Response(result_code="OK")
    assert set(posts) <= known(own)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param(
            lambda: message(*(made(post(n)) for n in range(5000, 6001))),
            "EI000",
            id="more than a thousand posts",
        ),
        pytest.param(message, "EI000", id="no post"),
        pytest.param(
            lambda: message(
                made(post(5000)),
                EngagementChange(engagement=post(5000), is_deleted=True),
            ),
            "EI002",
            id="two posts of one key",
        ),
        pytest.param(
            lambda: message(made(post(5000)), address=INDEX),
            "EI003",
            id="another subscriber's",
        ),
        pytest.param(
            lambda: message(made(post(5000))).replace(b">false<", b">perhaps<"),
            "EI004",
            id="a flag that is none",
        ),
        pytest.param(
            lambda: message(made(post(5000))).replace(b">B-5000<", b"> <"),
            "EI004",
            id="without an id",
        ),
    ],
)
def test_what_breaks_a_rule_is_an_error(
    own: Program, client: FlaskClient, document: Callable[[], bytes], code: str
) -> None:
    """A message that breaks a rule is answered ERROR, and nothing of it is stored."""
    before = known(own)

    answer = result(send(client, document()))

    assert (answer.result_code, (answer.comment or "")[:5]) == ("ERROR", code)
    assert TOLVAN.reveal() not in (answer.comment or "")
    assert known(own) == before


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        message(made(post())).replace(b"ProcessNotification", b"Update"),
        message(made(post()))[:-20],
    ],
)
def test_what_is_no_notification_is_a_fault(
    client: FlaskClient, document: bytes
) -> None:
    """Other documents are answered with a fault, and status 500 as SOAP 1.1 wants."""
    status, text = fault_of(send(client, document))

    assert status == 500
    assert text


def test_a_post_of_no_use_is_ok(own: Program, client: FlaskClient) -> None:
    """Posts of other service domains are taken note of, and not kept."""
    before = known(own)
    document = message(made(post(6000))).replace(
        b"riv:crm:scheduling<", b"riv:clinicalprocess:healthcond:description<"
    )

    assert result(send(client, document)) == Response(result_code="OK")
    assert known(own) == before


@pytest.mark.parametrize(
    ("hsa_id", "status"), [(None, 401), ("SE2321000016-XYZ", 403), ("nobody", 403)]
)
def test_nobody_else_may_notify(
    own: Program, client: FlaskClient, hsa_id: str | None, status: int
) -> None:
    """Without the certificate of a listed holder nothing is read."""
    before = known(own)

    response = send(client, message(made(post(7000))), headers=headers(hsa_id))

    assert fault_of(response)[0] == status
    assert known(own) == before


def test_a_certificate_that_no_proxy_reports_is_none(client: FlaskClient) -> None:
    """Anybody can write the field; only a trusted proxy is believed."""
    response = send(
        client,
        message(made(post(7000))),
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )

    assert fault_of(response)[0] == 401


def test_a_token_lets_nobody_notify(client: FlaskClient) -> None:
    """A token has nothing to do with it."""
    response = send(
        client,
        message(made(post(7000))),
        headers={"Authorization": "Bearer abc"},
    )

    assert fault_of(response)[0] == 401


def test_too_large_a_message_is_refused(client: FlaskClient) -> None:
    """A body above the limit is refused unread."""
    assert fault_of(send(client, b" " * 4_194_305))[0] == 413


def test_another_media_type_is_refused(client: FlaskClient) -> None:
    """SOAP 1.1 is text/xml."""
    response = send(client, message(made(post())), content_type="application/json")

    assert fault_of(response)[0] == 415


def test_without_an_index_nobody_may_notify(made: Program) -> None:
    """A gateway without the file of an index lets nobody in."""
    response = made.app.test_client().post(URL, data=message(), content_type="text/xml")

    assert fault_of(response)[0] == 401


def test_the_wsdl_is_served(client: FlaskClient) -> None:
    """Everybody can read how to notify, and where."""
    response = client.get(f"{URL}?wsdl")
    (address,) = etree.fromstring(response.data).iter("{*}address")

    assert (response.status_code, response.mimetype) == (200, "text/xml")
    assert address.get("location", "").endswith(URL)
    assert client.get(URL).status_code == 404
