import random
import time

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
_MOST_DOUBLINGS = 5
# A receiver may ask for patience, but not for ever.
_LONGEST_ORDERED_SECONDS = 600.0


class Backoff:
    """How long a receiver is left alone after a failure: twice as long each time, or as long as it said.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._failures = 0
        self._ordered = False

    def begin(self, after: float | None) -> None:
        """Note a failure; ``after`` is what the receiver asked for, in seconds."""
        seconds = min(_FIRST_SECONDS * 2 ** min(self._failures, _MOST_DOUBLINGS), _LONGEST_SECONDS)
        seconds *= random.uniform(0.8, 1.2)  # noqa: S311  so that not all processes come back at once
        if after is not None:
            seconds = max(seconds, min(after, _LONGEST_ORDERED_SECONDS))
        self._failures += 1
        self._ordered = after is not None
        self._until = time.monotonic() + seconds

    def end(self) -> None:
        """Note that the receiver took a request."""
        self._until, self._failures, self._ordered = 0.0, 0, False

    def lift(self) -> None:
        """Allow a try now, since somebody waits for it; not if the receiver asked for patience."""
        if not self._ordered:
            self._until = 0.0

    def is_over(self) -> bool:
        """Tell whether the receiver may be tried."""
        return self._until <= time.monotonic()

    @property
    def until(self) -> float:
        """When it may be tried again, by ``time.monotonic``."""
        return self._until
