"""Addresses that may be logged: a password never shows, however badly the URL is written."""

import pytest

from neo_cancel import CancelProducer, InvalidOrderError
from neo_cancel.connection import shown_url

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


@pytest.mark.parametrize("url", [None, 6379, b"redis://host"])
def test_what_is_no_text_is_no_url(url):
    with pytest.raises(InvalidOrderError, match="must be a string"):
        CancelProducer(redis_url=url)
