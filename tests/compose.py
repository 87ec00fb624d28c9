"""docker-compose.yml as values: commands, health checks and environments the way Compose reads them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


class MissingVariableError(Exception):
    """The file requires a variable that is not set."""


def read_compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


def resolved(text: str, env: Mapping[str, str]) -> str:
    """Put variables in as Compose does: `${A}`, `${A:-default}`, `${A:?message}`, `$$` for a dollar."""

    def value(match: re.Match[str]) -> str:
        if found := env.get(match["name"]):
            return found
        if match["kind"] == "?":
            raise MissingVariableError(match["name"])
        return match["word"] or ""

    return _VARIABLE.sub(value, text).replace("$$", "$")


def environment(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    return {name: resolved(value, env) for name, value in service.get("environment", {}).items()}
