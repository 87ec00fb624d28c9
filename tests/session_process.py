"""A process that logs in and is killed on the way: `python -m tests.session_process REDIS_URL LOGINS_FILE STEP`."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from tests.session_stand import HERE, Account, Book, Broker, LoginAt, Process
from worker.kotak.replies import NoSessionError
from worker.sessions.policy import LoginPolicy

ACCOUNT = Account("AB123")


class Death:
    """Kills this process with the signal that nothing can catch, before its so-manieth step; 0 is never."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalLogin(LoginAt):
    def __init__(self, broker: Broker, death: Death, logins: Path) -> None:
        super().__init__(broker, HERE)
        self.death, self.logins = death, logins

    async def next_code(self, secret):
        self.death.step()
        return await super().next_code(secret)

    async def log_in(self, credentials, code):
        self.death.step()
        with self.logins.open("a") as file:
            file.write(f"{credentials.ucc}\n")
        self.death.step()
        new = await super().log_in(credentials, code)
        self.death.step()
        return new


def make_mortal(process: Process, death: Death) -> None:
    call = process.ledger.call

    async def mortal_call(*arguments):
        death.step()
        answer = await call(*arguments)
        death.step()
        return answer

    process.ledger.call = mortal_call


async def main(url: str, logins: str, at: str) -> None:
    broker, death = Broker(seconds=0.0), Death(int(at))
    policy = LoginPolicy(cool_down_seconds=3600.0, lease_seconds=0.2)
    login = MortalLogin(broker, death, Path(logins))
    process = Process(url, broker, Book(ACCOUNT), policy=policy, login=login)
    make_mortal(process, death)
    with contextlib.suppress(NoSessionError):
        await process.sessions.current("AB123")
    await asyncio.gather(*(search.task for search in process.sessions._accounts.searches.values()))
    print(len(process.sessions._at_hand))
    await process.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
