"""The Celery app's connections: each one has the gate, and is named by the scheme of its URL."""

import pytest

from config.settings import Settings
from worker.consuming.celery_app import celery_app
from worker.consuming.transport import GatedSentinelTransport, GatedTransport

URLS = [
    ("redis://:p%40ss@host:6379/0", GatedTransport),
    ("rediss://:p%40ss@host:6379/0", GatedTransport),
    ("unix:///tmp/redis.sock?password=p%40ss", GatedTransport),
    ("sentinel://:p%40ss@one,two/main", GatedSentinelTransport),
]


def app_for(url):
    return celery_app("test", Settings(redis_url=url))


@pytest.mark.parametrize(("url", "transport"), URLS)
def test_every_connection_has_the_gate(url, transport):
    """Also a copy of one, and one from the app's pool."""
    app = app_for(url)
    connection = app.connection_for_read()
    with app.pool.acquire() as pooled:
        found = [type(one.transport) for one in (connection, connection.clone(), pooled)]
    assert [transport] * 3 == found


def test_a_connection_that_goes_on_to_the_next_sentinel_keeps_the_gate():
    """By itself kombu takes the transport that the next URL's scheme names."""
    connection = app_for("sentinel://one,two/main").connection_for_read()
    connection.switch(connection.alt[1])
    assert ("two", GatedSentinelTransport) == (connection.hostname, type(connection.transport))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:p%40ss@host:6379/0", "redis://:**@host:6379/0"),
        ("rediss://:p%40ss@host:6379/0", "rediss://:**@host:6379/0"),
        ("unix:///tmp/redis.sock?password=p%40ss", "redis+socket://:**@/tmp/redis.sock"),
        ("sentinel://:p%40ss@one:26379,two:26379/main", "sentinel://:**@one:26379/0"),
    ],
)
def test_a_connection_is_named_by_its_scheme_without_the_password(url, shown):
    """So Flower names it on its pages, and knows by it how to count what is in a queue."""
    assert shown == app_for(url).connection().as_uri()


@pytest.mark.parametrize(("query", "is_named"), [("", True), ("?db=0", True), ("?db=3", False), ("?db=10", False)])
def test_flower_is_not_told_of_a_database_that_it_would_not_read(query, is_named):
    """Of a Unix socket it reads database 0, whatever the URL says; no length is better than another database's."""
    connection = app_for(f"unix:///tmp/redis.sock{query}").connection()
    try:
        named = connection.as_uri(include_password=True)
    except NotImplementedError:
        named = None
    assert (is_named, "redis+socket:") == (named is not None, connection.as_uri()[:13])


def test_the_certificates_of_the_url_are_also_where_flower_looks_for_them():
    conf = app_for("rediss://host/0?ssl_ca_certs=/etc/ca.pem").conf
    assert "/etc/ca.pem" == conf.broker_use_ssl["ssl_ca_certs"]
    assert {**conf.broker_use_ssl} == app_for("rediss://host/0?ssl_ca_certs=/etc/ca.pem").connection().ssl
    assert not app_for("redis://host/0").conf.broker_use_ssl
