"""The sending of requests: what the receiver answers decides what comes next."""

import random
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from runspan._guard import attempt
from runspan._threads import Lock, PatientLock
from runspan.export.delivery_log import DeliveryLog
from runspan.export.encoding.requests import Request, encode, split
from runspan.export.otlp.client import Client
from runspan.export.otlp.result import Rejected, Result, Retryable, Success, TooLarge
from runspan.export.spool import SpoolFolder

# Who takes even less is no receiver of spans.
_SMALLEST_LIMIT: Final = 16_384
_BROKE: Final = Rejected("the client failed, as an earlier line tells")
_EXITED: Final = Rejected("the client raised SystemExit")
_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 30.0
_MOST_DOUBLINGS: Final = 5
# A receiver may ask for patience, but not for ever.
_LONGEST_ORDERED_SECONDS: Final = 600.0


class Backoff:
    """How long a receiver is left alone after a failure: twice as long each time, or as long as it said.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling
    """

    def __init__(self) -> None:
        self.until = 0.0
        """When it may be tried again, by ``time.monotonic``."""
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
        self.until = time.monotonic() + seconds

    def end(self) -> None:
        """Note that the receiver took a request."""
        self.until, self._failures, self._ordered = 0.0, 0, False

    def lift(self) -> None:
        """Allow an attempt now, since somebody waits for it; not if the receiver asked for patience."""
        if not self._ordered:
            self.until = 0.0

    def is_over(self) -> bool:
        """Tell whether the receiver may be tried."""
        return self.until <= time.monotonic()


class Sending:
    """Requests to one receiver, each sent until the answer settles what becomes of it.

    One thread at a time calls what sends; another may call ``put_aside`` meanwhile, and who closes the delivery ``end``
    and ``give_up``.
    """

    def __init__(self, client: Client, folder: SpoolFolder | None, *, most_bytes: int) -> None:
        self._client = client
        self._folder = folder
        self._most_bytes = most_bytes

    def reset_after_fork(self, log: DeliveryLog) -> None:
        """Forget what is on its way; it belongs to the parent."""
        self._log = log
        self._held: list[Request] = []
        self._in_flight: Sequence[Request] = ()
        self._holding, self._settling = Lock(), PatientLock()
        self._aborted = self._over = False
        self.waiting = self.held_spans = self.waiting_bytes = 0
        """How many spans are in memory, on their way or kept for later; how many of them kept; how many bytes all."""
        self.awaits_answer = False
        self.failed_with_held = False
        self.trouble = ""
        self.backoff = Backoff()
        if self._folder is not None:
            self._folder.reset_after_fork(log)

    def may_send(self) -> bool:
        """Tell whether a request may be sent now."""
        return self.backoff.is_over() and not (self._aborted or self._over)

    def is_empty(self) -> bool:
        """Tell whether there is nothing to be sent, whoever kept it, as far as one can know."""
        return not self._held and (self._folder is None or not self._folder.entries())

    def is_own_gone(self) -> bool:
        """Tell whether all that this process kept has been delivered, by whomever."""
        return not self._held and (self._folder is None or self._folder.entries(own=True) == [])

    def send_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans; keep those that can't be sent now."""
        self._send_and_keep(self._encoded(spans))

    def put_aside(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep spans for later."""
        self._keep(self._encoded(spans))

    def resume(self) -> None:
        """Send what was kept, until there is no more or the receiver doesn't answer."""
        if self.may_send():
            self._send_and_keep(self._take_held())
            self.failed_with_held = not self.may_send()
        if self._folder is None or not self.may_send():
            return
        for claim in self._folder.claims():
            left = self._send([claim.request])
            if left == [claim.request]:
                self._folder.free(claim)
                return
            self._keep(left)
            self._folder.done(claim)

    def abort(self) -> None:
        """Have the client let go of what it sends, and begin no more."""
        self._aborted = True
        attempt(self._client.close, default=None)

    def end(self) -> None:
        """Let what is answered from now on have no effect."""
        with self._settling:
            self._over = True

    def give_up(self, reason: str) -> None:
        """Put what is in memory on disk, or lose it."""
        with self._settling:
            left, self._in_flight = [*self._in_flight, *self._take_held()], ()
            self._count()
        lost = self._stored(left)
        self._log.given_up(sum(request.spans for request in lost), reason)

    def _encoded(self, spans: Sequence[ReadableSpan]) -> Sequence[Request]:
        encoded = encode(spans, self._most_bytes)
        self._log.not_encodable(encoded.not_encodable, encoded.reason)
        self._log.shortened(sum(request.shortened for request in encoded.requests), self._most_bytes)
        return encoded.requests

    def _keep(self, requests: Sequence[Request]) -> None:
        """Keep requests for later: on disk where there is a spool that works, else in memory."""
        left = self._stored(requests)
        with self._holding:
            self._held = [*self._held, *left]
        self._count()

    def _stored(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Put requests on disk; return those that could not be."""
        if self._folder is None or not requests:
            return requests
        left = self._folder.put(requests)
        self._log.spooled(sum(request.spans for request in requests) - sum(request.spans for request in left))
        return left

    def _take_held(self) -> list[Request]:
        with self._holding:
            held, self._held = self._held, []
        self._count()
        return held

    def _count(self) -> None:
        requests = [*self._held, *self._in_flight]
        self.held_spans = sum(request.spans for request in self._held)
        self.waiting = sum(request.spans for request in requests)
        self.waiting_bytes = sum(len(request.body) for request in requests)

    def _send_and_keep(self, requests: Sequence[Request]) -> None:
        self._in_flight = requests
        self._count()
        left = self._send(requests)
        with self._settling:
            self._in_flight = ()
            self._count()
            if not self._over:
                self._keep(left)

    def _send(self, requests: Sequence[Request]) -> list[Request]:
        """Send until all is settled or the receiver doesn't answer; return what is left, last what failed."""
        left = list(requests)
        while left and self.may_send():
            self.awaits_answer = True
            result = self._result(left[0])
            self.awaits_answer = False
            if self._over or (self._aborted and not isinstance(result, Success)):
                return left  # what becomes of it is decided elsewhere
            left[:1] = self._settled(left[0], result)
        return [*left[1:], *left[:1]]  # a request that never gets through must not stand in the way of others

    def _result(self, request: Request) -> Result:
        try:
            return attempt(self._client.send, request, default=_BROKE)
        except SystemExit:  # it would end this thread, and the spans that wait for it
            return _EXITED

    def _settled(self, request: Request, result: Result) -> list[Request]:
        """Note what became of a request; return what is to be sent in its place."""
        match result:
            case Success():
                self.backoff.end()
                self.trouble = ""
                self._log.delivered(request.spans - result.rejected)
                self._log.rejected(result.rejected, result.reason)
            case Retryable():
                self.backoff.begin(result.after)
                self.trouble = result.reason
                self._log.postponed(request.spans, result.reason)
                return [request]
            case TooLarge():
                return self._smaller(request, result)
            case Rejected():
                self._log.refused(request.spans, result.reason)
        return []

    def _smaller(self, request: Request, result: TooLarge) -> list[Request]:
        limit = min(result.limit or self._most_bytes, self._most_bytes)
        if limit >= len(request.body):
            limit = len(request.body) // 2
        if limit < _SMALLEST_LIMIT:
            self._log.refused(request.spans, result.reason)
            return []
        self._most_bytes = limit
        pieces = split(request, limit)
        self._log.shortened(sum(piece.shortened for piece in pieces) - request.shortened, limit)
        return pieces
