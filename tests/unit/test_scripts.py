"""Lua scripts as the server gets them: the prelude in front, no key and no set of statuses of their own."""

import re
from importlib import resources

import fakeredis
import pytest

from config.settings import LONGEST_LEASE_SECONDS
from neo_cancel.record import DEAD, WATCHABLE, WORKING, Status
from neo_cancel.scripts import HANDS_SECONDS, ScriptCall, load_script
from worker.ledger.keys import BACKLOGS, PERMANENT

SCRIPTS = [
    (package, path.name.removesuffix(".lua"))
    for package in ("neo_cancel", "worker.ledger", "worker.sessions")
    for path in resources.files(package).joinpath("lua").iterdir()
    if path.name.endswith(".lua") and path.name != "prelude.lua"
]


def own_code(package: str, name: str) -> str:
    """Read a script without its comments and without the prelude."""
    text = resources.files(package).joinpath("lua", f"{name}.lua").read_text()
    return re.sub(r"--.*", "", text)


def test_every_script_of_both_packages_is_looked_at():
    some = {("neo_cancel", "enqueue"), ("worker.ledger", "claim"), ("worker.sessions", "lease")}
    assert some < set(SCRIPTS)


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_no_script_writes_the_name_of_a_key(package, name):
    """Names come in as KEYS and ARGV, from the key modules."""
    assert not [key for key in ("nc:", *PERMANENT[2:]) if key in own_code(package, name)]


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_no_script_lists_statuses_by_hand(package, name):
    assert not [status for status in Status if re.search(rf"\b{status} = true", own_code(package, name))]


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_a_script_is_known_by_the_same_digest_to_client_and_server(package, name):
    script = load_script(package, name)
    with fakeredis.FakeRedis() as server:
        assert script.digest == server.script_load(script.text)


@pytest.mark.parametrize(
    ("name", "statuses", "script"),
    [("DEAD", DEAD, "record"), ("WORKING", WORKING, "requeue"), ("WATCHABLE", WATCHABLE, "watch")],
)
def test_the_sets_of_statuses_are_those_of_the_record(name, statuses, script):
    table = re.search(rf"local {name} = \{{(.*)\}}", load_script("worker.ledger", script).text)
    assert statuses == {pair.partition(" = ")[0] for pair in table[1].split(", ")}


def test_a_script_gets_what_it_uses_of_the_prelude_and_no_more():
    """At every call the server would make anew what is never used."""
    text = load_script("worker.ledger", "orphans").text
    assert ["now_ms"] == re.findall(r"^local function (\w+)", text, re.MULTILINE)
    assert "local DEAD" not in text


def test_what_the_prelude_s_own_functions_use_comes_along():
    text = load_script("worker.ledger", "watch").text
    assert text.index("local WATCHABLE") < text.index("local function claimed") < text.index("local workers")


def test_a_call_names_the_script_by_its_digest():
    script = load_script("worker.ledger", "orphans")
    call = ScriptCall(script, [BACKLOGS], [1000, "nc:backlog:risk:"])
    assert ("EVALSHA", script.digest, 1, BACKLOGS, 1000, "nc:backlog:risk:") == call.command


@pytest.mark.parametrize(("package", "name"), [*SCRIPTS, ("neo_cancel", "prelude")])
def test_no_script_has_a_lifetime_of_its_own_for_what_a_worker_holds(package, name):
    """A lease may be longer than a minute, and a time to live longer than a week."""
    text = own_code(package, name)
    assert not re.search(r"'EXPIRE', (taken|urgent|backlog), \d", text)


def test_the_lifetime_of_what_a_worker_took_is_written_from_python_and_longer_than_a_lease():
    assert f"local HANDS_SECONDS = {HANDS_SECONDS}\n" in load_script("worker.ledger", "claim").text
    assert LONGEST_LEASE_SECONDS < HANDS_SECONDS
