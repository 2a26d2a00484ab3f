"""What the errors of wrong arguments say: which argument, which value, and what to give."""

from numbers import Integral, Real
from typing import Any, Final
from uuid import UUID

from runspan._guard import attempt

_LONGEST: Final = 200  # characters
LARGEST: Final = 2**63 - 1
"""The most that a number may be, so that what is computed with it is one, too."""
_LONGEST_SECONDS: Final = 1e6  # eleven days, which every function of Python's that waits takes


def shown(value: object) -> str:
    """Return the repr of a value for an error: one short line, whatever the value's own code does."""
    words = attempt(repr, value, default=f"<{type(value).__name__}>")
    line = " ".join(words[: 10 * _LONGEST].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def check_provider(argument: str, value: object, method: str, kind: str) -> None:
    """Raise a ``TypeError`` if a value is neither None nor an object with the method of such a provider."""
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise TypeError(f"{argument} is {shown(value)}, not an OpenTelemetry {kind}; pass one, or None")


def check_number(argument: str, value: Any, *, least: float, most: float = LARGEST, is_whole: bool = False) -> None:
    """Check a number that was given.

    Raises:
        TypeError: if it is none, or a bool.
        ValueError: if it is out of range.
    """
    if not _is_number(value, Integral if is_whole else Real):
        raise TypeError(f"{argument} is {shown(value)}; it must be a {'whole ' * is_whole}number.")
    if not least <= value <= most:
        limits = f"at most {most}" if value > most else f"{least} or more"
        if most < LARGEST:
            limits = f"from {least} to {most}"
        raise ValueError(f"{argument} is {shown(value)}; it must be {limits}.")


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def check_bool(argument: str, value: object) -> None:
    """Raise a ``TypeError`` if a value is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{argument} is {shown(value)}; it must be True or False.")


def checked_seconds(argument: str, value: Any) -> float:
    """Return how long something may take; a negative number means no time, infinity eleven days.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not a number.
    """
    if not _is_number(value, Real):
        raise TypeError(f"{argument} is {shown(value)}; it must be a number.")
    if value != value:  # noqa: PLR0124  so is nan alone
        raise ValueError(f"{argument} is nan; it must be a number.")
    return float(min(max(value, 0), _LONGEST_SECONDS))


def checked_run_id(value: object) -> UUID:
    """Return a run id, which may be given as a str.

    Raises:
        ValueError: if it is a str that is no UUID.
        TypeError: if it is of another type.
    """
    if isinstance(value, UUID):
        return value
    remedy = "pass the run_id of a callback or an event, a UUID or its str"
    if not isinstance(value, str):
        raise TypeError(f"run_id is {shown(value)}; {remedy}")
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(f"run_id is {shown(value)}, which is no UUID; {remedy}") from None
