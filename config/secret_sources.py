"""Where a secret of the accounts file stands: in that file, in the environment, or in a file of its own."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

__all__ = ["PrivateText", "SecretProblemError", "SecretSources", "UnusableFileError", "read_text"]

_MOST_SECRET_BYTES: Final = 8 * 1024
_FORMS: Final = 'must be a text in quotes, or {env = "NAME"}, or {file = "PATH"}'


class SecretProblemError(Exception):
    """A secret cannot be had. The message is the rule, without the value and without what was given in its place."""


class UnusableFileError(Exception):
    """A file cannot be read. The message is the reason, without the name of the file and what is in it."""


@dataclass(frozen=True, slots=True)
class PrivateText:
    """A file's text, and whether others than its owner and group may read or change it."""

    text: str
    is_exposed: bool


def read_text(path: Path, most_bytes: int) -> PrivateText:
    """Read a regular file of UTF-8 of so many bytes at most. Raises UnusableFileError."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode  # of what is read, whatever the name stands for by now
            content = file.read(most_bytes + 1) if stat.S_ISREG(mode) else None
        text = None if content is None or len(content) > most_bytes else content.decode()
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "is no UTF-8"
    else:
        if text is not None:
            return PrivateText(text, bool(mode & stat.S_IRWXO))
        reason = "is no regular file" if content is None else f"is longer than {most_bytes} bytes"
    raise UnusableFileError(reason)  # out here: the error of a decoder would come along, with the content


def _at_once(name: str, flags: int) -> int:
    """Open a file; a pipe or a device is not waited for."""
    return os.open(name, flags | os.O_NONBLOCK)


@dataclass(frozen=True, slots=True)
class SecretSources:
    """What the secrets of one accounts file are taken from. A relative `file` is one in the folder of the accounts file."""

    path: Path
    is_exposed: bool
    environ: Mapping[str, str]

    def file_of(self, given: Any) -> Path | None:
        """Answer the file of its own that a secret stands in; None where it stands elsewhere."""
        kind, name = _source(given)
        return self.path.parent / name if kind == "file" else None

    def value_of(self, given: Any) -> str:
        """Answer the secret, without blanks around it. Raises SecretProblemError."""
        if not isinstance(given, str):
            return self._value_elsewhere(given)
        if self.is_exposed:
            raise SecretProblemError(f"must not stand in a file that others may open: chmod 600 {self.path}")
        return given

    def _value_elsewhere(self, given: Any) -> str:
        kind, name = _source(given)
        if kind == "env":
            value = self.environ.get(name, "").strip()
        elif kind == "file":
            value = self._value_in(self.path.parent / name)
        else:
            raise SecretProblemError(_FORMS)
        if not value:
            raise SecretProblemError(f"what `{kind}` names is not there, or is blank")
        return value

    def _value_in(self, path: Path) -> str:
        try:
            read = read_text(path, _MOST_SECRET_BYTES)
        except UnusableFileError as error:
            raise SecretProblemError(f"the file that it names: {error}") from None
        if read.is_exposed:
            raise SecretProblemError("the file that it names must not be open to others: chmod 600 or 640")
        return read.text.strip()


def _source(given: Any) -> tuple[str | None, str]:
    """Take apart `{env = NAME}` and `{file = PATH}`; no kind where it is neither."""
    if isinstance(given, dict) and len(cast("dict[str, Any]", given)) == 1:
        [(kind, name)] = cast("dict[str, Any]", given).items()
        if kind in ("env", "file") and isinstance(name, str) and name and "\0" not in name:
            return kind, name
    return None, ""
