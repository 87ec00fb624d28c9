"""The whole command line, with the producer that strategies use in their own tests."""

import io
import json
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import TyperException
from typer.testing import CliRunner

from neo_cancel import CancelOrder, InvalidOrderError, OpenBulk, UnknownOrderError, __version__
from neo_cancel.cli import verbs
from neo_cancel.cli.bulk_file import PIECE_SIZE, BulkFile, opened
from neo_cancel.cli.commands import app
from neo_cancel.testing import RecordingProducer

NUMBERS = ["251015000123451", "251015000123452"]
GOOD = "ucc,order_number\n" + "".join(f"AB123,{number}\n" for number in NUMBERS)
BAD = f"ucc,order_number\nAB123,{NUMBERS[0]}\nAB123,12\n"


@dataclass(frozen=True)
class Result:
    """What a run answered and wrote."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def producer() -> RecordingProducer:
    return RecordingProducer()


@pytest.fixture
def neo_cancel(producer) -> Callable[..., Result]:
    def run(*arguments: str, given: str = "") -> Result:
        options = {"obj": lambda _: producer, "standalone_mode": False, "catch_exceptions": False}
        result = CliRunner().invoke(app, arguments, input=given, **options)
        return Result(result.return_value, result.stdout, result.stderr)

    return run


def end_all(producer: RecordingProducer, status: str = "cancelled") -> None:
    for number in NUMBERS:
        producer.settle("AB123", number, status)


def test_an_order_arrives_with_every_option(neo_cancel, producer):
    options = ["--variety", "cover", "--amo", "--symbol", "TCS-EQ", "--risk", "--deadline", "7.5"]
    result = neo_cancel("order", "AB123", NUMBERS[0], *options, "--strategy", "s1", "--reason", "why", "--json")
    (order,) = producer.orders
    assert ("cover", True, "TCS-EQ", "risk") == (order.variety, order.amo, order.trading_symbol, order.lane)
    assert ("s1", "why", 7.5) == (order.strategy, order.reason, order.deadline_seconds)
    assert (0, "order", "queued") == (result.code, result.said[0]["kind"], result.said[0]["status"])


def test_an_accepted_order_is_shown_as_a_table(neo_cancel):
    result = neo_cancel("order", "AB123", NUMBERS[0], "--strategy", "[red]s1")
    assert (0, "") == (result.code, result.err)
    for shown in (f"AB123:{NUMBERS[0]}", "queued", "may still work", "yes", "[red]s1"):
        assert shown in result.out


@pytest.mark.parametrize(("status", "code"), [("cancelled", 0), ("filled", 0), ("refused", 1), ("unknown", 1)])
def test_a_waited_for_order_decides_the_exit_code(neo_cancel, producer, status, code):
    neo_cancel("order", "AB123", NUMBERS[0])
    producer.settle("AB123", NUMBERS[0], status)
    shown = neo_cancel("status", "AB123", NUMBERS[0])
    assert (code, True) == (shown.code, status in shown.out)


def test_an_order_that_is_dead_already_needs_no_wait(neo_cancel, producer):
    neo_cancel("order", "AB123", NUMBERS[0])
    producer.settle("AB123", NUMBERS[0], "filled", filled_quantity=75, verified=True, final_at=0.5, enqueued_at=0.25)
    result = neo_cancel("order", "AB123", NUMBERS[0], "--wait")
    assert 0 == result.code
    for shown in ("filled quantity", "75", "verified", "final latency seconds", "0.250"):
        assert shown in result.out


def test_a_time_out_of_an_order_is_one_and_shows_what_is_known(neo_cancel):
    result = neo_cancel("order", "AB123", NUMBERS[0], "--wait", "--timeout", "0")
    assert (1, True) == (result.code, "queued" in result.out)
    assert f"neo-cancel: order AB123:{NUMBERS[0]} is still queued after 0.0 s\n" == result.err


def test_a_bulk_is_accepted_counted_and_watched(neo_cancel, producer):
    accepted = neo_cancel("bulk", "-", given=GOOD)
    batch = accepted.out.split()[1].rstrip(":")
    assert (0, f"bulk {batch}: 2 orders accepted\n") == (accepted.code, accepted.out)
    pending = neo_cancel("status", batch)
    assert (1, True) == (pending.code, f"bulk {batch}: 2 orders may still work" in pending.out)
    end_all(producer)
    watched = neo_cancel("watch", batch)
    assert (0, "1 of 2 final\n2 of 2 final\n") == (watched.code, watched.err)
    assert "COMPLETE: no order may still work" in watched.out


def test_a_bulk_of_a_file_says_what_became_of_its_orders_at_the_door(neo_cancel, producer, tmp_path):
    (tmp_path / "orders.csv").write_text(GOOD + f"AB123,{NUMBERS[0]}\n")
    neo_cancel("order", "AB123", NUMBERS[1])
    result = neo_cancel("bulk", str(tmp_path / "orders.csv"), "--risk")
    assert result.out.endswith("2 orders accepted, 1 duplicate, 1 attached\n")
    assert ["routine", "risk", "risk"] == [str(order.lane) for order in producer.orders]


def test_a_bulk_for_programs_is_one_object_a_line(neo_cancel, producer):
    neo_cancel("bulk", "-", given=GOOD)
    end_all(producer, "gone")
    result = neo_cancel("bulk", "-", "--wait", "--json", given=GOOD)
    assert (0, "") == (result.code, result.err)
    assert ["accepted", "order", "order", "bulk"] == [said["kind"] for said in result.said]
    assert (2, 0) == (result.said[0]["answered"], result.said[0]["skipped"])
    assert (True, {"gone": 2}) == (result.said[-1]["complete"], result.said[-1]["counts"])


def test_one_bad_row_stops_the_whole_file(neo_cancel, producer):
    result = neo_cancel("bulk", "-", given=BAD)
    assert (2, "", []) == (result.code, result.out, producer.orders)
    assert result.err.startswith("neo-cancel: line 3: order_number='12': must be")
    assert result.err.endswith("neo-cancel: nothing was sent: 1 bad row\n")


def test_nothing_is_sent_before_the_last_row_was_checked(neo_cancel, producer):
    """A file of two pieces, of which the last row is bad."""
    rows = "".join(f"AB123,2510150{number:08}\n" for number in range(PIECE_SIZE + 1))
    result = neo_cancel("bulk", "-", given=f"ucc,order_number\n{rows}AB123,1\n")
    assert (2, [], 2) == (result.code, producer.orders, len(result.err.splitlines()))


class Interrupted(RecordingProducer):
    """Takes one piece; then its user presses Ctrl-C."""

    def enqueue_piece(self, orders: Iterable[CancelOrder], bulk: OpenBulk) -> Sequence[str]:
        if self.orders:
            raise KeyboardInterrupt
        names = super().enqueue_piece(orders, bulk)
        bulk.accepted = len(names)
        return names


def test_a_bulk_that_is_interrupted_names_itself(capsys):
    rows = "".join(f"AB123,2510150{number:08}\n" for number in range(PIECE_SIZE + 1))
    file = BulkFile("orders.csv", io.BytesIO(f"ucc,order_number\n{rows}".encode()))
    assert {None} == set(file.check())
    with pytest.raises(KeyboardInterrupt):
        verbs.cancel_bulk(Interrupted(), file, wait=False, timeout_seconds=None, as_json=False)
    assert f" was cut off after {PIECE_SIZE} of {PIECE_SIZE + 1} orders\n" in capsys.readouterr().err


def test_a_file_that_was_changed_after_its_check_ends_with_one(capsys, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(GOOD)
    file = BulkFile("orders.csv", opened(str(path)))
    assert [None, None] == list(file.check())
    path.write_text(f"ucc,order_number\nAB123,{NUMBERS[0]}\n")
    producer = RecordingProducer()
    assert 1 == verbs.cancel_bulk(producer, file, wait=False, timeout_seconds=None, as_json=False)
    assert [NUMBERS[0]] == [order.order_number for order in producer.orders]
    assert "was changed while it was read: 1 order of it not sent; send it again" in capsys.readouterr().err


@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_rows_left_out_may_still_work(neo_cancel, producer, wait):
    neo_cancel("bulk", "-", given=GOOD)
    end_all(producer)
    result = neo_cancel("bulk", "-", "--skip-bad", "--json", *wait, given=BAD)
    assert (1, 1) == (result.code, result.said[0]["skipped"])
    assert {"line": 3, "field": "order_number"}.items() <= json.loads(result.err).items()


def test_nothing_but_bad_rows_is_bad_input_even_when_they_may_be_left_out(neo_cancel):
    assert 2 == neo_cancel("bulk", "-", "--skip-bad", given="ucc,order_number\nAB123,1\n").code


def test_people_see_the_first_twenty_bad_rows_and_programs_all(neo_cancel):
    rows = "ucc,order_number\n" + "AB123,12\n" * 25
    people, programs = neo_cancel("bulk", "-", given=rows), neo_cancel("bulk", "-", "--json", given=rows)
    assert [22, 26] == [len(result.err.splitlines()) for result in (people, programs)]
    assert "neo-cancel: ... and 5 more bad rows" == people.err.splitlines()[20]


def test_the_first_twenty_orders_that_may_still_work_are_named(neo_cancel):
    rows = "ucc,order_number\n" + "".join(f"AB123,2510150001234{number}\n" for number in range(10, 32))
    batch = neo_cancel("bulk", "-", "--json", given=rows).said[0]["batch"]
    shown = neo_cancel("status", batch).out
    assert 20 == shown.count("AB123:")
    assert "... and 2 more; --json names them all" in shown


def test_programs_are_told_every_order_that_may_still_work(neo_cancel, producer):
    rows = "ucc,order_number\n" + "".join(f"AB123,2510150001234{number}\n" for number in range(10, 32))
    batch = neo_cancel("bulk", "-", "--json", given=rows).said[0]["batch"]
    said = neo_cancel("status", batch, "--json").said
    assert 22 == len({one["order_number"] for one in said if one["kind"] == "order"})
    assert (23, "bulk") == (len(said), said[-1]["kind"])


def test_programs_are_told_each_order_once(neo_cancel, producer):
    """One ended before the wait was over and may still work; of the other nothing is known."""
    batch = neo_cancel("bulk", "-", "--json", given=GOOD).said[0]["batch"]
    producer.settle("AB123", NUMBERS[0], "refused")
    said = neo_cancel("watch", batch, "--timeout", "0", "--json").said
    assert [("order", "refused"), ("order", "queued"), ("bulk", None)] == [
        (one["kind"], one.get("status")) for one in said
    ]


def test_programs_are_told_the_name_of_an_order_whose_record_is_gone(neo_cancel, producer):
    batch = neo_cancel("bulk", "-", "--json", given=GOOD).said[0]["batch"]
    end_all(producer)
    del producer._records[f"AB123:{NUMBERS[1]}"]
    said = neo_cancel("status", batch, "--json").said
    assert [{"kind": "missing", "order": f"AB123:{NUMBERS[1]}"}, 1] == [said[0], said[-1]["missing"]]


def test_a_bulk_is_not_called_complete_where_rows_were_left_out(neo_cancel, producer):
    neo_cancel("bulk", "-", given=GOOD)
    end_all(producer)
    people = neo_cancel("bulk", "-", "--skip-bad", "--wait", given=BAD)
    assert (1, False) == (people.code, "COMPLETE" in people.out)
    assert people.out.endswith("no order that was sent may still work, 1 row left out may\n")
    (*_, said) = neo_cancel("bulk", "-", "--skip-bad", "--wait", "--json", given=BAD).said
    assert (False, 1, 0) == (said["complete"], said["skipped"], said["may_still_work"])


def test_the_key_that_is_shown_can_be_asked_for(neo_cancel, producer):
    neo_cancel("order", "AB123", NUMBERS[0])
    shown = neo_cancel("status", f"AB123:{NUMBERS[0]}")
    assert (1, neo_cancel("status", "AB123", NUMBERS[0]).out) == (shown.code, shown.out)


def test_one_order_is_one_order(neo_cancel):
    accepted = neo_cancel("bulk", "-", given=f"ucc,order_number\nAB123,{NUMBERS[0]}\n")
    assert accepted.out.endswith(": 1 order accepted\n")


def test_no_id_is_cut_in_a_narrow_window(neo_cancel, producer, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    batch = neo_cancel("bulk", "-", given=GOOD).out.split()[1].rstrip(":")
    for number in NUMBERS:
        producer.settle("AB123", number, "already_cancelled" if number == NUMBERS[0] else "refused", text="no " * 30)
    bulk, order = neo_cancel("status", batch).out, neo_cancel("status", "AB123", NUMBERS[1]).out
    assert "no no no" in bulk
    assert [True] * 4 == [batch in bulk, f"AB123:{NUMBERS[1]}" in bulk, batch in order, f"AB123:{NUMBERS[1]}" in order]


def test_urgent_rows_go_first_and_an_order_goes_once(neo_cancel, producer):
    rows = f"ucc,order_number,lane\nAB123,{NUMBERS[0]},\nAB123,{NUMBERS[1]},\nAB123,{NUMBERS[1]},risk\n"
    assert neo_cancel("bulk", "-", given=rows).out.endswith("2 orders accepted, 1 duplicate\n")
    assert [(NUMBERS[1], "risk"), (NUMBERS[0], "routine")] == [
        (order.order_number, str(order.lane)) for order in producer.orders
    ]


def test_the_file_is_named_where_a_row_is_bad(neo_cancel, tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(BAD)
    assert neo_cancel("bulk", str(file)).err.startswith(f"neo-cancel: {file}, line 3: order_number='12'")
    said = json.loads(neo_cancel("bulk", str(file), "--json").err.splitlines()[0])
    assert (str(file), 3) == (said["file"], said["line"])


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help_shows_plain_names(neo_cancel, argument):
    shown = neo_cancel("status", argument).out
    assert (True, False) == ("ORDER_NUMBER" in shown, "[[" in shown)


def test_the_version_is_that_of_the_package(neo_cancel):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"neo-cancel {project['version']}\n" == neo_cancel("--version").out
    assert project["version"] == __version__


def test_a_record_past_its_time_to_live_is_counted_as_missing(neo_cancel, producer):
    batch = neo_cancel("bulk", "-", "--json", given=GOOD).said[0]["batch"]
    producer.settle("AB123", NUMBERS[0], "cancelled")
    del producer._records[f"AB123:{NUMBERS[1]}"]
    result = neo_cancel("status", batch)
    assert (1, True) == (result.code, "missing" in result.out)
    assert f"bulk {batch}: 1 order may still work" in result.out


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["order", "AB123", NUMBERS[0], "--timeout", "1"], TyperException, "--timeout needs --wait"),
        (["order", "AB123", NUMBERS[0], "--deadline", "soon"], TyperException, "'soon' is no number of seconds"),
        (["order", "AB123", NUMBERS[0], "--deadline", "-1"], TyperException, "'-1' is no number of seconds"),
        (["status", "AB123", "12"], InvalidOrderError, "order_number='12'"),
        (["status", "AB123", NUMBERS[0]], UnknownOrderError, f"no order AB123:{NUMBERS[0]}"),
        (["watch", "b"], UnknownOrderError, "no bulk b"),
        (["bulk", "nowhere.csv"], InvalidOrderError, "file='nowhere.csv': cannot be read: No such file"),
        (["bulk", "-"], InvalidOrderError, "is empty"),
    ],
)
def test_bad_input_is_an_error_that_names_it(neo_cancel, arguments, error, text):
    with pytest.raises(error) as caught:
        neo_cancel(*arguments)
    assert text in str(caught.value)
