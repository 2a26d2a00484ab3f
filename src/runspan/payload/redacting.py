"""What redactors get to see beside the texts themselves: under which key a text stands."""

import contextvars
import re
from collections.abc import Callable
from typing import Final

from runspan._guard import attempt
from runspan.payload.text import clean
from runspan.settings import Redactor

Redact = Callable[[str], str]

WITHHELD: Final = "[withheld]"
"""What stands for a text whose redactor failed."""
_SECRET_KEY: Final = re.compile(
    "passw|passphrase|secret|key|token|credential|cookie|auth|connection.?string", re.IGNORECASE
)
# A longer one is left out, if its beginning is a secret by its key.
_LONGEST: Final = 2_000
_QUOTES: Final = str.maketrans({'"': "'", "\\": "/"})

_is_redacting: contextvars.ContextVar[bool] = contextvars.ContextVar("runspan_is_redacting", default=False)


def redacted_by(redactor: Redactor, text: str, attribute: str) -> str:
    """Return what a redactor leaves of a text; ``WITHHELD`` if it fails, or works on another text already.

    A redactor may call models itself, whose texts would lead to it again, and so on.
    """
    if _is_redacting.get():
        return WITHHELD
    token = _is_redacting.set(True)
    try:
        return attempt(_checked, redactor, text, attribute, default=WITHHELD)
    finally:
        _is_redacting.reset(token)


def beside_key(key: str, value: str, redact: Redact) -> str:
    """Return the text under a key, or what is left of it where key and text together are a secret: a password is.

    The redactor sees such a text as ``"password": "hunter2"``, as it would in JSON.
    """
    if not _SECRET_KEY.search(key):
        return value
    text = clean(value[:_LONGEST]).translate(_QUOTES)
    before, after = f'"{key}": "', '"'
    pair = before + text + after
    redacted = redact(pair)
    if redacted == pair or redacted == before + redact(text) + after:
        return value  # it is redacted by itself
    is_around = redacted.startswith(before) and redacted.endswith(after) and len(redacted) >= len(before + after)
    if not is_around or len(value) > _LONGEST or text != value:
        return WITHHELD
    return redacted[len(before) : -len(after)]


def _checked(redactor: Redactor, text: str, attribute: str) -> str:
    redacted = redactor(text, attribute)
    if type(redacted) is not str:
        raise TypeError(f"a redactor returned {type(redacted).__name__}; it has to return str")
    return redacted
