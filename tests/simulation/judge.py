"""Watches every step of every process, compares it with the truth, and keeps what it finds."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.accounts import PATHS, Request
from tests.simulation.book import Page
from tests.simulation.broker import Broker
from tests.simulation.history import History
from tests.simulation.ledger import Ledger
from tests.simulation.loop import World
from tests.simulation.meters import Read, Reads, RollingSecond
from tests.simulation.plan import Plan
from tests.simulation.records import Claim, Ending
from tests.simulation.rules import HANDLING_SECONDS, check_end
from tests.simulation.truth import Life, Order, Version
from tests.simulation.wire import Answer, Meaning
from tests.simulation.witness import Violation, Witness, counts

__all__ = ["MOST_SENDS", "RATE", "Findings", "Judge"]

RATE: Final = 8.0
MOST_SENDS: Final = 12
MOST_WATCH_SENDS: Final = 1
MOST_SENDS_A_LOSS: Final = MOST_SENDS
"""A process that dies takes along how often an order was answered."""
_BLOCKED_SECONDS: Final = 10.0
_SETTLING_SECONDS: Final = 40.0


@dataclass(slots=True)
class Findings:
    """What a judge found: broken promises, counts, and seconds by what they measure."""

    violations: list[Violation] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    delays: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def measure(self, witness: Witness, ending: Ending, now: float) -> None:
        """Count an end and what went before it."""
        order, delays = witness.order, self.delays
        self.figures[f"end {ending.status}{' verified' if ending.verified else ''}"] += 1
        if ending.status == "cancelled" and order.works:
            self.figures["cancelled by the broker's word while it works"] += 1
        if witness.ok_at is not None and witness.page_after_ok_at is not None:
            delays["from Ok to first page"].append(witness.page_after_ok_at - witness.ok_at)
        if ending.verified and witness.ok_at is not None:
            delays["from Ok to verified"].append(now - witness.ok_at)
            if order.settled_at is not None:
                delays["from provable to verified"].append(max(0.0, now - max(witness.ok_at, order.settled_at)))
        if not witness.claim.is_watched and witness.first_sent_at is not None:
            lane = "risk" if order.plan.is_risk else "routine"
            delays[f"from acceptance to first send, {lane}"].append(witness.first_sent_at - order.accepted_at)


class Judge:
    """Observer of the network and of all processes. `is_entitled` says whether a process has its lease.

    Beside the rules for ends (rules.py) it checks: no cancel after a page had shown the order dead (`needless_send`), no exit
    sent again unread (`unsafe_exit`), none without claim or lease (`unentitled`), the rates of sends and reads in any rolling
    second over all processes (`rate`, `read_rate`), sends per order (`too_many_sends`), each order ends, once
    (`not_ended`, `ended_twice`), and nothing is left `unknown` or `blocked` when the troubles are over (`left`).
    It sees all sides of a run and keeps a memory of each, hence its many attributes.
    """

    def __init__(
        self,
        world: World,
        plan: Plan,
        broker: Broker,
        history: History,
        *,
        rates: dict[str, float],
        reads_per_second: float,
        is_entitled: Callable[[str], bool],
    ) -> None:
        self._world, self._broker, self._history = world, broker, history
        self._rates, self._reads_per_second, self._is_entitled = rates, reads_per_second, is_entitled
        self._held: dict[str, dict[str, Witness]] = defaultdict(dict)
        self._reads = Reads(plan, broker.accounts, world.now)
        self._send_rate, self._read_rate = RollingSecond(), RollingSecond()
        self._shown_dead: dict[tuple[str, str], tuple[Version, float, Read, Page]] = {}
        self._blocked: dict[tuple[str, str], float] = {}
        self._answered: Counter[str] = Counter()
        self.findings = Findings()

    def _break(self, kind: str, number: str, process: str, text: str) -> None:
        self.findings.violations.append(Violation(kind, number, process, self._world.now, text))
        self._history.add(self._world.now, "JUDGE", number, kind, text)

    # ------------------------------------------------------------------ claims and ends

    def claimed(self, process: str, claim: Claim) -> None:
        number = claim.order.number
        now, ucc = self._world.now, claim.order.ucc
        witness = self._held[process][number] = Witness(claim, process, now)
        # What a page showed before the claim counts, too: a cancel would be needless, and the end is known.
        if (shown := self._shown_dead.get((process, number))) is not None:
            witness.see(*shown)
        was_blocked = now - self._blocked.get((process, ucc), -math.inf) < _BLOCKED_SECONDS
        witness.is_blocked = was_blocked or self._broker.accounts[ucc].token(now) is None
        self._history.add(
            self._world.now, process, number, "watches" if claim.is_watched else "claims", f"fence {claim.fence}"
        )

    def let_go(self, process: str, claim: Claim) -> None:
        witness = self._held[process].get(claim.order.number)
        if witness is not None and witness.claim is claim:
            del self._held[process][claim.order.number]

    def ended(self, process: str, ending: Ending) -> None:
        number = ending.claim.order.number
        witness = self._held[process].pop(number, None)
        if witness is None or witness.claim is not ending.claim:
            self._break("ended_twice", number, process, f"{ending.status}, but the order is not in its hands")
            return
        for kind, text in check_end(witness, ending, self._world.now, self._looked):
            self._break(kind, number, process, f"{text} (last reply: {witness.last or 'none'})")
        self.findings.measure(witness, ending, self._world.now)

    def wrong(self, process: str, number: str, what: str) -> None:
        self._break("internal_error", number, process, what)

    def _looked(self, witness: Witness, since: float, until: float) -> bool:
        # While a call is under way its reply is waited for.
        since += witness.seconds_in_flight(since, until)
        return since >= until or self._reads.looked(
            witness.process, witness.order.ucc, witness.order.number, since, until
        )

    # ------------------------------------------------------------------ calls

    def sent(self, process: str, ucc: str, call: int, request: Request) -> None:
        now, number, path = self._world.now, request.number, request.path
        self.findings.figures["sends"] += 1
        self._history.add(now, process, number, "sends", f"call {call}", path, "AMO" if request.amo else "")
        if self._rates[ucc] and (count := self._send_rate.counted(ucc, now)) > self._rates[ucc]:
            self._break("rate", number, process, f"{count} within a second, {self._rates[ucc]:g} are allowed")
        witness = self._held[process].get(number)
        if witness is None:
            self._break("unentitled", number, process, "sent without a claim")
            return
        if not self._is_entitled(process):
            self._break("unentitled", number, process, "sent after the lease had run out")
        if witness.dead_shown_at is not None and witness.dead_shown_at < now - HANDLING_SECONDS:
            self._break(
                "needless_send", number, process, f"a page showed it dead {now - witness.dead_shown_at:.3f} s before"
            )
        if witness.claim.is_watched and witness.claim.is_day_over:
            self._break("unentitled", number, process, "a watched order, sent after the trading day")
        if path != PATHS["regular"] and witness.doubt_at is not None and witness.dead_shown is None:
            self._break("unsafe_exit", number, process, "an exit sent again, and not read since it may have acted")
        witness.send(call, request, now)

    def replied(self, process: str, ucc: str, call: int, number: str, answer: Answer) -> None:
        meaning = answer.meaning
        self.findings.figures[f"reply {meaning}"] += 1
        self._history.add(self._world.now, process, number, "hears", f"call {call}", answer)
        if meaning is Meaning.BLOCKED:
            self._block(process, ucc)
        witness = self._held[process].get(number)
        if witness is not None:
            self._count_answer(witness, meaning)
            witness.hear(answer, self._world.now, is_misled=_is_misled(witness.order, witness.requests.get(call)))

    def _block(self, process: str, ucc: str) -> None:
        self._blocked[process, ucc] = self._world.now
        for witness in self._held[process].values():
            witness.is_blocked |= witness.order.ucc == ucc

    def _count_answer(self, witness: Witness, meaning: Meaning) -> None:
        """Count what was answered, in a watch and before it apart; calls without effect (too fast, session) do not count."""
        if not counts(meaning):
            return
        is_watched, number = witness.claim.is_watched, witness.order.number
        place = f"{number} {witness.claim.fence}" if is_watched else number
        self._answered[place] += 1
        most = MOST_WATCH_SENDS if is_watched else MOST_SENDS + MOST_SENDS_A_LOSS * (witness.claim.fence - 1)
        if self._answered[place] == most + 1:
            what = "one watch" if is_watched else "one order"
            self._break("too_many_sends", number, witness.process, f"more than {most} cancels of {what} were answered")

    def read(self, process: str, ucc: str, number: str | None) -> Read:
        now, allowed = self._world.now, self._reads_per_second
        self.findings.figures["reads"] += 1
        if (count := self._read_rate.counted(ucc, now)) > allowed:
            self._break("read_rate", ucc, process, f"{count} within a second, {allowed:g} are allowed")
        return self._reads.begin(process, ucc, number, now)

    def page(self, process: str, ucc: str, page: Page, read: Read) -> None:
        now, held = self._world.now, self._held[process]
        read.ended_at = now
        self._history.add(now, process, read.number or ucc, "is shown", page)
        if not page.is_readable:
            return
        for at, (order, version) in enumerate(page.shown):
            if version is None or page.is_ambiguous(at):
                continue
            if (witness := held.get(order.number)) is not None:
                witness.see(version, now, read, page)
            if version.life.is_dead:
                self._shown_dead.setdefault((process, order.number), (version, now, read, page))
        if page.is_whole:
            self._note_missing(held, ucc, page, read.begun_at)

    def _note_missing(self, held: dict[str, Witness], ucc: str, page: Page, begun_at: float) -> None:
        shown = {order.plan.index for order, _ in page.shown}
        for witness in held.values():
            order = witness.order
            if order.ucc == ucc and order.plan.index not in shown and begun_at >= order.accepted_at:
                witness.misses.append(begun_at)

    # ------------------------------------------------------------------ the end

    def close(self, ledger: Ledger) -> None:
        """Check what must hold when everything is over."""
        has_time = ledger.day_ends_at - self._broker.calm_at > _SETTLING_SECONDS
        for number, record in ledger.records.items():
            if not record.is_final:
                self._break("not_ended", number, record.owner or "ledger", f"still {record.status}")
            elif has_time and record.status in ("unknown", "blocked") and self._could_be_settled(record.order):
                self._break("left", number, "ledger", f"{record.status} for ever, though the troubles ended long ago")
            self.findings.figures[f"final {record.status}"] += 1

    def _could_be_settled(self, order: Order) -> bool:
        account = self._broker.accounts[order.ucc]
        if order.works and order.now.life in (Life.IN_FLIGHT, Life.LEAVING):
            return False  # on its way for ever, an order can be neither cancelled nor refused
        return not account.blind and account.without != "whole"


def _is_misled(order: Order, request: Request | None) -> bool:
    """Tell whether a cancel went to an endpoint, or in a form, that this order's row would have spoken against."""
    if request is None or not order.versions:
        return False
    return request.path != PATHS[order.plan.variety] or request.amo != order.plan.amo
