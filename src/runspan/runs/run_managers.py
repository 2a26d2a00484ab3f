"""Which run a function works for, by the argument ``run_manager`` that LangChain gives it."""

from types import CodeType, FrameType
from typing import Final
from uuid import UUID

# Functions that were found on stacks, and whether they take a callback manager of a run; by their identity, since the
# hash of a code object is that of all it holds: 0.5 µs, where a stack has hundreds.
_known_codes: Final[dict[int, tuple[CodeType, bool]]] = {}
_MOST_CODES: Final = 4096


def run_id_given_to(frame: FrameType) -> UUID | None:
    """Return the run id of a frame's argument ``run_manager``, None if it has none."""
    takes = takes_run_manager(frame.f_code)
    return getattr(frame.f_locals.get("run_manager"), "run_id", None) if takes else None


def takes_run_manager(code: CodeType) -> bool:
    """Return whether a function has an argument by which LangChain gives it the callback manager of a run."""
    known = _known_codes.get(id(code))
    if known is None:
        if len(_known_codes) >= _MOST_CODES:
            _known_codes.clear()
        takes = "run_manager" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        known = _known_codes[id(code)] = (code, takes)
    return known[1]
