"""Files and folders for their owner alone."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["close_to_others", "private_files", "write_private"]

_OTHERS: Final = 0o077
_OWNER: Final = 0o700
_OWN_FILE: Final = 0o600


@contextmanager
def private_files() -> Generator[None]:
    """Give everything that this process and its children create during the block to their owner alone."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def close_to_others(folder: Path) -> None:
    """Make a folder if there is none, and close it to other users with all that is in it. Raises OSError."""
    folder.mkdir(mode=_OWNER, parents=True, exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & _OWNER)


def write_private(path: Path, text: str) -> None:
    """Write a file that is private from its first byte, and that no reader ever sees half written."""
    path.parent.mkdir(mode=_OWNER, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN_FILE), "w") as file:
        file.write(text)
    draft.replace(path)
