"""The log: one JSON object a line on standard error, of our own events and of the libraries alike, without secrets."""

import json
import logging

import pytest
import structlog

from config.log import configure_logging


@pytest.fixture(autouse=True)
def _logging():
    """Put back what is one for the whole process."""
    names = (None, "celery", "celery.worker.strategy", "celery.app.trace")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    for logger, level in before:
        logger.setLevel(level)


def lines(capfdbinary):
    return [json.loads(line) for line in capfdbinary.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json(capfdbinary):
    configure_logging("INFO").info("final", order="AB123:1", verified=True)
    [line] = lines(capfdbinary)
    assert {"event": "final", "level": "info", "order": "AB123:1", "verified": True}.items() <= line.items()
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("name", ["auth", "access_token", "sid", "mpin", "totp_secret", "password", "mobile_number"])
def test_a_value_whose_name_says_that_it_is_secret_is_covered(capfdbinary, name):
    configure_logging("INFO").error("oops", **{name: "1234"})
    assert "***" == lines(capfdbinary)[0][name]


def test_what_json_cannot_say_is_shown(capfdbinary):
    configure_logging("INFO").info("odd", value={1})
    assert "{1}" == lines(capfdbinary)[0]["value"]


def test_events_below_the_level_are_not_written(capfdbinary):
    log = configure_logging("ERROR")
    log.info("final")
    log.error("lost")
    assert ["lost"] == [line["event"] for line in lines(capfdbinary)]


def test_a_library_s_record_has_the_same_form(capfdbinary):
    configure_logging("INFO")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("some.library").exception("it %s", "broke")
    [line] = lines(capfdbinary)
    assert {"event": "it broke", "level": "error", "logger": "some.library"}.items() <= line.items()
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize(
    ("name", "written"),
    [("some.library", False), ("celery.worker", True), ("celery.worker.strategy", False), ("celery.app.trace", False)],
)
def test_celery_may_inform_but_not_of_every_message(capfdbinary, name, written):
    """Other libraries warn only; a line for each message received says nothing that the orders' own lines do not."""
    configure_logging("INFO")
    logging.getLogger(name).info("received")
    assert written == bool(lines(capfdbinary))


def test_a_level_above_warnings_holds_for_libraries_too(capfdbinary):
    configure_logging("ERROR")
    logging.getLogger("some.library").warning("careful")
    assert [] == lines(capfdbinary)


def test_set_up_twice_it_writes_each_line_once(capfdbinary):
    configure_logging("INFO")
    configure_logging("INFO").info("final")
    logging.getLogger("some.library").warning("careful")
    assert ["final", "careful"] == [line["event"] for line in lines(capfdbinary)]
