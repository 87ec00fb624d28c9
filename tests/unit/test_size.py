"""What the project set itself: how large a function, a class or a file may grow before it has two subjects."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LIMITS = {"file lines": 250, "function lines": 35, "attributes": 10, "methods": 15, "nesting": 3}

ALLOWED = {
    (
        "worker/consuming/celery_options.py:celery_options",
        "function lines",
    ): "a table: one option a line, each with its reason",
    (
        "producers/neo_cancel/aio/ledger.py:AsyncLedger.run",
        "nesting",
    ): "one round trip: calls within a pipeline within a round, under one translation of errors",
    ("producers/neo_cancel/sync/ledger.py:Ledger.run", "nesting"): "written from neo_cancel/aio/ledger.py",
    ("worker/sandbox/faults.py", "file lines"): "one small class for each fault",
    ("worker/ledger/assembly.py:LedgerRoom", "attributes"): "the room's parts by name",
    (
        "worker/orders/account_evidence.py:AccountEvidence",
        "attributes",
    ): "waiting orders, reads under way, and the next one",
    (
        "worker/orders/account_evidence.py:AccountEvidence",
        "methods",
    ): "each moment of a read is a method of a few lines",
    (
        "worker/orders/account_queue.py:AccountQueue",
        "methods",
    ): "one method for each request of AccountQueues, of a line or two",
    ("worker/orders/case.py:Case", "attributes"): "one attribute for each thing that a rule asks for",
    ("worker/orders/queue.py:AccountQueues", "methods"): "one method for each thing that the router asks of a queue",
    ("worker/orders/waiting.py:WaitingOrders", "methods"): "one method for each question about the waiting orders",
    (
        "worker/orders/router.py:Router",
        "methods",
    ): "a method for each thing that can happen to an order",
    ("worker/orders/job.py:Job", "attributes"): "the record's fields that the work asks for, one by one",
    (
        "worker/kotak/reply_parts.py:ReplyParts",
        "attributes",
    ): "what has come of a reply, and what is left of each bound",
    ("worker/sandbox/control.py:SandboxControl", "methods"): "one method for each request of the control API",
    ("worker/sandbox/control_api.py:ControlApi", "methods"): "one handler for each request of the control API",
    ("worker/sandbox/order.py:Order", "attributes"): "a row of the broker's book, field by field",
}
"""What may be larger, with the reason why it has one subject all the same."""

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sizes(name: str, text: str) -> Iterator[tuple[str, str, int]]:
    """Measure a file: (where, what, how much) of everything in it that has a limit."""
    tree = ast.parse(text)
    yield name, "file lines", len(text.splitlines())
    for qualified, node in definitions(tree, name):
        if isinstance(node, ast.ClassDef):
            yield qualified, "attributes", len(attributes(node))
            yield qualified, "methods", len({part.name for part in node.body if isinstance(part, FUNCTIONS)})
        else:
            yield qualified, "function lines", node.end_lineno - node.lineno + 1
            yield qualified, "nesting", depth(node.body)


def definitions(node, path):
    """Find every class and function below a node, with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, *FUNCTIONS)):
            name = f"{path}:{child.name}" if isinstance(node, ast.Module) else f"{path}.{child.name}"
            yield name, child
            yield from definitions(child, name)
        else:
            yield from definitions(child, path)


def attributes(node: ast.ClassDef) -> set[str]:
    """Name what an object of a class can change: what is assigned on self, its slots, a dataclass's fields.

    The fields of a frozen dataclass are not among them: a value may be as wide as what it describes.
    """
    if any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list):
        return set()
    assigned = {
        part.attr
        for method in node.body
        if isinstance(method, FUNCTIONS)
        for part in ast.walk(method)
        if isinstance(part, ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and isinstance(part.value, ast.Name)
        and part.value.id == "self"
    }
    return assigned | slots(node) | fields(node)


def slots(node: ast.ClassDef) -> set[str]:
    for part in node.body:
        if isinstance(part, ast.Assign) and "__slots__" == ast.unparse(part.targets[0]):
            return {item.value for item in part.value.elts}
    return set()


def fields(node: ast.ClassDef) -> set[str]:
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return set()
    return {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}


def depth(body, level=0) -> int:
    """Count how deep blocks stand in each other; `elif` is as deep as its `if`, a function within begins anew."""
    deepest = level
    for node in body:
        if isinstance(node, BLOCKS):
            deepest = max(deepest, *(depth(part, level + 1) for part in bodies(node)))
    return deepest


def bodies(node):
    if isinstance(node, ast.Match):
        return [case.body for case in node.cases]
    found = [node.body, getattr(node, "finalbody", []), *(handler.body for handler in getattr(node, "handlers", []))]
    rest = getattr(node, "orelse", [])
    while isinstance(node, ast.If) and len(rest) == 1 and isinstance(rest[0], ast.If):
        found.append(rest[0].body)
        rest = rest[0].orelse
    return [*found, rest]


def outgrown() -> set[tuple[str, str]]:
    files = [path for folder in ("producers", "worker", "config") for path in (PROJECT / folder).rglob("*.py")]
    measured = [size for path in files for size in sizes(str(path.relative_to(PROJECT)), path.read_text())]
    assert 500 < len(measured)
    return {(where, what) for where, what, much in measured if much > LIMITS[what]}


def test_nothing_outgrows_its_limit_without_a_reason():
    """What has two subjects is divided, or the table says why it has one."""
    assert set() == outgrown() - ALLOWED.keys()


def test_no_reason_is_kept_for_what_has_shrunk():
    """The table never lists more than there is."""
    assert set() == ALLOWED.keys() - outgrown()


def body(*lines: str) -> str:
    return "def f(self):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n" * 251, ("t.py", "file lines", 251)),
        (body(*["x = 1"] * 40), ("t.py:f", "function lines", 41)),
        ("class A:\n  def f(self):\n    self.a = self.b = 1\n    self.c, self.d.e = 1, 2", ("t.py:A", "attributes", 3)),
        ("class A:\n  __slots__ = ('a', 'b')", ("t.py:A", "attributes", 2)),
        ("@dataclass(slots=True)\nclass A:\n  a: int\n  b: int = 1", ("t.py:A", "attributes", 2)),
        ("@dataclass(frozen=True)\nclass A:\n  a: int\n  b: int = 1", ("t.py:A", "attributes", 0)),
        ("class A:\n  def f(self): ...\n  async def g(self): ...", ("t.py:A", "methods", 2)),
        ("class A:\n  class B:\n    def f(self): ...", ("t.py:A.B.f", "function lines", 1)),
        (body("if a:", "  for b in c:", "    with d:", "      x = 1"), ("t.py:f", "nesting", 3)),
        (body("if a:", "  x = 1", "elif b:", "  x = 2", "elif c:", "  x = 3"), ("t.py:f", "nesting", 1)),
        (body("if a:", "  x = 1", "else:", "  if b:", "    x = 2", "  y = 1"), ("t.py:f", "nesting", 2)),
        (body("try:", "  x = 1", "except E:", "  if b:", "    x = 2"), ("t.py:f", "nesting", 2)),
        (body("match a:", "  case 1:", "    while b:", "      x = 1"), ("t.py:f", "nesting", 2)),
        (body("def g():", "  if b:", "    x = 2"), ("t.py:f", "nesting", 0)),
    ],
)
def test_a_size_is_measured_as_a_reader_would(text, expected):
    """A rule that finds nothing would let everything grow."""
    assert expected in list(sizes("t.py", text))
