"""
Settings from the environment: read, or refused with every fault named.
"""

from pathlib import Path

import pytest

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.settings import (
    ENVIRONMENT,
    Settings,
    WrongSettings,
    service_links,
)
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.web.peer import TrustedProxies

NEW, OLD = Seal.new_key(), Seal.new_key()


def faults(**environment: str) -> tuple[str, ...]:
    """Return what is wrong with an environment."""
    with pytest.raises(WrongSettings) as caught:
        Settings.from_environment(environment)
    return caught.value.faults


def test_an_empty_environment_is_enough() -> None:
    """Without any setting the program runs on loopback with stores of its own."""
    assert Settings.from_environment({}) == Settings(
        sources=Path("sources.toml"),
        standard_time_types=None,
        public_search=False,
        issuers=None,
        open_demo=False,
        log_service=None,
        mandates=None,
        engagement_index=None,
        data_dir=Path(".fhir-gateway"),
        host="127.0.0.1",
        port=8080,
        base_url="http://127.0.0.1:8080/fhir",
        hosts=frozenset({"localhost", "127.0.0.1", "::1"}),
        proxies=TrustedProxies(),
        origins=frozenset(),
        booking_link=None,
        canonical_base="https://fhir-gateway.example.org",
        processes=1,
        threads=32,
        answers_within_s=10,
        lists_within_s=5,
        drains_for_s=5,
        wiped_after_days=30,
        audit_kept_days=1826,
        limits=ClientLimits(),
        journal_keys=(),
        redis_url=None,
        database_url=f"sqlite:///{Path('.fhir-gateway/journal.sqlite').resolve()}",
        has_own_database=True,
        sandbox_port=8090,
    )


def test_every_setting_is_heeded() -> None:
    """Each variable that is described changes a setting."""
    environment = {
        "FHIR_GATEWAY_SOURCES": "s.toml",
        "FHIR_GATEWAY_STANDARD_TIME_TYPES": "t.json",
        "FHIR_GATEWAY_LOG_SERVICE": "l.toml",
        "FHIR_GATEWAY_MANDATES": "http://127.0.0.1:8090/mandates",
        "FHIR_GATEWAY_ENGAGEMENT_INDEX": "e.toml",
        "FHIR_GATEWAY_PUBLIC_SEARCH": "Yes",
        "FHIR_GATEWAY_ISSUERS": "i.toml",
        "FHIR_GATEWAY_OPEN_DEMO": "yes",
        "FHIR_GATEWAY_DATA_DIR": "d",
        "FHIR_GATEWAY_HOST": "0.0.0.0",  # noqa: S104 - only text here
        "PORT": "80",
        "FHIR_GATEWAY_BASE_URL": "https://h/fhir/",
        "FHIR_GATEWAY_ALLOWED_HOSTS": "Proxy.Example., 10.1.2.3,,fd00::1",
        "FHIR_GATEWAY_TRUSTED_PROXIES": "10.0.0.5",
        "FHIR_GATEWAY_CORS_ORIGINS": "https://App.example:444, https://B.example:443, http://localhost:3000,",
        "FHIR_GATEWAY_BOOKING_LINK": "https://book.example.org/?slot={slot}",
        "FHIR_GATEWAY_CANONICAL_BASE": "https://c/",
        "FHIR_GATEWAY_PROCESSES": "2",
        "FHIR_GATEWAY_THREADS": "8",
        "FHIR_GATEWAY_ANSWERS_WITHIN_S": "4",
        "FHIR_GATEWAY_LISTS_WITHIN_S": "3",
        "FHIR_GATEWAY_DRAINS_FOR_S": "9",
        "FHIR_GATEWAY_WIPED_AFTER_DAYS": "7",
        "FHIR_GATEWAY_AUDIT_KEPT_DAYS": "3653",
        "FHIR_GATEWAY_JOURNAL_KEYS": f"{NEW}, {OLD},,",
        "FHIR_GATEWAY_LIMIT_SEARCHES": "1",
        "FHIR_GATEWAY_LIMIT_REGION_CALLS": "2",
        "FHIR_GATEWAY_LIMIT_FAILED_LOOKS": "3",
        "FHIR_GATEWAY_LIMIT_REQUEST_KEYS": "4",
        "FHIR_GATEWAY_LIMIT_HOLDS": "5",
        "FHIR_GATEWAY_LIMIT_HOLDS_AN_HOUR": "6",
        "FHIR_GATEWAY_LIMIT_RESIDENT_HOLDS": "7",
        "FHIR_GATEWAY_LIMIT_RESIDENT_BOOKINGS": "1000000",
        "REDIS_URL": "redis://r",
        "DATABASE_URL": "postgresql://p",
        "SANDBOX_PORT": "81",
    }

    assert environment.keys() == ENVIRONMENT.keys()
    assert Settings.from_environment(environment) == Settings(
        sources=Path("s.toml"),
        standard_time_types=Path("t.json"),
        public_search=True,
        issuers=Path("i.toml"),
        open_demo=True,
        log_service=Path("l.toml"),
        mandates="http://127.0.0.1:8090/mandates",
        engagement_index=Path("e.toml"),
        data_dir=Path("d"),
        host="0.0.0.0",  # noqa: S104 - only text here
        port=80,
        base_url="https://h/fhir",
        hosts=frozenset(
            {
                *("h", "proxy.example", "10.1.2.3", "fd00::1"),
                *("localhost", "127.0.0.1", "::1"),
            }
        ),
        proxies=TrustedProxies.parse("10.0.0.5"),
        origins=frozenset(
            {"https://app.example:444", "https://b.example", "http://localhost:3000"}
        ),
        canonical_base="https://c",
        processes=2,
        threads=8,
        answers_within_s=4,
        lists_within_s=3,
        drains_for_s=9,
        wiped_after_days=7,
        audit_kept_days=3653,
        limits=ClientLimits(
            searches=1,
            region_calls=2,
            failed_looks=3,
            request_keys=4,
            holds=5,
            holds_an_hour=6,
            resident_holds=7,
            resident_bookings=1_000_000,
        ),
        journal_keys=(NEW, OLD),
        booking_link="https://book.example.org/?slot={slot}",
        redis_url="redis://r",
        database_url="postgresql://p",
        has_own_database=False,
        sandbox_port=81,
    )


@pytest.mark.parametrize("value", ["0", "-1", "1000001", "off", "1.5"])
@pytest.mark.parametrize(
    "name", [each for each in ENVIRONMENT if each.startswith("FHIR_GATEWAY_LIMIT_")]
)
def test_no_limit_can_be_switched_off(name: str, value: str) -> None:
    """A limit is a whole number from one to a million."""
    assert faults(**{name: value}) == (
        f"{name} must be a whole number from 1 to 1000000",
    )


def test_an_empty_setting_is_none() -> None:
    """A variable that is set to nothing is as one that is not set."""
    empty = dict.fromkeys(ENVIRONMENT, "")

    assert Settings.from_environment(empty) == Settings.from_environment({})


@pytest.mark.parametrize(
    "hosts",
    [
        *("a:80", "https://a", "a b", "*", "a/b", "[::1]", "a..example", "-a"),
        *("1:2:3", "fd00::1::2", "::12345", "::1.2.3", "fe80::1%eth0", "fd00::1:"),
        *("256.1.1.1", "10.1.2", "10.1.2.3.4", "10.01.2.3"),
    ],
)
def test_a_host_is_a_name_or_an_address(hosts: str) -> None:
    """Ports, paths, patterns and digits of no address are none."""
    (fault,) = faults(FHIR_GATEWAY_ALLOWED_HOSTS=f"ok.example,{hosts}")

    assert fault == (
        "FHIR_GATEWAY_ALLOWED_HOSTS must be names or addresses without ports, separated"
        " by commas"
    )


@pytest.mark.parametrize(
    "host",
    ["a", "proxy-1.example", "10.1.2.3", "::1", "fd00::1", "::ffff:10.1.2.3", "4711"],
)
def test_each_form_of_a_host_is_allowed(host: str) -> None:
    """A name, a container's id and an address of IPv4 or IPv6 are hosts."""
    found = Settings.from_environment({"FHIR_GATEWAY_ALLOWED_HOSTS": host})

    assert host in found.hosts


def test_the_address_to_listen_on_is_a_host() -> None:
    """Unless it stands for every address of the machine."""
    assert (
        "10.1.2.3" in Settings.from_environment({"FHIR_GATEWAY_HOST": "10.1.2.3"}).hosts
    )


def test_other_variables_are_not_ours() -> None:
    """What does not begin with our name is nobody's fault."""
    environment = {"PATH": "/bin", "HOME": "/", "FHIR": "x"}

    assert Settings.from_environment(environment) == Settings.from_environment({})


# What Kubernetes sets for a Service called NAME with the ports "http" and 9090/udp.
_LINKS_OF_A_SERVICE = {
    "{}_SERVICE_HOST": "10.96.7.1",
    "{}_SERVICE_PORT": "8080",
    "{}_SERVICE_PORT_HTTP": "8080",
    "{}_PORT": "tcp://10.96.7.1:8080",
    "{}_PORT_8080_TCP": "tcp://10.96.7.1:8080",
    "{}_PORT_8080_TCP_PROTO": "tcp",
    "{}_PORT_8080_TCP_PORT": "8080",
    "{}_PORT_8080_TCP_ADDR": "10.96.7.1",
    "{}_PORT_9090_UDP": "udp://[fd00::1]:9090",
}


@pytest.mark.parametrize(
    "service",
    [
        *("FHIR_GATEWAY", "FHIR_GATEWAY_WORKER", "FHIR_GATEWAY_HOST"),
        *("SANDBOX", "REDIS", "DATABASE", "PORT"),
    ],
)
def test_a_service_of_any_name_changes_no_setting(service: str) -> None:
    """What Kubernetes sets for a Service is neither a setting nor a fault."""
    environment = {
        name.format(service): value for name, value in _LINKS_OF_A_SERVICE.items()
    }

    assert Settings.from_environment(environment) == Settings.from_environment({})


def test_an_ipv6_service_link_is_one() -> None:
    """A Service with an IPv6 address is recognised."""
    assert service_links({"SANDBOX_PORT": "tcp://[fd00::1]:80"}) == ("SANDBOX_PORT",)


def test_service_links_that_look_like_settings_are_named() -> None:
    """The variables that are ignored are those that could be taken for settings."""
    environment = {
        "FHIR_GATEWAY_PORT": "tcp://10.96.7.1:80",
        "FHIR_GATEWAY_SERVICE_HOST": "10.96.7.1",
        "REDIS_PORT": "tcp://10.96.7.2:6379",
        "SANDBOX_PORT": "tcp://10.96.7.3:8090",
        "PORT": "8081",
    }

    assert service_links(environment) == (
        "FHIR_GATEWAY_PORT",
        "FHIR_GATEWAY_SERVICE_HOST",
        "SANDBOX_PORT",
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param(
            "PORT",
            "tcp://10.96.7.1:80",
            "PORT must be a whole number from 1 to 65535",
            id="no Service has this name",
        ),
        pytest.param(
            "SANDBOX_PORT",
            "http://10.96.7.1:80",
            "SANDBOX_PORT must be a whole number from 1 to 65535",
            id="another URL",
        ),
        pytest.param(
            "FHIR_GATEWAY_PORT",
            "8080",
            "FHIR_GATEWAY_PORT is not a setting; see fhir-gateway --help",
            id="a misspelt setting",
        ),
        pytest.param(
            "FHIR_GATEWAY_SERVICES",
            "10.96.7.1",
            "FHIR_GATEWAY_SERVICES is not a setting; see fhir-gateway --help",
            id="nearly a link",
        ),
    ],
)
def test_what_only_looks_like_a_service_link_is_a_fault(
    name: str, value: str, expected: str
) -> None:
    """A wrong port and an unknown setting are always faults."""
    assert faults(**{name: value}) == (expected,)


@pytest.mark.parametrize(
    "text", ["0", "-1", "65536", "x", "8080x", "1e3", "\u0668\u0660", "9" * 5_000]
)
@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_port_that_is_none_is_refused(name: str, text: str) -> None:
    """A port that no program can listen on is refused."""
    assert faults(**{name: text}) == (f"{name} must be a whole number from 1 to 65535",)


@pytest.mark.parametrize("text", ["h/fhir", "ftp://h", "//h"])
@pytest.mark.parametrize(
    "name", ["FHIR_GATEWAY_BASE_URL", "FHIR_GATEWAY_CANONICAL_BASE"]
)
def test_a_base_that_is_no_url_is_refused(name: str, text: str) -> None:
    """A base that is no http or https URL is refused."""
    assert faults(**{name: text}) == (
        f"{name} must be a URL that begins with http:// or https://",
    )


@pytest.mark.parametrize("text", ["http://", "https:///x", "http://h:/fhir"])
def test_a_base_without_a_host_is_refused(text: str) -> None:
    """A base names the host that clients ask, and a port or none."""
    (fault,) = faults(FHIR_GATEWAY_BASE_URL=text)

    assert fault.startswith("FHIR_GATEWAY_BASE_URL is no URL of a host: ")


def test_every_fault_is_named_at_once() -> None:
    """All that is wrong with an environment is reported at once."""
    assert faults(
        FHIR_GATEWAY_COLOUR="red",
        PORT="x",
        FHIR_GATEWAY_BASE_URL="h",
        FHIR_GATEWAY_THREADS="0",
    ) == (
        "FHIR_GATEWAY_COLOUR is not a setting; see fhir-gateway --help",
        "PORT must be a whole number from 1 to 65535",
        "FHIR_GATEWAY_THREADS must be a whole number from 2 to 1024",
        "FHIR_GATEWAY_BASE_URL must be a URL that begins with http:// or https://",
    )


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/fhir"),
        ("10.1.2.3", "http://10.1.2.3:8080/fhir"),
        ("localhost", "http://localhost:8080/fhir"),
        ("::1", "http://[::1]:8080/fhir"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:8080/fhir"),
        ("0.0.0.0", "http://127.0.0.1:8080/fhir"),  # noqa: S104 - only text here
        ("::", "http://[::1]:8080/fhir"),
    ],
)
def test_the_base_is_where_the_server_listens(host: str, base: str) -> None:
    """Without a base URL of its own, clients use the address, loopback for all."""
    settings = Settings.from_environment({"FHIR_GATEWAY_HOST": host})

    assert settings.base_url == base


def test_a_unix_socket_is_a_place_to_listen() -> None:
    """A proxy at its other end is trusted, and it has no name as a host."""
    settings = Settings.from_environment(
        {
            "FHIR_GATEWAY_HOST": "unix:/run/Gateway.sock",
            "FHIR_GATEWAY_BASE_URL": "https://h/fhir",
        }
    )

    assert (settings.socket, settings.hosts, settings.proxies) == (
        Path("/run/Gateway.sock"),
        frozenset({"h", "localhost", "127.0.0.1", "::1"}),
        TrustedProxies(has_socket=True),
    )


@pytest.mark.parametrize(
    "url", ["http://register.example.org", "https://10.0.0.1/x", "http://127.0.0.1.nu/"]
)
def test_a_register_of_mandates_is_on_this_machine(url: str) -> None:
    """Personal numbers go to no register on another machine."""
    [fault] = faults(FHIR_GATEWAY_MANDATES=url)

    assert fault == (
        "FHIR_GATEWAY_MANDATES must be on loopback: only the sandbox has such a"
        " register yet"
    )


@pytest.mark.parametrize("url", ["mandates", "http://a@127.0.0.1/", "http://"])
def test_a_register_of_mandates_has_a_url(url: str) -> None:
    """What is no URL is one fault."""
    assert len(faults(FHIR_GATEWAY_MANDATES=url)) == 1


NEEDS_ISSUERS = (
    "FHIR_GATEWAY_ISSUERS is needed: the file of the issuers of the access tokens that"
    " this server accepts. To try it without access control, on loopback only, start it"
    " with --open-demo"
)
LOOPBACK_ONLY = (
    "FHIR_GATEWAY_HOST: an open demo listens on loopback only, such as 127.0.0.1"
)
NEEDS_TLS = (
    "FHIR_GATEWAY_BASE_URL must begin with https://, since clients send access tokens"
    " to it; http:// is for loopback only"
)
BOTH = (
    "FHIR_GATEWAY_ISSUERS and --open-demo (FHIR_GATEWAY_OPEN_DEMO) contradict each"
    " other: give one of them"
)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, [NEEDS_ISSUERS]),
        ({"ISSUERS": "i.toml"}, []),
        ({"ISSUERS": "i.toml", "HOST": "0.0.0.0"}, []),  # noqa: S104 - only text here
        ({"OPEN_DEMO": "yes"}, []),
        ({"OPEN_DEMO": "yes", "HOST": "localhost"}, []),
        ({"OPEN_DEMO": "yes", "HOST": "::1"}, []),
        ({"OPEN_DEMO": "no"}, [NEEDS_ISSUERS]),
        ({"OPEN_DEMO": "yes", "ISSUERS": "i.toml"}, [BOTH]),
        *(
            ({"OPEN_DEMO": "yes", "HOST": host}, [LOOPBACK_ONLY])
            for host in ("0.0.0.0", "::", "10.0.0.5", "gateway")  # noqa: S104 - only text here
        ),
        (
            {
                "OPEN_DEMO": "yes",
                "HOST": "unix:/run/gateway.sock",
                "BASE_URL": "https://h/fhir",
            },
            [LOOPBACK_ONLY],
        ),
        ({"ISSUERS": "i.toml", "BASE_URL": "http://h/fhir"}, [NEEDS_TLS]),
        ({"ISSUERS": "i.toml", "HOST": "10.0.0.5"}, [NEEDS_TLS]),
        ({"ISSUERS": "i.toml", "BASE_URL": "http://localhost:1/fhir"}, []),
        ({"BASE_URL": "http://h/fhir"}, [NEEDS_ISSUERS, NEEDS_TLS]),
    ],
)
def test_what_is_unsafe_to_serve_with_is_named(
    environment: dict[str, str], expected: list[str]
) -> None:
    """Nobody serves without access control, or takes tokens in clear, by mistake."""
    settings = Settings.from_environment(
        {f"FHIR_GATEWAY_{name}": value for name, value in environment.items()}
    )

    assert list(settings.serving_faults()) == expected
