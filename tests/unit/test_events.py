"""Events are values, and the log says each of them in one line."""

from dataclasses import FrozenInstanceError

import pytest

from worker.observe import events, login_events
from worker.observe.log import LINES, log_subscriber

ENDED = events.Ended("AB123:251015000123456", "cancelled", 1, batch="b1", verified=True)


class Written:
    def __init__(self):
        self.lines = []

    def debug(self, event, **facts):
        self.lines.append(("debug", event, facts))

    def info(self, event, **facts):
        self.lines.append(("info", event, facts))

    def warning(self, event, **facts):
        self.lines.append(("warning", event, facts))

    def error(self, event, **facts):
        self.lines.append(("error", event, facts))


def written(event, level=20):
    log = Written()
    events.publisher(log_subscriber(log, level=level))(event)
    return log.lines


def test_every_kind_of_event_has_its_line():
    kinds = {
        kind
        for kind in (vars(events) | vars(login_events)).values()
        if isinstance(kind, type) and issubclass(kind, events.Event)
    }
    assert kinds - {events.Event} == set(LINES)


def test_every_subscriber_hears_of_every_event_in_order():
    first, second = [], []
    publish = events.publisher(first.append, second.append)
    publish(ENDED)
    publish(events.LeaseLost("w1", 3))
    assert [ENDED, events.LeaseLost("w1", 3)] == first == second


def test_without_a_subscriber_nothing_happens():
    assert events.publisher()(ENDED) is None


def test_an_event_cannot_be_changed_by_a_subscriber():
    with pytest.raises(FrozenInstanceError):
        ENDED.status = "filled"


def test_a_line_holds_the_facts_that_are_known():
    facts = {"order": "AB123:251015000123456", "status": "cancelled", "attempts": 1, "batch": "b1", "verified": True}
    assert [("info", "final", facts)] == written(ENDED)


def test_an_order_that_ended_unknown_is_an_error_with_something_to_do():
    [(level, _, facts)] = written(events.Ended("AB123:1", "unknown", 2))
    assert ("error", "check it with the broker") == (level, facts["to_do"])


def test_what_may_do_harm_later_is_a_warning():
    assert [("warning", "redis check", {"text": "set it"})] == written(events.LedgerUnsafe("set it"))


def test_an_event_that_says_itself_what_to_do_keeps_its_words():
    [(level, _, facts)] = written(events.AccountBlocked("AB123", "100008", "no", to_do="whitelist this machine"))
    assert ("error", "whitelist this machine") == (level, facts["to_do"])


@pytest.mark.parametrize(("level", "lines"), [(10, 1), (20, 0)])
def test_an_acknowledged_attempt_is_written_at_debug_only(level, lines):
    assert lines == len(written(events.Attempted("AB123:1", 1, "acknowledged"), level))
