"""
URLs of databases and of Redis: what they mean; and no error shows a secret.
"""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.stores.database_url import WrongDatabase, database_url
from fhir_gateway.stores.redis_url import RedisUrl, WrongRedis, redis_url
from fhir_gateway.stores.server_url import Host, ServerUrl, server_url

_PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(_PASSWORDS)
def test_an_escaped_password_comes_back(password: str) -> None:
    """The escaped form of any password means that password."""
    parsed = server_url(f"postgresql://u:{quote(password, safe='')}@h:5432/d")

    assert parsed == ServerUrl(
        scheme="postgresql",
        username="u",
        password=password,
        hosts=(Host(name="h", port=5432),),
        path="/d",
        query=(),
    )


@given(_PASSWORDS, st.sampled_from(["postgresql://u:{}@h/d", "postgres://u:{}@h:1/d"]))
def test_no_fault_of_a_database_repeats_a_password(password: str, url: str) -> None:
    """A password that is not escaped is taken, or refused without showing it."""
    try:
        reported = repr(database_url(url.format(f"hemligt{password}hemligt")).url)
    except WrongDatabase as error:
        reported = str(error)

    assert "hemligt" not in reported


@given(_PASSWORDS)
def test_no_fault_of_redis_repeats_a_password(password: str) -> None:
    """The same of Redis, also of what a URL is shown as."""
    try:
        reported = repr(redis_url(f"redis://:hemligt{password}hemligt@h:6379/0"))
    except WrongRedis as error:
        reported = str(error)

    assert "hemligt" not in reported


@pytest.mark.parametrize(
    ("text", "host", "port", "arguments"),
    [
        pytest.param("postgresql://u:p@h/d", "h", None, {}, id="one host"),
        pytest.param("postgres://u:p@h:5433/d", "h", 5433, {}, id="the short scheme"),
        pytest.param("postgresql://u:p@[::1]:5433/d", "::1", 5433, {}, id="IPv6"),
        pytest.param(
            "postgresql://u:p@a:1,b/d",
            None,
            None,
            {"host": "a,b", "port": "1,", "target_session_attrs": "read-write"},
            id="two hosts",
        ),
        pytest.param(
            "postgresql://u:p@a,b/d?target_session_attrs=primary",
            None,
            None,
            {"host": "a,b", "port": ",", "target_session_attrs": "primary"},
            id="two hosts and a choice of one's own",
        ),
        pytest.param(
            "postgresql:///d?host=/run/pg&user=u&password=p",
            None,
            None,
            {"host": "/run/pg"},
            id="a socket, and the rest behind it",
        ),
    ],
)
def test_a_database_is_meant(
    text: str, host: str | None, port: int | None, arguments: dict[str, str]
) -> None:
    """A URL means what libpq takes it for."""
    found = database_url(text)

    assert (found.url.username, found.url.password, found.url.database) == (
        "u",
        "p",
        "d",
    )
    assert (found.url.host, found.url.port, found.arguments) == (host, port, arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://h", RedisUrl(url="redis://h", is_cluster=False)),
        ("REDIS://h:1/2", RedisUrl(url="redis://h:1/2", is_cluster=False)),
        ("redis://h?cluster=true", RedisUrl(url="redis://h", is_cluster=True)),
        (
            "redis://h?cluster=true&protocol=3",
            RedisUrl(url="redis://h?protocol=3", is_cluster=True),
        ),
        ("unix:///a/b?db=1", RedisUrl(url="unix:///a/b?db=1", is_cluster=False)),
    ],
)
def test_a_redis_is_meant(text: str, expected: RedisUrl) -> None:
    """A URL means what redis-py takes it for, and whether it is a cluster."""
    assert redis_url(text) == expected
