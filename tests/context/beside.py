"""Traces beside another callback handler that makes spans of its own, in either order, switched on or off."""

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

from runspan.testing import RecordedTrace
from tests.tracing import Tracing

# Of a fixture: whether the other handler comes first, and whether it is switched on.
EITHER_ORDER: dict[str, Any] = {
    "params": [(False, True), (True, True), (False, False), (True, False)],
    "ids": ["ours_first", "theirs_first", "ours_first_theirs_off", "theirs_first_and_off"],
}


class Beside(Tracing):
    """Traces with another handler in the same invocations."""

    def __init__(self, *, is_first: bool, is_on: bool) -> None:
        super().__init__()
        other = self.make_other(is_on=is_on)
        self.handlers = [other, self.handler] if is_first else [self.handler, other]

    def make_other(self, *, is_on: bool) -> BaseCallbackHandler:
        """Make the other handler, on the same provider."""
        raise NotImplementedError

    @property
    def config(self) -> dict:
        return {"callbacks": self.handlers}

    @property
    def ours(self) -> str:
        """Our own spans as a text."""
        return RecordedTrace(tuple(span for span in self.spans if span.instrumentation_scope.name == "runspan")).tree()
