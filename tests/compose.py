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
    """Answer what a container gets; a variable without a value is handed through where it is set."""
    said = service.get("environment", {}).items()
    return {
        name: env.get(name, "") if value is None else resolved(value, env)
        for name, value in said
        if value is not None or name in env
    }


def arguments(service: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Answer what a container runs: entry point and command."""
    return [resolved(part, env) for part in (*service.get("entrypoint", ()), *service["command"])]
