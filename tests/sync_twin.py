"""`python tests/sync_twin.py [--check]`: write neo_cancel/sync from neo_cancel/aio, or say whether it has been done."""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "producers" / "neo_cancel"
NOTICE = "# Written by tests/sync_twin.py from neo_cancel/aio/{}: change that file, then run `make format`.\n"

PASSAGES = (
    (" tests/sync_twin.py writes the folder `sync` from this one.", ""),
    (" for asyncio", ""),
    (", awaited.", "."),
    (", within one event loop.", ". Safe to share between threads."),
    (" Cancelling a waiting task ends the wait, not the order's cancel.", ""),
)
WORDS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"__a(enter|exit|iter)__", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\basyncio\b", "time"),
    (r"\bconnect_async\b", "connect"),
    (r"\bneo_cancel\.aio\b", "neo_cancel.sync"),
)


def synchronous(text: str) -> str:
    for passage, replacement in PASSAGES:
        text = text.replace(passage, replacement)
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return text


def tidy(text: str, path: Path) -> str:
    """Leave out imports that are not needed any more, say plainly what needs no loop now, sort and format."""
    for command in (["check", "--quiet", "--fix", "--unsafe-fixes", "--select", "I,F401,C416,UP028"], ["format"]):
        ruff = [Path(sys.executable).with_name("ruff"), *command, "--stdin-filename", path, "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> str | int:
    sources = {path.name: path.read_text() for path in sorted((PACKAGE / "aio").glob("*.py"))}
    if unused := [passage for passage, _ in PASSAGES if passage not in "".join(sources.values())]:
        return f"neo_cancel/aio does not say any more: {unused}"
    stale: list[str] = []
    for name, source in sources.items():
        twin = PACKAGE / "sync" / name
        text = tidy(NOTICE.format(name) + synchronous(source), twin)
        if not twin.exists() or twin.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                twin.write_text(text)
    return f"stale in neo_cancel/sync: {', '.join(stale)}; run make format" if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
