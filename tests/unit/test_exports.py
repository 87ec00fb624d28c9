"""What a module offers: where there is an `__all__`, it names all that other modules import."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOTS = {"neo_cancel": "producers", "worker": ".", "config": "."}
BEING_DIVIDED = ("neo_cancel.", "worker.ledger.", "worker.orders.")
"""Not looked at: these rooms are divided in a moment."""


def product() -> dict[str, ast.Module]:
    """Parse every module of the product, by its dotted name."""
    found = {}
    for root, folder in ROOTS.items():
        for path in (PROJECT / folder / root).rglob("*.py"):
            parts = path.relative_to(PROJECT / folder).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def offered(tree: ast.Module) -> "set[str] | None":
    """Read `__all__`; None where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and "__all__" == ast.unparse(node.targets[0]):
            return set(ast.literal_eval(node.value))
    return None


def taken(tree: ast.Module) -> set[tuple[str, str]]:
    """List (module, name) of every `from MODULE import NAME`, and of `MODULE.NAME` after `from ... import MODULE`."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    found = {(node.module, name.name) for node in imports for name in node.names}
    modules = {name.asname or name.name: f"{node.module}.{name.name}" for node in imports for name in node.names}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return found | {(modules[use.value.id], use.attr) for use in uses if use.value.id in modules}


def hidden(modules: dict[str, ast.Module]) -> set[str]:
    """Name what one module takes from another that does not offer it."""
    used = {pair for tree in modules.values() for pair in taken(tree)}
    offers = {name: names for name, tree in modules.items() if (names := offered(tree)) is not None}
    return {
        f"{module}.{name}"
        for module, name in used
        if module in offers and f"{module}.{name}" not in modules and name not in offers[module]
    }


def test_what_another_module_takes_is_offered():
    """A name that is not in `__all__` is the module's own."""
    modules = product()
    assert 90 < len(modules)
    assert [] == [name for name in hidden(modules) if not name.startswith(BEING_DIVIDED)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from a.b import offered", set()),
        ("from a.b import other", {"a.b.other"}),
        ("from a import b\nx = b.other", {"a.b.other"}),
        ("from a import b as c\nx = c.other", {"a.b.other"}),
        ("def f():\n  from a.b import other", {"a.b.other"}),
        ("from a.free import other", set()),
    ],
)
def test_every_way_to_take_a_name_is_seen(text, expected):
    """A module without `__all__` offers everything."""
    others = {"a": "", "a.b": "__all__ = ['offered']", "a.free": "x = 1", "c": text}
    assert expected == hidden({name: ast.parse(body) for name, body in others.items()})
