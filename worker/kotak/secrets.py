"""The secret values of a session, taken out of every text of the broker. Pure."""

import html
import string
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

__all__ = ["NO_SECRETS", "Secrets"]

_COVER: Final = "***"
_FOLD: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LEAST: Final = 6
"""A shorter value is no secret, and would be found in ordinary words."""
_TELLING: Final = 12
"""So many characters tell that a value begins, so that one which the broker cut off is covered, too."""


class Secrets:
    """Values that no text may show, however the broker writes them: as they are, in capitals, encoded for a URL or for HTML.

    A value counts from its first twelve characters on, as far as the text agrees with it.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= _LEAST}
        starts = sorted({form[:_TELLING] for form in forms})
        self._forms = [(start, [form for form in forms if form.startswith(start)]) for start in starts]
        self._least = min(map(len, starts), default=1 << 30)

    def covered(self, text: str) -> str:
        """Answer the text with `***` in place of each value."""
        if len(text) < self._least:
            return text
        folded = text.lower()
        if len(folded) != len(text):  # a letter that is longer in lower case: positions would not agree
            folded = text.translate(_FOLD)
        for start, forms in self._forms:
            while (at := folded.find(start)) >= 0:
                end = at + max(_agreeing(folded, at, form) for form in forms)
                text, folded = text[:at] + _COVER + text[end:], folded[:at] + _COVER + folded[end:]
        return text


def _forms(value: str) -> set[str]:
    words = " ".join(value.split())
    written = {value, words}
    written |= {encode(word) for word in (value, words) for encode in (quote, quote_plus, html.escape, _quote_all)}
    return {form.lower() for form in written}


def _quote_all(value: str) -> str:
    return quote(value, safe="")


def _agreeing(text: str, at: int, form: str) -> int:
    """Count the characters from `at` on in which a text agrees with a form."""
    return next((n for n, letter in enumerate(form) if text[at + n : at + n + 1] != letter), len(form))


NO_SECRETS: Final = Secrets(())
