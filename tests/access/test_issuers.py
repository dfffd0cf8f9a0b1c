"""
The file of issuers: what a good one gives, and every way in which one is wrong.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from pem import write_certificate

from fhir_gateway.access.issuers import (
    ClaimNames,
    Client,
    Issuer,
    TrustedIssuers,
    WrongIssuers,
    load_issuers,
)
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.principal import Role

Load = Callable[[str], TrustedIssuers]

WHOLE = """
[[issuer]]
issuer = "https://idp.example.org"
jwks_uri = "https://idp.example.org/jwks?v=1"
trust = "trust.pem"
audience = "urn:gateway"
roles = ["resident", "staff", "system", "operator"]
algorithms = ["ES384"]
acr = ["high"]
longest_token_s = 300
authorization_endpoint = "https://idp.example.org/authorize"
token_endpoint = "https://idp.example.org/token"
introspection_endpoint = "https://idp.example.org/introspect"

[issuer.claims]
number = ["pnr"]
number_level = "level"
staff = "a"
assignment = "b"
purpose = "c"
unit = "d"
provider = "e"

[[client]]
issuer = "https://idp.example.org"
id = "region-norr"
role = "system"
units = ["se2321009901"]
organisation = "SE2321009901-0001"
"""

SHORT = """
[[issuer]]
issuer = "https://a.example.org"
jwks_uri = "https://a.example.org/jwks"
roles = ["resident", "operator"]
"""

CLIENT = """
[[client]]
issuer = "https://a.example.org"
id = "drift"
role = "operator"
"""


@pytest.fixture(name="load")
def _load(tmp_path: Path) -> Load:
    """Return the reader of a file with the given text."""

    def load(text: str) -> TrustedIssuers:
        path = tmp_path / "issuers.toml"
        path.write_text(text, encoding="utf-8")
        return load_issuers(path, audience="https://gateway.example.org/fhir")

    return load


def faults_of(load: Load, text: str) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(WrongIssuers) as raised:
        load(text)
    return raised.value.faults


def test_a_whole_file_is_read(load: Load, tmp_path: Path) -> None:
    """Every setting of the file stands in what is loaded."""
    write_certificate(tmp_path / "trust.pem")

    result = load(WHOLE)

    assert result == TrustedIssuers(
        issuers=(
            Issuer(
                issuer="https://idp.example.org",
                jwks_uri="https://idp.example.org/jwks?v=1",
                trust=tmp_path / "trust.pem",
                audience="urn:gateway",
                roles=frozenset(
                    {Role.RESIDENT, Role.STAFF, Role.SYSTEM, Role.OPERATOR}
                ),
                algorithms=("ES384",),
                acr=frozenset({"high"}),
                longest_token_s=300,
                claims=ClaimNames(
                    number=("pnr",),
                    number_level="level",
                    staff="a",
                    assignment="b",
                    purpose="c",
                    unit="d",
                    provider="e",
                ),
                authorization_endpoint="https://idp.example.org/authorize",
                token_endpoint="https://idp.example.org/token",
                introspection_endpoint="https://idp.example.org/introspect",
            ),
        ),
        clients=(
            Client(
                issuer="https://idp.example.org",
                id="region-norr",
                role=Role.SYSTEM,
                units=("SE2321009901",),
                organisation=HsaId("SE2321009901-0001"),
            ),
        ),
    )


def test_a_short_file_has_the_defaults(load: Load) -> None:
    """What is not said is as OIDC Sweden and Inera's identity provider have it."""
    result = load(SHORT + CLIENT)

    assert result == TrustedIssuers(
        issuers=(
            Issuer(
                issuer="https://a.example.org",
                jwks_uri="https://a.example.org/jwks",
                trust=None,
                audience="https://gateway.example.org/fhir",
                roles=frozenset({Role.RESIDENT, Role.OPERATOR}),
                algorithms=("RS256", "RS384", "ES256", "ES384"),
                acr=frozenset(
                    {
                        "http://id.elegnamnden.se/loa/1.0/loa3",
                        "http://id.elegnamnden.se/loa/1.0/loa4",
                        "http://id.swedenconnect.se/loa/1.0/uncertified-loa3",
                    }
                ),
                longest_token_s=3600,
                claims=ClaimNames(
                    number=(
                        "https://id.oidc.se/claim/personalIdentityNumber",
                        "https://id.oidc.se/claim/coordinationNumber",
                    ),
                    number_level="https://id.oidc.se/claim/coordinationNumberLevel",
                    staff="employeeHsaId",
                    assignment="commissionHsaId",
                    purpose="commissionPurpose",
                    unit="healthCareUnitHsaId",
                    provider="healthCareProviderHsaId",
                ),
                authorization_endpoint=None,
                token_endpoint=None,
                introspection_endpoint=None,
            ),
        ),
        clients=(
            Client(
                issuer="https://a.example.org",
                id="drift",
                role=Role.OPERATOR,
                units=(),
                organisation=None,
            ),
        ),
    )


INSECURE = (
    "Must begin with https://: anybody on the way could change what comes over http://,"
    " which is for loopback only."
)
NO_URL = "Must be a URL such as https://host/path, without user name and #."
URL = "https://a.example.org/jwks"
ALGORITHMS = "Must be of RS256, RS384, ES256, ES384"
SYSTEM = SHORT.replace("operator", "system") + CLIENT.replace("operator", "system")
UNITS = 'units = ["SE2321000016"]\n'
ORGANISATION = 'organisation = "SE2321000016-0001"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "issuer: there is none; write a table [[issuer]]", id="empty"),
        pytest.param(
            "issuer = []", "issuer: there is none; write a table [[issuer]]", id="none"
        ),
        pytest.param(
            SHORT.replace("[[issuer]]", "[issuer]"),
            "issuer: is no list of tables; write [[issuer]]",
            id="one table",
        ),
        pytest.param("issuer = [3]", "issuer 1: is no table", id="a number"),
        pytest.param(
            "colour = 3" + SHORT,
            "colour: is no setting; the only tables are [[issuer]] and [[client]]",
            id="an unknown table",
        ),
        pytest.param(
            SHORT + "colour = 3",
            "issuer 1: colour: is no setting of an issuer",
            id="an unknown setting",
        ),
        pytest.param(
            SHORT.replace("issuer = ", "# "),
            "issuer 1: issuer: Missing data for required field.",
            id="no name",
        ),
        pytest.param(
            SHORT.replace("roles = ", "# "),
            "issuer 1: roles: Missing data for required field.",
            id="no roles",
        ),
        pytest.param(
            SHORT.replace('["resident", "operator"]', "[]"),
            "issuer 1: roles: Must not be an empty list.",
            id="an empty list of roles",
        ),
        pytest.param(
            SHORT.replace('"operator"', '"demo"'),
            "issuer 1: roles.1: Must be one of: resident, staff, system, operator.",
            id="a role that no token gives",
        ),
        pytest.param(
            SHORT.replace(URL, "http://a.example.org/jwks"),
            f"issuer 1: jwks_uri: {INSECURE}",
            id="keys over http",
        ),
        pytest.param(
            SHORT.replace(URL, "http://localhost.example.org/jwks"),
            f"issuer 1: jwks_uri: {INSECURE}",
            id="a name that looks like loopback",
        ),
        pytest.param(
            SHORT.replace(URL, "file:///etc/passwd"),
            f"issuer 1: jwks_uri: {NO_URL}",
            id="keys in a file",
        ),
        pytest.param(
            SHORT.replace(URL, "https://u:p@a.example.org/jwks"),
            f"issuer 1: jwks_uri: {NO_URL}",
            id="a URL with a password",
        ),
        pytest.param(
            SHORT.replace(URL, "https://a.example.org/jwks#1"),
            f"issuer 1: jwks_uri: {NO_URL}",
            id="a URL with a fragment",
        ),
        pytest.param(
            SHORT.replace(URL, "https://a.example.org:0/jwks"),
            f"issuer 1: jwks_uri: {NO_URL}",
            id="a port of none",
        ),
        pytest.param(
            SHORT.replace(URL, "https://a.example.org:http/jwks"),
            "issuer 1: jwks_uri: Must be a URL such as https://host/path.",
            id="a port in words",
        ),
        pytest.param(
            SHORT.replace('org"', 'org?a"', 1),
            "issuer 1: issuer: Must have no query.",
            id="a name with a query",
        ),
        pytest.param(
            SHORT + 'token_endpoint = "http://a.example.org/"',
            f"issuer 1: token_endpoint: {INSECURE}",
            id="tokens over http",
        ),
        pytest.param(
            SHORT + 'audience = ""',
            "issuer 1: audience: Must be printable ASCII, and not empty.",
            id="no audience",
        ),
        pytest.param(
            SHORT + 'audience = ["a"]',
            "issuer 1: audience: Not a valid string.",
            id="a list of audiences",
        ),
        pytest.param(
            SHORT + 'algorithms = ["HS256"]',
            f"issuer 1: algorithms.0: {ALGORITHMS}: anybody who can check a signature"
            " of a symmetric algorithm can make one.",
            id="a symmetric algorithm",
        ),
        pytest.param(
            SHORT + 'algorithms = ["RS256", "none"]',
            f"issuer 1: algorithms.1: {ALGORITHMS}.",
            id="no algorithm",
        ),
        pytest.param(
            SHORT + "algorithms = []",
            "issuer 1: algorithms: Must not be an empty list.",
            id="an empty list of algorithms",
        ),
        pytest.param(
            SHORT + "acr = []",
            "issuer 1: acr: Must not be an empty list.",
            id="no level",
        ),
        pytest.param(
            SHORT + "longest_token_s = 3601",
            "issuer 1: longest_token_s: Must be greater than or equal to 1 and less"
            " than or equal to 3600.",
            id="tokens of more than an hour",
        ),
        pytest.param(
            SHORT + 'claims.number = "pnr"',
            "issuer 1: claims.number: Not a valid list.",
            id="a claim that is no list",
        ),
        pytest.param(
            SHORT + 'claims.colour = "pnr"',
            "issuer 1: claims.colour: is no claim that this server reads",
            id="an unknown claim",
        ),
        pytest.param(
            SHORT + SHORT,
            "issuer 2: issuer: has the same name as issuer 1; an issuer has one table",
            id="two of one name",
        ),
        pytest.param(
            SHORT + CLIENT.replace("a.example", "b.example"),
            "client 1: issuer: no [[issuer]] of this file has that name",
            id="a client of an unknown issuer",
        ),
        pytest.param(
            SHORT.replace("operator", "staff") + CLIENT,
            "client 1: role: operator is not among the roles of its issuer",
            id="a client with a role that its issuer may not give",
        ),
        pytest.param(
            SHORT + CLIENT.replace("operator", "resident"),
            "client 1: role: Must be one of: system, operator.",
            id="a client as a resident",
        ),
        pytest.param(
            SHORT + CLIENT + CLIENT,
            "client 2: id: is that of client 1 too; a client has one",
            id="two clients of one id",
        ),
        pytest.param(
            SHORT + CLIENT.replace('"drift"', '""'),
            "client 1: id: Must be printable ASCII, and not empty.",
            id="a client without a name",
        ),
        pytest.param(
            SHORT + CLIENT + "units = []",
            "client 1: units: Must not be an empty list.",
            id="an empty list of units",
        ),
        pytest.param(
            SHORT + CLIENT + UNITS,
            "client 1: units: an operator has none",
            id="an operator with units",
        ),
        pytest.param(
            SHORT + CLIENT + ORGANISATION,
            "client 1: organisation: an operator has none",
            id="an operator with an organisation",
        ),
        pytest.param(
            SYSTEM + ORGANISATION,
            "client 1: units: are missing; a system reaches its own units only",
            id="a system without units",
        ),
        pytest.param(
            SYSTEM + UNITS,
            "client 1: organisation: is missing; regions learn for whom a system asks",
            id="a system without an organisation",
        ),
        pytest.param(
            SYSTEM + ORGANISATION + 'units = ["SE"]',
            "client 1: units.0: Must have the whole number of an organisation, such as"
            " SE2321000016.",
            id="a system with every unit of the country",
        ),
    ],
)
def test_one_fault_is_one_sentence(load: Load, text: str, fault: str) -> None:
    """A fault is named with its table and its key, and nothing else is."""
    result = faults_of(load, text)

    assert result == (fault,)


def test_all_faults_are_named_at_once(load: Load) -> None:
    """A fault of one setting hides no fault of another, in no table."""
    text = (
        SHORT.replace("https://a.example.org/jwks", "nowhere")
        + SHORT.replace('"resident"', '"nobody"')
        + CLIENT.replace("drift", "")
    )

    result = faults_of(load, text)

    assert result == (
        f"issuer 1: jwks_uri: {NO_URL}",
        "issuer 2: roles.0: Must be one of: resident, staff, system, operator.",
        "client 1: id: Must be printable ASCII, and not empty.",
        "issuer 2: issuer: has the same name as issuer 1; an issuer has one table",
    )


def test_a_file_of_trust_that_is_none_is_a_fault(load: Load, tmp_path: Path) -> None:
    """The certificates that are trusted are read at the start."""
    (tmp_path / "trust.pem").write_text("trust")

    result = faults_of(load, SHORT + 'trust = "trust.pem"')

    assert result == (
        (
            f"issuer 1: trust: the file {tmp_path}/trust.pem must hold, in PEM, one"
            " certificate or more"
        ),
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8090", "[::1]:1"])
def test_an_issuer_on_loopback_needs_no_tls(load: Load, host: str) -> None:
    """What comes over http:// on this machine, nobody else can change."""
    text = SHORT.replace("https://a.example.org", f"http://{host}")

    (issuer,) = load(text).issuers

    assert (issuer.issuer, issuer.jwks_uri) == (f"http://{host}", f"http://{host}/jwks")


def test_a_file_that_is_no_toml_is_a_fault(load: Load) -> None:
    """The place of the fault is said."""
    result = faults_of(load, "[[issuer]")

    assert len(result) == 1
    assert result[0].startswith("it is not TOML: ")
