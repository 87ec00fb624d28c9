"""The command as a person or a program runs it: a real process against a real server."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

NUMBER = "251015000123456"
GOOD = "ucc,order_number\nAB123,251015000123451\nAB123,251015000123452\n"
BAD = "ucc,order_number\nAB123,251015000123451\nAB123,2.51015E+14\nab,251015000123452\n"


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complained(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines()]


def start(*arguments: str, url: str | None, cwd: Path | None = None, **options: Any) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name != "NEO_CANCEL_REDIS_URL"}
    if url is not None:
        environment["NEO_CANCEL_REDIS_URL"] = url
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "neo_cancel.cli", *arguments]
    return subprocess.Popen(command, env=environment, cwd=cwd, **(pipes | options))


def run(*arguments: str, url: str | None = None, given: bytes = b"", cwd: Path | None = None) -> Result:
    with start(*arguments, url=url, cwd=cwd) as process:
        out, err = process.communicate(given, timeout=60)
    assert b"Traceback" not in err
    return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
def neo_cancel(redis_url) -> Callable[..., Result]:
    return lambda *arguments, **options: run(*arguments, url=redis_url, **options)


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as made:
        yield made


def test_an_order_is_accepted_with_every_option(neo_cancel, client):
    options = ["--variety", "cover", "--amo", "--symbol", "TCS-EQ", "--risk"]
    options += ["--strategy", "s1", "--reason", "why", "--deadline", "7.5", "--json"]
    result = neo_cancel("order", "AB123", NUMBER, *options)
    assert (0, "") == (result.code, result.err)
    (said,) = result.said
    wanted = {"variety": "cover", "amo": True, "trading_symbol": "TCS-EQ", "lane": "risk", "strategy": "s1"}
    wanted |= {"reason": "why", "deadline_seconds": 7.5, "status": "queued", "kind": "order"}
    assert wanted == {name: said[name] for name in wanted}
    assert 1 == client.llen("risk")


def test_waiting_for_an_order_without_a_worker_times_out_with_one(neo_cancel):
    result = neo_cancel("order", "AB123", NUMBER, "--wait", "--timeout", "0.3")
    assert 1 == result.code
    assert "is still queued after 0.3 s" in result.err
    assert "queued" in result.out


@pytest.mark.parametrize("ended", [("cancelled", 0), ("filled", 0), ("refused", 1), ("unknown", 1)])
def test_the_exit_code_says_whether_the_order_may_still_work(neo_cancel, client, settle, redis_url, ended):
    status, code = ended
    with start("order", "AB123", NUMBER, "--wait", "--json", url=redis_url) as process:
        wait_until(lambda: client.llen("routine"), "the order is accepted")
        settle(redis_url)(f"AB123:{NUMBER}", status, text="[red]no[/nothing]")
        out, _ = process.communicate(timeout=30)
    assert (code, status) == (process.returncode, json.loads(out)["status"])
    shown = neo_cancel("status", "AB123", NUMBER)
    assert (code, "") == (shown.code, shown.err)
    assert status in shown.out
    assert "[red]no[/nothing]" in shown.out


def wait_until(predicate: Callable[[], Any], description: str) -> None:
    for _ in range(60):
        if predicate():
            return
        time.sleep(0.1)
    pytest.fail(f"not within time: {description}")


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_bulk_is_accepted_counted_and_watched(neo_cancel, settle, redis_url, tmp_path, source):
    (tmp_path / "orders.csv").write_text(GOOD)
    accepted = neo_cancel("bulk", "-" if source == "stdin" else str(tmp_path / "orders.csv"), given=GOOD.encode())
    assert 0 == accepted.code
    batch = accepted.out.split()[1].rstrip(":")
    pending = neo_cancel("status", batch)
    assert 1 == pending.code
    assert "2 orders may still work" in pending.out
    assert 1 == neo_cancel("watch", batch, "--timeout", "0.2").code
    for number in (1, 2):
        settle(redis_url)(f"AB123:25101500012345{number}")
    watched = neo_cancel("watch", batch)
    assert (0, "1 of 2 final\n2 of 2 final\n") == (watched.code, watched.err)
    assert "COMPLETE" in watched.out


def test_a_bulk_for_programs(neo_cancel, settle, redis_url):
    for number in (1, 2):
        neo_cancel("order", "AB123", f"25101500012345{number}")
        settle(redis_url)(f"AB123:25101500012345{number}", "gone")
    result = neo_cancel("bulk", "-", "--risk", "--wait", "--json", given=GOOD.encode())
    assert (0, "") == (result.code, result.err)
    assert ["accepted", "order", "order", "bulk"] == [said["kind"] for said in result.said]
    assert (2, 0) == (result.said[0]["answered"], result.said[0]["attached"])
    assert (True, {"gone": 2}) == (result.said[-1]["complete"], result.said[-1]["counts"])


def test_the_lane_can_be_overridden(neo_cancel, client):
    assert 0 == neo_cancel("bulk", "-", "--risk", given=GOOD.encode()).code
    assert (1, 0) == (client.llen("risk"), client.llen("routine"))


def test_one_bad_row_stops_the_whole_file(neo_cancel, client):
    result = neo_cancel("bulk", "-", given=BAD.encode())
    assert (2, "") == (result.code, result.out)
    lines = result.err.splitlines()
    assert lines[0].startswith("neo-cancel: line 3: order_number='2.51015E+14': was rounded by a spreadsheet")
    assert lines[1].startswith("neo-cancel: line 4: ucc='ab': must be")
    assert "neo-cancel: nothing was sent: 2 bad rows" == lines[2]
    assert 0 == client.dbsize()


def test_bad_rows_may_be_left_out_and_the_exit_code_says_so(neo_cancel, client):
    result = neo_cancel("bulk", "-", "--skip-bad", "--json", given=BAD.encode())
    assert 1 == result.code
    assert (1, 2) == (result.said[0]["asked"], result.said[0]["skipped"])
    assert [(3, "order_number"), (4, "ucc")] == [(said["line"], said["field"]) for said in result.complained]
    assert 1 == client.llen("routine")


def test_rows_left_out_may_still_work_even_when_the_others_are_dead(neo_cancel, settle, redis_url):
    neo_cancel("order", "AB123", "251015000123451")
    settle(redis_url)("AB123:251015000123451")
    assert 1 == neo_cancel("bulk", "-", "--skip-bad", "--wait", given=BAD.encode()).code


def test_nothing_but_bad_rows_is_bad_input_even_when_they_may_be_left_out(neo_cancel):
    assert 2 == neo_cancel("bulk", "-", "--skip-bad", given=b"ucc,order_number\nAB123,1\n").code


def test_a_bulk_of_a_hundred_thousand(neo_cancel, client):
    rows = "".join(f"ACC{n % 100:02},2510150{n:08}\n" for n in range(100_000))
    result = neo_cancel("bulk", "-", "--json", given=f"ucc,order_number\n{rows}".encode())
    assert (0, 100_000) == (result.code, result.said[0]["asked"])
    assert 900 == client.llen("routine")
    client.flushall()


def test_a_file_of_three_hundred_thousand_needs_little_memory_and_shows_how_far_it_is(redis_url, client, tmp_path):
    """70 MB, of which a piece is held at a time."""
    reason = "x" * 200
    with (tmp_path / "orders.csv").open("w") as file:
        file.write("ucc,order_number,reason\n")
        file.writelines(f"ACC{n % 100:02},2510150{n:08},{reason}\n" for n in range(300_000))
    with start("bulk", str(tmp_path / "orders.csv"), url=redis_url) as process:
        err = process.stderr.read().decode()
        out = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert (0, True) == (process.returncode, out.endswith(": 300000 orders accepted\n"))
    assert usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < 300_000_000
    assert "of 300000 orders sent" in err
    assert (900, 300_000) == (client.llen("routine"), client.llen(f"nc:batch:{out.split()[1].rstrip(':')}"))
    client.flushall()


MIXED = "ucc,order_number,lane\nAB123,251015000123451,routine\nAB123,251015000123452,risk\n"


def test_a_bulk_that_is_cut_off_names_itself_and_may_be_sent_again(neo_cancel, client):
    """Redis takes the risk order and refuses the other one."""
    client.set("routine", "no list")
    people = neo_cancel("bulk", "-", given=MIXED.encode())
    assert (3, "", 1) == (people.code, people.out, people.err.count("\n"))
    assert "was cut off: 1 of 2 orders are accepted for certain, more may be; repeat the whole bulk" in people.err
    client.flushall()
    client.set("routine", "no list")
    (said,) = neo_cancel("bulk", "-", "--json", given=MIXED.encode()).complained
    assert ("LedgerRefusedError", 1) == (said["error"], said["accepted"])
    assert f"bulk {said['batch']} was cut off" in said["message"]
    assert "AB123:251015000123452" in neo_cancel("status", said["batch"]).out
    client.delete("routine")
    assert 0 == neo_cancel("bulk", "-", given=MIXED.encode()).code
    assert 1 == client.llen("risk")


BAD_CALLS: list[tuple[list[str], str]] = [
    ([], "Missing command"),
    (["nonsense"], "nonsense"),
    (["order"], "Missing argument"),
    (["order", "AB123"], "ORDER_NUMBER"),
    (["order", "ab", NUMBER], "ucc='ab'"),
    (["order", "AB123", "12"], "order_number='12'"),
    (["order", "AB123", "x\ny\x1b[31m"], "order_number="),
    (["order", "AB123", NUMBER, "--variety", "bo"], "variety='bo'"),
    (["order", "AB123", NUMBER, "--amo"], "trading_symbol=None"),
    (["order", "AB123", NUMBER, "--deadline", "soon"], "soon"),
    (["order", "AB123", NUMBER, "--deadline", "nan"], "'nan' is no number of seconds"),
    (["order", "AB123", NUMBER, "--timeout", "1"], "--timeout needs --wait"),
    (["order", "AB123", NUMBER, "--wait", "--timeout", "-1"], "-1"),
    (["order", "AB123", NUMBER, "--colour"], "--colour"),
    (["order", "AB123", NUMBER, "--redis-url", "http://u:s3same@h"], "redis_url="),
    (["order", "redis://:s3same@h", NUMBER], "ucc='redis://...@h'"),
    (["status", "AB123", NUMBER, "redis://:s3same@h"], "redis://...@h"),
    (["bulk", "nowhere.csv"], "No such file"),
    (["bulk", "."], "Is a directory"),
    (["bulk", "-"], "is empty"),
    (["status", "AB123", "12"], "order_number='12'"),
    (["status", "AB123", NUMBER], f"knows no order AB123:{NUMBER}"),
    (["status", "nobody"], "knows no bulk nobody"),
    (["watch", "nobody"], "knows no bulk nobody"),
    (["watch", ""], "knows no bulk"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD_CALLS)
def test_bad_input_is_one_clear_line_and_touches_nothing(neo_cancel, client, arguments, text):
    result = neo_cancel(*arguments)
    assert (2, "", 1) == (result.code, result.out, len(result.err.splitlines()))
    assert text in result.err
    assert "s3same" not in result.err
    assert "\x1b" not in result.err
    assert 0 == client.dbsize()


@pytest.mark.parametrize(
    ("arguments", "error", "field"),
    [
        (["order", "AB123", NUMBER, "--colour"], "UsageError", None),
        (["order", "ab", NUMBER], "InvalidOrderError", "ucc"),
        (["status", "nobody"], "UnknownOrderError", None),
    ],
)
def test_programs_get_errors_they_can_read(neo_cancel, arguments, error, field):
    result = neo_cancel(*arguments, "--json")
    (said,) = result.complained
    assert (2, error, field) == (result.code, said["error"], said.get("field"))


@pytest.mark.parametrize("command", [["order", "AB123", NUMBER], ["status", "b"], ["watch", "b"], ["bulk", "-"]])
def test_a_server_that_is_not_there_is_three(unused_port, command):
    url = f"redis://user:s3same@127.0.0.1:{unused_port}/0"
    result = run(*command, url=url, given=GOOD.encode())
    assert (3, 1) == (result.code, len(result.err.splitlines()))
    assert f"127.0.0.1:{unused_port}" in result.err
    assert "s3same" not in result.err


def test_a_server_that_refuses_is_three(redis_url):
    result = run("order", "AB123", NUMBER, "--json", url=redis_url.replace("//", "//u:s3same@"))
    assert (3, "LedgerRefusedError") == (result.code, result.complained[0]["error"])
    assert "s3same" not in result.err


def test_the_address_is_found_where_the_embedded_server_writes_it(redis_url, tmp_path, client):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "redis-url").write_text(f"{redis_url}\n")
    assert 0 == run("order", "AB123", NUMBER, cwd=tmp_path).code
    assert 1 == client.llen("routine")


def test_a_watch_says_that_the_server_is_away_and_goes_on(own_server, settle):
    url = f"redis://127.0.0.1:{own_server.port}/0"
    batch = run("bulk", "-", "--json", url=url, given=GOOD.encode()).said[0]["batch"]
    with start("watch", batch, url=url) as process:
        settle(url)("AB123:251015000123451")
        assert b"1 of 2 final\n" == process.stderr.readline()
        own_server.stop()
        away = process.stderr.readline()
        own_server.start()
        back = process.stderr.readline()
        settle(url)("AB123:251015000123452")
        out, err = process.communicate(timeout=30)
    assert away.startswith(f"neo-cancel: Redis at {url} ".encode())
    assert away.endswith(b"; the wait goes on\n")
    assert f"neo-cancel: Redis at {url} answers again\n" == back.decode()
    assert (0, b"2 of 2 final\n", True) == (process.returncode, err, b"COMPLETE" in out)


def test_a_wait_without_a_worker_says_so_once(neo_cancel):
    """No order moves for ten seconds."""
    result = neo_cancel("order", "AB123", NUMBER, "--wait", "--timeout", "10.8", "--json")
    notice, late = result.complained
    said = "no order has become final for 10 s, 1 left; no worker is alive; the wait goes on"
    assert (1, "Notice", said, "WaitTimeoutError") == (result.code, notice["error"], notice["message"], late["error"])


def test_an_address_given_wins_over_the_environment(redis_url, unused_port):
    nowhere = f"redis://127.0.0.1:{unused_port}"
    assert 0 == run("order", "AB123", NUMBER, "--redis-url", redis_url, url=nowhere).code


def test_ctrl_c_ends_with_one_line_and_130(redis_url, client):
    with start("order", "AB123", NUMBER, "--wait", url=redis_url) as process:
        wait_until(lambda: client.llen("routine"), "the order is accepted")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (130, b"", b"neo-cancel: interrupted; what was accepted goes on\n") == (process.returncode, out, err)


def test_a_reader_that_went_away_is_met_with_silence(redis_url):
    reading, writing = os.pipe()
    os.close(reading)
    with start("order", "AB123", NUMBER, url=redis_url, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (1, b"") == (process.returncode, err)


def test_a_terminal_gets_a_bar(neo_cancel, settle, redis_url):
    batch = neo_cancel("bulk", "-", "--json", given=GOOD.encode()).said[0]["batch"]
    for number in (1, 2):
        settle(redis_url)(f"AB123:25101500012345{number}")
    ours, theirs = pty.openpty()
    with start("watch", batch, url=redis_url, stderr=theirs) as process:
        os.close(theirs)
        process.communicate(timeout=30)
    bar = os.read(ours, 100_000).decode()
    os.close(ours)
    assert 0 == process.returncode
    assert "2/2" in bar


@pytest.mark.parametrize("command", ["order", "bulk", "status", "watch"])
def test_help_teaches_by_example(command):
    result = run(command, "--help")
    assert (0, "") == (result.code, result.err)
    assert f"neo-cancel {command}" in result.out.replace("\n  ", " ")
    assert "Example" in result.out


def test_a_shell_completes_the_verbs():
    asked = {"_NEO_CANCEL_COMPLETE": "complete_bash", "COMP_WORDS": "neo-cancel st", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "neo_cancel.cli"], env={**os.environ, **asked}, capture_output=True, check=False
    )
    assert b"status" == done.stdout.strip()


def test_help_tells_the_exit_codes():
    assert "Exit codes: 0 no order may still work" in run("--help").out


@pytest.fixture
def without_the_extra(tmp_path) -> Callable[..., "subprocess.CompletedProcess[bytes]"]:
    """Run code where typer and rich cannot be imported, as in an environment that has the library alone."""
    for name in ("typer", "rich"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name='{name}')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return lambda *arguments: subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False, timeout=30
    )


def test_without_the_extra_the_command_says_what_to_install(without_the_extra):
    result = without_the_extra("-c", "from neo_cancel.cli import main; main()", "--help")
    assert (2, b"neo-cancel: the command needs: pip install 'neo-cancel[cli]'\n") == (result.returncode, result.stderr)


def test_a_strategy_needs_no_extra(without_the_extra):
    result = without_the_extra("-c", "import neo_cancel, neo_cancel.testing")
    assert (0, b"") == (result.returncode, result.stderr)
