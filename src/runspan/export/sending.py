"""The sending of requests: what the receiver answers decides what comes next."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from runspan._guard import attempt
from runspan._threads import PatientLock
from runspan.export.delivery_log import DeliveryLog
from runspan.export.encoding.requests import Request, encode, split
from runspan.export.otlp.client import Client
from runspan.export.otlp.result import CLOSED, Rejected, Result, Retryable, Success, TooLarge
from runspan.export.spool import SpoolFolder
from runspan.export.stats import DropReason

SMALLEST_REQUEST_BYTES: Final = 16_384
"""Who takes even less is no receiver of spans."""
_NOT_MADE: Final = Retryable("its client could not be built; the log of 'runspan' names why")
_BROKE: Final = Rejected("the client failed, see an earlier line")
_EXITED: Final = Rejected("the client raised SystemExit")
_LONGEST_BACKOFF_SECONDS: Final = 30
# A receiver may ask for patience, but not for ever.
_LONGEST_ORDERED_SECONDS: Final = 600.0


class Backoff:
    """How long a receiver is left alone after a failure: twice as long each time, or as long as it asked for.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling
    """

    def __init__(self) -> None:
        self.until = 0.0
        """When the next attempt may be made, by ``time.monotonic``."""
        self._failures = 0
        self._is_ordered = False

    def begin(self, after: float | None) -> None:
        """Note a failure; ``after`` is what the receiver asked for, in seconds."""
        jitter = random.uniform(0.8, 1.2)  # noqa: S311  so that not all processes come back at once
        seconds = jitter * min(2**self._failures, _LONGEST_BACKOFF_SECONDS)
        self._failures += 1
        self._is_ordered = after is not None
        self.until = time.monotonic() + max(seconds, min(after or 0, _LONGEST_ORDERED_SECONDS))

    def end(self) -> None:
        """Note that the receiver took a request."""
        self.until, self._failures, self._is_ordered = 0.0, 0, False

    def lift(self) -> None:
        """Allow an attempt now, since somebody waits for it; not if the receiver asked for patience."""
        if not self._is_ordered:
            self.until = 0.0

    def is_over(self) -> bool:
        """Return whether an attempt may be made."""
        return self.until <= time.monotonic()


class Sending:
    """Requests to one receiver, each sent until the answer settles what becomes of it.

    One thread at a time sends. Others may call ``put_aside``, ``give_up`` and ``close`` meanwhile.
    """

    def __init__(
        self, make_client: Callable[[], Client], folder: SpoolFolder | None, log: DeliveryLog, *, most_bytes: int
    ) -> None:
        self._make_client = make_client
        self.made: Client | None = None
        """What sends, once there was something to send."""
        self._folder = folder
        self._log = log
        self._most_bytes = most_bytes
        self._requests: deque[Request] = deque()  # in memory; the first may be on its way
        self._settling = PatientLock()
        self._is_over = False
        self._failed: Request | None = None
        self._recount()
        self.in_flight = 0
        """How many spans are in the request that the receiver has not answered yet."""
        self.trouble = ""
        self.backoff = Backoff()

    def client(self) -> Client:
        """Return what sends, made now if it is not yet; a ``ValueError`` says that the environment has a mistake."""
        if self.made is None:
            self.made = self._make_client()
        return self.made

    def may_send(self) -> bool:
        """Return whether a request may be sent now."""
        return self.backoff.is_over() and not self._is_over

    def is_empty(self) -> bool:
        """Return whether there is nothing to be sent, whoever kept it, as far as one can know."""
        return not self._requests and (self._folder is None or not self._folder.entries())

    def is_own_gone(self) -> bool:
        """Return whether all that this process took has been delivered, by whomever."""
        return not self._requests and (self._folder is None or not self._folder.has_own())

    def take(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep spans in memory until ``send``."""
        self._keep(self._encoded(spans))

    def put_aside(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep spans for later: on disk where there is a spool that works, else in memory."""
        self._keep(self._stored(self._encoded(spans)))

    def send(self) -> None:
        """Send what was kept, what is on disk first, until there is no more or the receiver doesn't answer."""
        if self._folder is not None and self.may_send():
            self._send_from(self._folder)
        self._send(self._requests)
        if self._folder is not None and self._requests:
            with self._settling:
                self._requests = deque(self._stored(self._requests))
                self._recount()

    def close(self) -> None:
        """Have the client let go of its connections, and of what it sends."""
        if self.made is not None:
            with suppress(SystemExit):  # of the client, not of the application
                attempt(self.made.close, default=None)

    def give_up(self, reason: str, not_encoded: int = 0) -> None:
        """Put what is in memory on disk, or lose it; what is answered from now on has no effect."""
        with self._settling:
            self._is_over, self.trouble = True, reason
            lost, self._requests = self._stored(self._requests), deque()
            self._recount()
        self._log.note(DropReason.GIVEN_UP, _spans_in(lost) + not_encoded, reason)

    def _encoded(self, spans: Sequence[ReadableSpan]) -> Sequence[Request]:
        encoded = encode(spans, self._most_bytes)
        self._log.note(DropReason.NOT_ENCODABLE, encoded.not_encodable, encoded.reason)
        self._note_shortened(sum(request.shortened for request in encoded.requests))
        return encoded.requests

    def _stored(self, requests: Iterable[Request]) -> Sequence[Request]:
        """Put requests on disk; return those that are not, for want of a spool that works."""
        requests = [*requests]
        if self._folder is None or not requests:
            return requests
        left = self._folder.put(requests)
        self._log.note("spooled", _spans_in(requests) - _spans_in(left))
        return left

    def _keep(self, requests: Sequence[Request]) -> None:
        with self._settling:
            self._requests.extend(requests)
            self._recount()
        if self._is_over:  # since they were encoded
            self.give_up(self.trouble)

    def _recount(self) -> None:
        self.waiting = _spans_in(self._requests)
        """How many spans are in memory."""
        self.waiting_bytes = sum(len(request.body) for request in self._requests)

    def _send_from(self, folder: SpoolFolder) -> None:
        for claim in folder.claims():
            left = deque([claim.request])
            self._send(left)
            if claim.request in left:
                folder.free(claim)
                return
            self._keep(self._stored(left))
            folder.done(claim)

    def _send(self, left: deque[Request]) -> None:
        """Send until all is settled or the receiver doesn't answer; what is left stays."""
        while left and self.may_send():
            request = left[0]
            self.in_flight = request.spans
            result = self._result(request)
            self.in_flight = 0
            instead = [request] if isinstance(result, Retryable) else self._pieces(request, result)
            with self._settling:
                if self._is_over:
                    return  # what becomes of it was decided elsewhere
                left.popleft()
                if instead and request is self._failed:  # one that never gets through must not be in the way of others
                    left.extend(instead)
                else:
                    left.extendleft(reversed(instead))
                self._failed = request if isinstance(result, Retryable) else None
                self._recount()
            self._note(request, result, instead)  # without the lock, for who logs may have to wait

    def _result(self, request: Request) -> Result:
        try:
            client = attempt(self._client_or_reason, default=_NOT_MADE)
            if isinstance(client, Retryable):
                return client
            if self._is_over:  # since it was made
                self.close()
                return CLOSED
            return attempt(client.send, request, default=_BROKE)
        except SystemExit:  # in a thread of the application, where no other starts
            return _EXITED

    def _client_or_reason(self) -> Client | Retryable:
        try:
            return self.client()
        except (OSError, ValueError, RuntimeError) as error:  # what the environment names is missing or no good
            return Retryable(f"{type(error).__name__}: {error}")

    def _pieces(self, request: Request, result: Result) -> Sequence[Request]:
        """Return what a request that is too large is split into; none if it is not, or can't be made small enough."""
        if not isinstance(result, TooLarge):
            return []
        limit = min(result.limit or self._most_bytes, self._most_bytes)
        if limit >= len(request.body):
            limit = len(request.body) // 2
        if limit < SMALLEST_REQUEST_BYTES:
            return []
        self._most_bytes = limit
        pieces = split(request, limit)
        is_smaller = all(len(piece.body) < len(request.body) for piece in pieces)
        return pieces if is_smaller else []  # else it would be sent again for ever

    def _note(self, request: Request, result: Result, instead: Sequence[Request]) -> None:
        match result:
            case Success():
                self.backoff.end()
                self.trouble = ""
                self._log.delivered(request.spans - result.rejected)
                self._log.note(DropReason.REJECTED, result.rejected, result.reason)
            case Retryable():
                self.backoff.begin(result.after)
                self.trouble = result.reason
                self._log.note("retried", request.spans, result.reason)
            case TooLarge() if instead:
                self._note_shortened(sum(each.shortened for each in instead) - request.shortened)
            case TooLarge() | Rejected():
                self._log.note(DropReason.REFUSED, request.spans, result.reason)

    def _note_shortened(self, spans: int) -> None:
        self._log.note("shortened", spans, f"{self._most_bytes:,}")


def _spans_in(requests: Iterable[Request]) -> int:
    return sum(request.spans for request in requests)
