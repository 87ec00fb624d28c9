"""The README says what is so: settings, commands, exit codes, and a first example that runs."""

import ast
import importlib.util
import re
import tomllib

import pytest

import neo_cancel
from config.settings import Settings
from neo_cancel.order import CancelOrder
from neo_cancel.record import FINAL
from tests.compose import PROJECT, read_compose

README = (PROJECT / "README.md").read_text()


def settings_table():
    """Write the README's table of settings; paste it there when the settings change."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `NEO_CANCEL_{name.upper()}` | {default} | {field.description or name.replace('_', ' ')} |")
    return "\n".join(lines)


def test_the_table_of_settings_is_the_settings():
    assert settings_table() in README


def test_every_make_target_it_names_exists_and_every_target_is_named():
    targets = set(re.findall(r"^([a-z]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set() == set(re.findall(r"`make ([a-z]+)", README)) - targets
    assert {"demo", "up", "test"} <= set(re.findall(r"make ([a-z]+)", README))


def test_every_final_status_is_explained():
    assert not [status for status in FINAL if f"| `{status}` |" not in README]


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_an_example_uses_names_that_exist(code):
    tree = ast.parse(code)
    imported = [name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names]
    assert not [name for name in imported if not hasattr(neo_cancel, name)]
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CancelOrder"
    ]
    keywords = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    assert keywords <= set(CancelOrder.__dataclass_fields__)


def test_what_it_runs_in_a_container_is_there():
    """The service, and the module that is run in it."""
    calls = re.findall(r"docker compose exec -T (\S+) python -m (\S+)", README)
    assert calls
    assert not [service for service, _ in calls if service not in read_compose()["services"]]
    assert not [module for _, module in calls if importlib.util.find_spec(module) is None]


def test_the_wheel_has_the_name_that_it_installs():
    about = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wheel = f"{about['name'].replace('-', '_')}-{about['version']}-py3-none-any.whl"
    assert {wheel} == set(re.findall(r"dist/(\S+?\.whl)", README))
    assert about["optional-dependencies"].keys() == set(re.findall(r"\.whl\[(\w+)\]", README))


def test_the_licence_is_the_one_that_the_package_names():
    about = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    text = (PROJECT / "LICENSE").read_text()
    assert text.startswith(f"{about['license']} License\n")
    assert f"The licence is {about['license']} (LICENSE)." in README
