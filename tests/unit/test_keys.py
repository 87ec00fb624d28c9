"""The table of keys, at the head of worker/ledger/keys.py, names every key there is."""

import re

import pytest

from worker.ledger import keys

ROWS = [re.split(r"  +", line) for line in keys.__doc__.splitlines() if line.startswith(("nc:", "risk"))]
LIVES = {name: lives for names, _, lives, *_ in ROWS for name in names.split(", ")}

NAMES = {
    "nc:order:UCC:NUMBER": keys.order_key("UCC", "NUMBER"),
    "nc:queued:LANE": keys.queued_key("LANE"),
    "nc:held:WORKER": keys.held_key("WORKER"),
    "nc:urgent:WORKER": keys.urgent_key("WORKER"),
    "nc:taken:WORKER": keys.taken_key("WORKER"),
    "nc:backlog:LANE:UCC": keys.backlog_key("LANE", "UCC"),
    "nc:front:LANE": keys.front_key("LANE"),
    "nc:pace:UCC": keys.pace_key("UCC"),
    "nc:session:UCC": keys.session_key("UCC"),
    "nc:login:UCC": keys.login_key("UCC"),
    "nc:egress:HOST": keys.egress_key("HOST"),
}


@pytest.mark.parametrize(("row", "name"), NAMES.items())
def test_a_key_is_called_what_its_row_says(row, name):
    assert row == name
    assert row in LIVES


def test_every_key_that_never_expires_stands_in_the_table():
    lasting = {name for name, lives in LIVES.items() if lives == "permanent" or lives.startswith("about")}
    for lane in ("risk", "routine"):
        lasting.add(keys.queued_key(lane))
    assert lasting - {"nc:queued:LANE"} == set(keys.PERMANENT)


def test_an_order_has_one_key_however_it_is_named():
    assert keys.order_key("AB123", "1") == keys.named_key("AB123:1")
