"""Each module's `__all__` names what other modules import from it, and nothing that it does not hold."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = (PROJECT / "producers" / "neo_cancel", PROJECT / "worker", PROJECT / "config")


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and "__all__" in [getattr(target, "id", "") for target in node.targets]:
            return list(ast.literal_eval(node.value))
    return []


def defined(statements: list[ast.stmt]) -> Iterator[str]:
    """Name what a module holds once it is imported; either branch of an `if` or a `try` may have made it."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (name.asname or name.name for name in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            blocks = [node.body, node.orelse, *(handler.body for handler in getattr(node, "handlers", []))]
            yield from (name for block in blocks for name in defined(block))


def imports() -> Iterator[tuple[str, str]]:
    """Name every module from which another one takes a name, and that name; a submodule is taken name by name."""
    for tree in modules().values():
        submodules: dict[str, str] = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module not in modules():
                continue
            for name in node.names:
                if (submodule := f"{node.module}.{name.name}") in modules():
                    submodules[name.asname or name.name] = submodule
                else:
                    yield node.module, name.name
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in submodules:
                yield submodules[node.value.id], node.attr


def test_what_other_modules_import_is_exported():
    missing = [
        f"{module}: {name}" for module, name in sorted(set(imports())) if name not in exported(modules()[module])
    ]
    assert [] == missing


@pytest.mark.parametrize("module", sorted(modules()))
def test_what_is_exported_exists_and_is_named_once(module):
    tree = modules()[module]
    names = exported(tree)
    assert [] == [name for name in names if name not in set(defined(tree.body))]
    assert len(names) == len(set(names))


def test_no_import_is_relative():
    """A relative import would escape the tests above."""
    assert [] == [
        module
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
