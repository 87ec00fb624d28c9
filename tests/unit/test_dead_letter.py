"""Dead letters: kept, counted, cut short, and the same commands for every client."""

import json

import fakeredis
import pytest

from worker.ledger.dead_letter import DEAD_LETTERS_COUNTER, dead_letter_commands
from worker.ledger.keys import COUNTERS, DEAD_LETTERS


@pytest.fixture
def server():
    with fakeredis.FakeRedis() as client:
        yield client


def add(server, reason: str, message: object) -> dict[str, object]:
    """Keep a dead letter and read it back."""
    for command in dead_letter_commands(reason, message):
        server.execute_command(*command)
    return json.loads(server.lindex(DEAD_LETTERS, 0))


def test_a_dead_letter_says_why_and_shows_the_message(server):
    letter = add(server, "body: must be a string of JSON", {"body": 3})
    assert ("body: must be a string of JSON", '{"body": 3}') == (letter["reason"], letter["message"])
    assert letter["at"] > 0


def test_what_json_cannot_say_is_shown_as_python_does(server):
    assert "\"b'\\\\xff'\"" == add(server, "message", b"\xff")["message"]


def test_a_long_message_is_cut(server):
    assert "x" * 4096 == add(server, "message", "x" * 10_000)["message"]


def test_every_dead_letter_is_counted_and_the_newest_stands_first(server):
    add(server, "first", "a")
    assert "second" == add(server, "second", "b")["reason"]
    assert (b"2", 2) == (server.hget(COUNTERS, DEAD_LETTERS_COUNTER), server.llen(DEAD_LETTERS))


def test_the_oldest_go_when_there_are_too_many(server):
    server.lpush(DEAD_LETTERS, *["old"] * 10_000)
    add(server, "newest", "a")
    assert 10_000 == server.llen(DEAD_LETTERS)
