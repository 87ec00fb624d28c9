"""Every test says what it is about: by a sentence, or by a name that is one."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LEAST_WORDS = 4


def unnamed(text: str) -> list[str]:
    """Name the tests of a file that have neither a docstring nor a name of enough words."""
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
        and len(node.name.split("_")[1:]) < LEAST_WORDS
    ]


def test_every_test_has_a_sentence_or_a_name_that_is_one():
    """A name of three words says what is touched, not what must hold."""
    files = sorted(TESTS.rglob("test_*.py"))
    assert 40 < len(files)
    assert {} == {file.name: names for file in files if (names := unnamed(file.read_text()))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_the_exact_body(): ...", ["test_the_exact_body"]),
        ("async def test_the_exact_body(): ...", ["test_the_exact_body"]),
        ("class A:\n  def test_x(self): ...", ["test_x"]),
        ("def test_the_body_is_exact(): ...", []),
        ("def test_x():\n  '''The bytes, once in full.'''", []),
        ("def helper(): ...", []),
    ],
)
def test_a_short_name_needs_a_sentence(text, expected):
    """The rule itself can find something."""
    assert expected == unnamed(text)
