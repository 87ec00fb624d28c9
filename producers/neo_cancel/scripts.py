"""Lua scripts: read from a package once, known to the server by their digest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any

__all__ = ["Script", "ScriptCall", "load_script"]


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest the server knows it by."""

    name: str
    text: str = field(repr=False)
    digest: str


@cache
def load_script(package: str, name: str) -> Script:
    """Read `lua/NAME.lua` of a package; a second call answers the same value."""
    text = resources.files(package).joinpath("lua", f"{name}.lua").read_text()
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script, ready for any client."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Any]

    @property
    def command(self) -> tuple[Any, ...]:
        """The command to send once the server knows the script: EVALSHA, digest, number of keys, keys, arguments."""
        return ("EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.arguments)
