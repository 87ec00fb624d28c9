"""The accounts file is watched: what changes in it holds from then on, and what is wrong with it harms nothing that works."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.test_accounts import NEW, OLD, Desk
from worker.kotak.replies import NoSessionError
from worker.kotak.session import Session

BLANK = Session("https://broker", "", "")


@pytest.fixture
def desk(tmp_path):
    """A desk whose file has been read at the start."""
    made = Desk(tmp_path / "accounts.json")
    made.write(AB123=(OLD, {}))
    made.file.read_if_there()
    return made


async def what_holds(desk, ucc="AB123"):
    """Everything that an account may set."""
    policy = desk.policies.of(ucc)
    try:
        session = await desk.sessions.current(ucc)
    except NoSessionError:
        session = None
    return desk.rates.of(ucc), policy.verify, policy.watch_refused, session


@pytest.mark.parametrize(
    ("ucc", "session", "own", "holds"),
    [
        ("AB123", OLD, {"orders_per_second": 2}, (2, True, False, OLD)),
        ("AB123", OLD, {"orders_per_second": 0}, (0, True, False, OLD)),
        ("AB123", OLD, {"verify": False}, (8.0, False, False, OLD)),
        ("AB123", OLD, {"watch_refused": True}, (8.0, True, True, OLD)),
        ("AB123", NEW, {}, (8.0, True, False, NEW)),
        ("AB123", BLANK, {"orders_per_second": 2}, (2, True, False, None)),
        ("AB123", Session("", "", ""), {}, (8.0, True, False, None)),
        ("CD456", NEW, {"orders_per_second": 2}, (2, True, False, NEW)),
    ],
)
async def test_what_changes_holds_from_the_next_look_on(desk, ucc, session, own, holds):
    before = await what_holds(desk, ucc)
    desk.write(**{ucc: (session, own)})
    assert before == await what_holds(desk, ucc)
    await desk.file.watch()
    assert holds == await what_holds(desk, ucc)
    assert [] == desk.events


async def test_an_account_that_is_removed_has_no_session_and_the_rate_of_the_process(desk):
    desk.write(AB123=(OLD, {"orders_per_second": 2}))
    await desk.file.watch()
    desk.write(CD456=(NEW, {}))
    await desk.file.watch()
    assert (8.0, True, False, None) == await what_holds(desk)


async def test_a_file_that_takes_the_place_of_another_with_the_same_size_and_time_is_seen(desk):
    await desk.file.watch()
    about, draft = desk.path.stat(), desk.path.with_suffix(".new")
    draft.write_text(desk.path.read_text().replace("sid-1", "sid-2").replace("auth-1", "auth-2"))
    os.utime(draft, ns=(about.st_mtime_ns, about.st_mtime_ns))
    draft.rename(desk.path)
    assert (about.st_size, about.st_mtime_ns) == (desk.path.stat().st_size, desk.path.stat().st_mtime_ns)
    await desk.file.watch()
    assert NEW == await desk.sessions.current("AB123")


async def test_a_file_that_is_written_in_place_with_the_same_size_and_time_is_seen(desk):
    """Its time of change tells it: no program can set that."""
    about = desk.path.stat()
    await asyncio.sleep(0.02)  # the clock of a file system ticks every few milliseconds
    desk.path.write_text(desk.path.read_text().replace("sid-1", "sid-2").replace("auth-1", "auth-2"))
    os.utime(desk.path, ns=(about.st_mtime_ns, about.st_mtime_ns))
    desk.file.read_if_changed()
    assert NEW == await desk.sessions.current("AB123")


async def test_a_changed_file_is_read_twice_and_one_that_stays_as_it_is_not_again(desk):
    """What was written within the same tick of the file system's clock as what was read is found by the second reading."""
    readings = desk.count_readings()
    desk.write(AB123=(NEW, {}))
    for _ in range(5):
        await desk.file.watch()
    assert 2 == len(readings)


async def test_an_unknown_account_is_looked_for_once_in_each_state_of_the_file(desk):
    assert desk.file.of("CD456") is None
    desk.write(AB123=(NEW, {}))
    await desk.file.watch()
    desk.write(CD456=(NEW, {}))
    assert NEW == await desk.sessions.current("CD456")


async def test_an_older_reading_does_not_replace_a_newer_one(desk):
    """The watch reads in a thread; an order whose session was refused does not wait for it."""
    readers = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(readers)
    desk.write(AB123=(OLD, {"orders_per_second": 5}))
    watching = asyncio.create_task(desk.file.watch())
    await asyncio.sleep(0)
    readers.submit(lambda: None).result()  # behind the reading: that has ended
    desk.write(AB123=(NEW, {}))
    assert NEW == await desk.sessions.renew("AB123", OLD)
    await watching
    assert (8.0, True, False, NEW) == await what_holds(desk)


def half_write(path):
    path.write_text(path.read_text()[:20])


def spoil_one_account(path):
    path.write_text(json.dumps({"AB123": {"base_url": "https://broker", "sid": "sid-2", "auth": "auth-2\n"}}))


def move_aside(path):
    path.rename(path.with_suffix(".old"))


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


def nest_too_deep(path):
    path.write_text("[" * 100_000)


def write_no_object(path):
    path.write_text("null")


def blank_the_address(path):
    path.write_text(json.dumps({"AB123": {"base_url": "", "sid": "sid-2", "auth": "auth-2"}}))


@pytest.mark.parametrize(
    "spoil",
    [
        half_write,
        spoil_one_account,
        move_aside,
        replace_by_a_folder,
        nest_too_deep,
        write_no_object,
        blank_the_address,
    ],
)
async def test_what_cannot_be_used_harms_nothing_and_is_told_once(desk, spoil):
    """Not every second; and once the file is right again, it holds."""
    desk.write(AB123=(OLD, {"orders_per_second": 2}))
    await desk.file.watch()
    spoil(desk.path)
    for _ in range(4):
        await desk.file.watch()
        assert (8.0, None) == (desk.rates.of("CD456"), desk.file.of("EF789"))
    assert (2, True, False, OLD) == await what_holds(desk)
    assert 1 == len(desk.events)
    if desk.path.is_dir():
        desk.path.rmdir()
    desk.write(AB123=(NEW, {"orders_per_second": 3}))
    await desk.file.watch()
    assert (3, True, False, NEW) == await what_holds(desk)
    assert 1 == len(desk.events)


async def test_the_same_mistake_in_a_new_state_of_the_file_is_told_again(desk):
    for _ in range(2):
        desk.write(AB123=(Session("https://broker", "sid-2", "auth-2\n"), {}))
        await desk.file.watch()
        await desk.file.watch()
    assert 2 == len(desk.events)


async def test_a_missing_file_is_told_again_only_after_it_was_there(desk):
    for _ in range(2):
        desk.path.unlink()
        await desk.file.watch()
        await desk.file.watch()
        desk.write(AB123=(NEW, {}))
        await desk.file.watch()
    assert 2 == len(desk.events)


@pytest.mark.parametrize("session", [Session("https://broker", "sid-2", ""), Session("https://broker", "", "auth-2")])
async def test_one_blank_token_ends_the_session_and_is_told(desk, session):
    """It may be a mistake, and no call can be made with the other one."""
    desk.write(AB123=(session, {}), CD456=(NEW, {}))
    await desk.file.watch()
    await desk.file.watch()
    assert (None, NEW) == ((await what_holds(desk))[-1], await desk.sessions.current("CD456"))
    [told] = desk.events
    assert "must not be blank beside a token" in told.error


async def test_a_file_that_is_written_after_the_start_is_no_complaint_before_an_account_is_looked_for(tmp_path):
    """`make up` starts the workers before the sandbox has given sessions."""
    desk = Desk(tmp_path / "accounts.json")
    desk.file.read_if_there()
    await desk.file.watch()
    assert [] == desk.events
    assert (8.0, 8.0) == (desk.rates.of("AB123"), desk.rates.of("CD456"))
    await desk.file.watch()
    assert 1 == len(desk.events)
    desk.write(AB123=(OLD, {"orders_per_second": 2}))
    await desk.file.watch()
    assert (2, True, False, OLD) == await what_holds(desk)


@pytest.mark.parametrize("rate", ["NaN", "Infinity", "-1", '"fast"', "1e999"])
async def test_a_rate_that_is_no_number_leaves_the_account_as_it_was(desk, rate):
    desk.write(AB123=(OLD, {"orders_per_second": 2}))
    await desk.file.watch()
    desk.write_text(desk.path.read_text().replace(": 2", f": {rate}"))
    await desk.file.watch()
    assert (2, 1) == (desk.rates.of("AB123"), len(desk.events))
