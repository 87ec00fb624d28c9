"""One URL makes a client, and may be logged: a password never shows, however badly the URL is written."""

import pytest

from neo_cancel import CancelProducer, InvalidOrderError
from neo_cancel.connection import connect, connect_async, shown_url

BAD_URLS = [
    "redis://user:33/s3same@host:6379/0",
    "redis://user:s3/same@host:6379/0",
    "redis://user:s3?same@host:6379/0",
    "redis://user:s3#same@host:6379/0",
    "redis://:s3@same@host:6379:1/0",
    "redis://host:s3same",
    "redis://[s3same",
    "redis://host?db=x&password=s3same",
    "redis://host?s3same=1",
    "http://user:s3same@host",
    "user:s3same@host:6379",
    "s3same",
    "",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_without_showing_a_password(url):
    with pytest.raises(InvalidOrderError) as caught:
        CancelProducer(redis_url=url)
    assert "redis_url" == caught.value.field
    for secret in ("s3", "same"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__context__ if not caught.value.__suppress_context__ else "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:s3same@host:6379/1", "redis://host:6379/1"),
        ("redis://:s3%40same@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("rediss://host/0?password=s3same", "rediss://host/0"),
        ("unix:///run/valkey.sock?password=s3same", "unix:///run/valkey.sock"),
        ("sentinel://user:s3same@a:1,b:2/main?db=1", "sentinel://a:1,b:2/main"),
    ],
)
def test_a_good_url_is_shown_without_its_password(url, shown):
    assert shown == shown_url(url)


@pytest.mark.parametrize("url", ["redis://host/abc", "rediss://host/0x1", "redis://host/1/2", "redis://host//1"])
def test_a_database_that_is_no_number_is_refused_and_not_taken_for_the_first(url):
    with pytest.raises(InvalidOrderError, match="must name the database by its number"):
        CancelProducer(url)


@pytest.mark.parametrize(("url", "database"), [("redis://host", 0), ("redis://host/", 0), ("redis://host/7?db=8", 8)])
def test_the_database_is_the_first_one_or_the_one_named(url, database):
    assert database == connect(url).connection_pool.connection_kwargs.get("db", 0)


@pytest.mark.parametrize("url", [None, 6379, b"redis://host"])
def test_what_is_no_text_is_no_url(url):
    with pytest.raises(InvalidOrderError, match="must be a string"):
        CancelProducer(redis_url=url)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_client_waits_one_second_at_most_for_an_answer(make):
    options = make("redis://user:s3same@host:6380/3").connection_pool.connection_kwargs
    assert ("host", 6380, 3, "user") == tuple(options[name] for name in ("host", "port", "db", "username"))
    assert (1.0, 1.0, True) == tuple(
        options[name] for name in ("socket_timeout", "socket_connect_timeout", "socket_keepalive")
    )


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_unix_socket_has_no_keepalive(make):
    options = make("unix:///run/valkey.sock?db=2").connection_pool.connection_kwargs
    assert ("/run/valkey.sock", 2, False) == (options["path"], options["db"], "socket_keepalive" in options)


@pytest.mark.parametrize("make", [connect, connect_async])
def test_sentinels_are_asked_for_the_master_of_the_service_named(make):
    pool = make("sentinel://u%40x:s3%2Fsame@a:1,b/main?db=4").connection_pool
    asked = [node.connection_pool.connection_kwargs for node in pool.sentinel_manager.sentinels]
    assert [("a", 1), ("b", 26_379)] == [(options["host"], options["port"]) for options in asked]
    assert [0.4, 0.4] == [options["socket_timeout"] for options in asked]
    ours = pool.connection_kwargs
    assert ("main", 4, "u@x", "s3/same") == (pool.service_name, ours["db"], ours["username"], ours["password"])


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_sentinel_url_without_names_means_mymaster_and_no_login(make):
    pool = make("sentinel://a").connection_pool
    assert ("mymaster", 0, None) == (
        pool.service_name,
        pool.connection_kwargs["db"],
        pool.connection_kwargs["username"],
    )
