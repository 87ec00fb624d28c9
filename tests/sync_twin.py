"""`python tests/sync_twin.py [--check]`: write the synchronous producer from the one for asyncio, or see whether it is so."""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "producers" / "neo_cancel"
TWINS = {"aio.py": "client.py", "aio_handles.py": "handles.py"}
NOTICE = "# Written by tests/sync_twin.py from {}: change that file, then run `make format`.\n"

WORDS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"__a(enter|exit|iter)__", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\basyncio\b", "time"),
    (r"\bconnect_async\b", "connect"),
    (r"\baio_handles\b", "handles"),
)
PASSAGES = (
    (r"The producer for asyncio: (.+), awaited\.", r"The producer: \1."),
    (r", within one event loop\.", ". Safe to share between threads."),
    (r" Cancelling a waiting task ends the wait, not the order's cancel\.", ""),
    (r"Handles for asyncio:", "Handles:"),
)


def synchronous(text: str) -> str:
    for pattern, replacement in (*PASSAGES, *WORDS):
        text = re.sub(pattern, replacement, text)
    return text


def tidy(text: str, name: str) -> str:
    """Leave out imports that are not needed any more, say plainly what needs no loop now, sort and format."""
    for command in (["check", "--quiet", "--fix", "--unsafe-fixes", "--select", "I,F401,C416,UP028"], ["format"]):
        ruff = [Path(sys.executable).with_name("ruff"), *command, "--stdin-filename", PACKAGE / name, "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> str | int:
    made = {
        twin: tidy(NOTICE.format(source) + synchronous((PACKAGE / source).read_text()), twin)
        for source, twin in TWINS.items()
    }
    stale = [twin for twin, text in made.items() if text != (PACKAGE / twin).read_text()]
    if "--check" in sys.argv:
        return f"{', '.join(stale)}: not what the twin for asyncio says; run make format" if stale else 0
    for twin in stale:
        (PACKAGE / twin).write_text(made[twin])
    return 0


if __name__ == "__main__":
    sys.exit(main())
