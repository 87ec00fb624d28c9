"""What the sandbox's command line takes."""

import pytest

from worker.sandbox.command_line import parser


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        (["--habit", "late=.3"], "habit", [("late", 0.3)]),
        (["--habit", "late=1", "--habit", "hidden=0.5"], "habit", [("late", 1.0), ("hidden", 0.5)]),
        (["--login", "tokens=opaque"], "login", [("tokens", "opaque")]),
        (["--login", 'ip_whitelist=["127.0.0.1"]'], "login", [("ip_whitelist", ["127.0.0.1"])]),
        (["--login", "session_limit=null"], "login", [("session_limit", None)]),
        (["--clock", "ahead_seconds=-90"], "clock", [("ahead_seconds", -90.0)]),
        ([], "login", []),
    ],
)
def test_a_value_is_json_a_number_or_text(arguments, name, expected):
    assert expected == getattr(parser().parse_args(arguments), name)
