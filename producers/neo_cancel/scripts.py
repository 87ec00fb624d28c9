"""Lua scripts: read from a package once, known to the server by their digest."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any, Final

from neo_cancel.namespace import Key
from neo_cancel.record import DEAD, HARMLESS, WATCHABLE, WORKING, Status

__all__ = ["HANDS_SECONDS", "Script", "ScriptCall", "load_script"]

HANDS_SECONDS: Final = 86_400
"""How long it is kept what a worker took last and what became urgent in its hands: longer than any lease may be."""

_DEFINED: Final = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
_STATUS_SETS: Final[Mapping[str, frozenset[Status]]] = {
    "DEAD": DEAD,
    "HARMLESS": HARMLESS,
    "WORKING": WORKING,
    "WATCHABLE": WATCHABLE,
}


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script as it is sent, with its prelude, and the digest the server knows it by."""

    name: str
    text: str = field(repr=False)
    digest: str


@cache
def load_script(package: str, name: str) -> Script:
    """Read `lua/NAME.lua` of a package and put the prelude in front; a second call answers the same value."""
    text = _with_prelude(_read(package, name))
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _with_prelude(text: str) -> str:
    """Put what the script uses of the prelude in front of it: at every call the server makes anew all that is there."""
    for block in reversed(_constants() + _read("neo_cancel", "prelude").split("\n\n")):
        defined = _DEFINED.search(block)
        if defined and re.search(rf"\b{defined[1]}\b", text):
            text = f"{block}\n{text}"
    return text


def _constants() -> list[str]:
    """Write in Lua what Python knows, too: the sets of record.py, since no script lists statuses by hand, and a lifetime."""
    return [
        f"local HANDS_SECONDS = {HANDS_SECONDS}",
        *(
            f"local {name} = {{{', '.join(f'{status} = true' for status in sorted(statuses))}}}"
            for name, statuses in _STATUS_SETS.items()
        ),
    ]


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath("lua", f"{name}.lua").read_text()


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script, ready for any client."""

    script: Script
    keys: Sequence[Key]
    arguments: Sequence[Any]

    @property
    def command(self) -> tuple[Any, ...]:
        """The command to send once the server knows the script: EVALSHA, digest, number of keys, keys, arguments.

        Its keys are those of the default namespace: see Namespace.applied.
        """
        return ("EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.arguments)
