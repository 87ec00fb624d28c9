"""Where the command begins and ends: its address, its exit codes, one line for whatever went wrong."""

import io
import json
import os
import sys

import pytest

from neo_cancel import (
    CancelOrder,
    InvalidOrderError,
    LedgerRefusedError,
    LedgerUnavailableError,
    UnknownOrderError,
    WaitTimeoutError,
)
from neo_cancel.cli import main
from neo_cancel.cli.display import show_progress
from neo_cancel.cli.exits import ExitCode, complain, exit_code_of
from neo_cancel.cli.options import DEFAULT_REDIS_URL, address
from neo_cancel.cli.progress import Step, followed
from neo_cancel.testing import RecordingProducer

NUMBER = "251015000123456"


@pytest.fixture
def ended(monkeypatch, capsys):
    """Run the command with arguments; answer its exit code and what it wrote."""

    def run(*arguments: str, environment: str = "") -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["neo-cancel", *arguments])
        monkeypatch.setenv("NEO_CANCEL_REDIS_URL", environment)
        with pytest.raises(SystemExit) as caught:
            main()
        written = capsys.readouterr()
        return caught.value.code, written.out, written.err

    return run


def test_help_is_no_error_and_tells_the_exit_codes(ended):
    code, out, err = ended("--help")
    assert (0, "") == (code, err)
    assert "Exit codes: 0 no order may still work" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "neo-cancel: Missing command. (see --help)\n"),
        (["order", "ab", NUMBER], "neo-cancel: ucc='ab': must be a string of 3 to 16 characters A-Z or 0-9\n"),
        (["watch", "b", "--redis-url", "http://u:s3same@h"], "neo-cancel: redis_url='http://h': must start with one"),
    ],
)
def test_bad_input_is_one_line_and_two(ended, arguments, text):
    code, out, err = ended(*arguments)
    assert (ExitCode.USAGE, "", 1) == (code, out, err.count("\n"))
    assert err.startswith(text)


def test_programs_read_what_was_wrong(ended):
    code, _, err = ended("order", "ab", NUMBER, "--json")
    assert ExitCode.USAGE == code
    assert {"error": "InvalidOrderError", "field": "ucc", "value": "ab"}.items() <= json.loads(err).items()


def test_a_server_that_is_not_there_is_three(ended, tmp_path):
    code, _, err = ended("status", "b", environment=f"unix://{tmp_path}/no.sock")
    assert (ExitCode.INFRASTRUCTURE, 1) == (code, err.count("\n"))
    assert err.endswith("No such file or directory; the address is from the variable NEO_CANCEL_REDIS_URL\n")


class Breaking(io.StringIO):
    """Standard input that raises as soon as it is read."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    @property
    def buffer(self) -> io.BytesIO:
        raise self._error


def test_an_unforeseen_error_is_one_line_and_three(ended, monkeypatch):
    """The user sees no traceback."""
    monkeypatch.setattr(sys, "stdin", Breaking(AttributeError("buffer")))
    code, out, err = ended("bulk", "-")
    assert (ExitCode.INFRASTRUCTURE, "", 1) == (code, out, err.count("\n"))
    assert err.startswith("neo-cancel: unexpected AttributeError: ")


def test_a_process_without_standard_input_is_told_so(ended, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    told = "neo-cancel: file='-': cannot be read: standard input is closed\n"
    assert (ExitCode.USAGE, "", told) == ended("bulk", "-")


def test_ctrl_c_is_one_line_and_130(ended, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Breaking(KeyboardInterrupt()))
    assert (130, "", "neo-cancel: interrupted; what was accepted goes on\n") == ended("bulk", "-")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WaitTimeoutError("late"), 1),
        (InvalidOrderError("ucc", "x", "must be longer"), 2),
        (UnknownOrderError("no bulk"), 2),
        (LedgerUnavailableError("away"), 3),
        (LedgerRefusedError("full"), 3),
        (RuntimeError("unforeseen"), 3),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    assert code == exit_code_of(error)


def test_a_complaint_is_one_line_without_a_password(capsys):
    complain("line one\n  redis://u:s3same@host", kind="X", as_json=False, line=7)
    assert "neo-cancel: line 7: line one redis://...@host\n" == capsys.readouterr().err


def test_a_complaint_for_programs_holds_field_value_and_rule_without_a_password(capsys):
    error = InvalidOrderError("ucc", "redis://:s3same@h", "is odd")
    complain(str(error), kind="InvalidOrderError", as_json=True, error=error, line=7)
    said = json.loads(capsys.readouterr().err)
    assert (7, "ucc", "redis://...@h", "is odd") == (said["line"], said["field"], said["value"], said["rule"])


def test_the_address_is_as_given_or_of_the_environment_or_of_the_file_or_the_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEO_CANCEL_REDIS_URL", raising=False)
    assert DEFAULT_REDIS_URL == address(None).url
    assert "the default: no --redis-url" in address(None).source
    file = tmp_path / "var" / "redis-url"
    file.parent.mkdir()
    file.write_text("redis://file\n")
    assert ("redis://file", f"the file {file}") == address(None)
    monkeypatch.setenv("NEO_CANCEL_REDIS_URL", "redis://environment")
    assert ("redis://environment", "the variable NEO_CANCEL_REDIS_URL") == address(None)
    assert ("redis://given", "--redis-url") == address("redis://given")


def test_the_address_file_of_a_folder_holds_in_the_folders_below(monkeypatch, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "redis-url").write_text("redis://file\n")
    (tmp_path / "desk" / "today").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "desk" / "today")
    monkeypatch.delenv("NEO_CANCEL_REDIS_URL", raising=False)
    assert ("redis://file", f"the file {tmp_path / 'var' / 'redis-url'}") == address(None)


def test_the_address_file_of_another_user_in_a_folder_above_is_not_followed(monkeypatch, tmp_path):
    """Anybody may write into a folder such as /tmp."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "redis-url").write_text("redis://file\n")
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.delenv("NEO_CANCEL_REDIS_URL", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: -2)
    assert DEFAULT_REDIS_URL == address(None).url


class Cut(io.StringIO):
    """Standard output whose reader went away."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def flush(self) -> None:
        raise BrokenPipeError

    def fileno(self) -> int:
        return self._descriptor


def test_a_reader_that_went_away_is_met_with_silence_and_one(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(sys, "argv", ["neo-cancel", "order", "ab", NUMBER])
    with (tmp_path / "out").open("w") as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Cut(out.fileno()))
        with pytest.raises(SystemExit) as caught:
            main()
    assert ExitCode.SOME_MAY_WORK == caught.value.code


def test_a_step_that_takes_long_says_how_far_it_is_once_a_second(capsys):
    now = iter([0.0, 0.5, 1.5, 1.5, 2.0, 3.0, 3.0])
    step = Step(word="orders sent", measured=lambda: (7, 9), clock=lambda: next(now))
    assert list("abcd") == list(followed("abcd", step, as_json=False))
    assert "7 of 9 orders sent\n" * 2 == capsys.readouterr().err


class Terminal(io.StringIO):
    """Standard error of a person."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    producer, terminal = RecordingProducer(), Terminal()
    handle = producer.enqueue_many([CancelOrder(ucc="AB123", order_number=NUMBER)])
    producer.settle("AB123", NUMBER, "cancelled")
    monkeypatch.setattr(sys, "stderr", terminal)
    show_progress(handle, timeout_seconds=None, as_json=False)
    assert "1/1" in terminal.getvalue()
