"""Foreign values as text that an exporter can encode."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeGuard

from runspan._guard import attempt_quietly

# Limits of what is no content, in characters: of a name or a word; of a repr, an id or a description.
LONGEST_NAME: Final = 1_000
LONGEST_DESCRIPTION: Final = 10_000
# That of a list of them; a backend may refuse a span for an attribute of 65,000.
_ROOM_FOR_ALL: Final = 20_000  # bytes
CUT: Final = "…"

# The attribute of ``type`` itself: a metaclass may have another ``__name__``, one that raises.
_class_name = type.__dict__["__name__"].__get__


@dataclass(slots=True)
class Excerpt:
    """The beginning of a text, which is cut once it is redacted."""

    text: str
    most: int
    """Characters."""


def clean(text: str) -> str:
    """Replace what UTF-8 can't encode: one lone surrogate makes an OTLP exporter lose its whole batch."""
    if type(text) is not str:
        text = str.__str__(text)  # without a subclass's own code, such as an enum's
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # By way of UTF-16, which joins the two halves of a character that JSON had escaped one by one.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is a text by its type: it may have another ``__class__``, or one that raises."""
    return issubclass(type(value), str)


def text_in(value: object) -> str | None:
    """Return a value that is a text and not empty."""
    if type(value) is str and value.isascii():  # as nearly all are
        return value or None
    return (clean(value) or None) if is_text(value) else None


def text_at(source: object, *keys: str) -> str | None:
    """Return the first text that is not empty under one of the keys of a dictionary."""
    if isinstance(source, dict):
        for value in map(source.get, keys):
            if value is not None and (text := text_in(value)):
                return text
    return None


def name_in(value: object) -> str | None:
    """Return a value that is a text and not empty, cut where it is longer than names are."""
    if type(value) is str and len(value) <= LONGEST_NAME and value.isascii():  # as nearly all are
        return value or None
    text = text_in(value)
    return text if text is None or len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + CUT


def name_at(source: object, *keys: str) -> str | None:
    """Return the first text that is not empty under one of the keys of a dictionary, cut as names are."""
    if isinstance(source, dict):
        for value in map(source.get, keys):
            if value is not None and (name := name_in(value)):
                return name
    return None


def describe(value: object, by: Callable[[object], str] = str) -> str:
    """Return any value as a text of bounded length, with a note if it was cut; a placeholder if its own code fails."""
    if type(value) is str and len(value) <= LONGEST_DESCRIPTION and value.isascii():  # as nearly all are
        return value
    text = described(value, by)
    if len(text) <= LONGEST_DESCRIPTION:
        return clean(text)
    return with_note(clean(text[:LONGEST_DESCRIPTION]), len(text) - LONGEST_DESCRIPTION)


def with_note(kept: str, left_out: int) -> str:
    """Return what is kept of a text with a note of how many characters were left out."""
    return f"{kept}{CUT} [{left_out:,} characters left out]"


def described(value: object, by: Callable[[object], str] = str) -> str:
    """Return any value as a text of any length, for what is redacted before it is cut."""
    if is_text(value):
        return str.__str__(value)
    return str.__str__(attempt_quietly(by, value, default=unprintable(value)))  # of a text that may be a subclass's


def describe_all(values: Iterable[object]) -> list[str]:
    """Return values as texts, those for which there is room: of tags and the like there are few, and they are short."""
    texts: list[str] = []
    room = _ROOM_FOR_ALL
    for value in values:
        # As nearly all are.
        text = value if type(value) is str and len(value) <= LONGEST_NAME and value.isascii() else describe(value)
        room -= len(text.encode())
        if room < 0:
            texts.append(CUT)
            break
        texts.append(text)
    return texts


def unprintable(value: object) -> str:
    """Return the placeholder for a value whose own code fails."""
    return clean(f"<unprintable {_class_name(type(value))}>")
