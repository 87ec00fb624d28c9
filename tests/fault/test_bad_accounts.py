"""One broken account among a hundred harms no other: a few of the ways that `python -m tests.fault.bad_accounts` takes."""

import pytest

from tests.fault.bad_accounts import running_stage

WAYS = 5


@pytest.fixture
def bad_account_stage(tmp_path):
    with running_stage(tmp_path) as made:
        yield made


def test_ninety_nine_accounts_are_unharmed_by_a_broken_one(bad_account_stage):
    """A null, a refused session, a line break in a token, a broker that hangs, a lone surrogate."""
    outcomes = list(bad_account_stage.try_all(WAYS))
    assert [[]] * WAYS == [outcome.harmed for outcome in outcomes]
    assert [[]] * WAYS == [outcome.wrong for outcome in outcomes]
