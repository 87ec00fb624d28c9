"""A TOTP code is used once, and never when it is about to run out."""

import asyncio

import pytest
from pydantic import SecretStr

from worker.kotak.totp import TotpCodes

# RFC 6238, appendix B: the secret, and the last six digits of its codes.
RFC, RFC_CODES = (
    SecretStr("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
    {59: "287082", 1111111109: "081804", 20000000000: "353130"},
)
OTHER = SecretStr("JBSWY3DPEHPK3PXP")


class Clock:
    """A clock that moves when somebody sleeps; every sleep is noted."""

    def __init__(self, now):
        self.now, self.sleeps = now, []
        self.codes = TotpCodes(lambda: self.now, self.sleep)

    async def sleep(self, seconds):
        self.sleeps.append(round(seconds, 3))
        wake = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, wake)


@pytest.mark.parametrize("at", [1111111109, 20000000000])
async def test_the_codes_are_the_standard_s(at):
    # 20000000000 is 20 s, 1111111109 is 29 s into its window: the second is asked for a little earlier.
    clock = Clock(at - 10)
    assert RFC_CODES[at] == await clock.codes.next_code(RFC)
    assert [] == clock.sleeps


@pytest.mark.parametrize(("age", "sleeps"), [(0.0, []), (26.9, []), (27.0, [3.0]), (29.5, [0.5])])
async def test_a_code_in_its_last_three_seconds_is_not_used(age, sleeps):
    clock = Clock(3000.0 + age)
    code = await clock.codes.next_code(RFC)
    assert sleeps == clock.sleeps
    assert code == await Clock(clock.now).codes.next_code(RFC)


async def test_a_code_is_used_once_for_each_secret():
    clock = Clock(3010.0)
    codes = [await clock.codes.next_code(RFC), await clock.codes.next_code(OTHER), await clock.codes.next_code(RFC)]
    assert 3 == len(set(codes))
    assert [20.0] == clock.sleeps


async def test_callers_at_the_same_time_get_different_codes():
    clock = Clock(3000.0)
    codes = await asyncio.gather(*(clock.codes.next_code(RFC) for _ in range(4)))
    assert 4 == len(set(codes))
    assert 3090.0 == clock.now


async def test_a_cancelled_wait_uses_no_code():
    clock = Clock(3029.0)
    waiting = asyncio.create_task(clock.codes.next_code(RFC))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    clock.now = 3030.0
    await clock.codes.next_code(RFC)
    assert [1.0] == clock.sleeps


async def test_a_clock_that_was_set_back_waits_for_no_hour():
    clock = Clock(7200.0)
    await clock.codes.next_code(RFC)
    clock.now = 3600.0
    await clock.codes.next_code(RFC)
    assert [] == clock.sleeps


async def test_a_secret_that_is_no_base32_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="Non-base32") as refused:
        await Clock(0.0).codes.next_code(SecretStr("no-base-32!"))
    assert "no-base" not in repr((refused.value, refused.value.__context__))
