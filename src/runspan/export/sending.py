"""The sending of requests: what the receiver answers decides what comes next."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan

from runspan._guard import attempt
from runspan._threads import PatientLock
from runspan.export.backlog import Backlog
from runspan.export.backoff import Backoff
from runspan.export.otlp.answers import Answer, Delivered, Later, Refused, TooLarge
from runspan.export.otlp.client import Client
from runspan.export.outcome import Outcome
from runspan.export.packing.pack import pack, split
from runspan.export.request import Request
from runspan.export.spool.rows import Stored

# Who takes even less is no receiver of spans.
_SMALLEST_LIMIT = 16_384
_BROKE = Refused("the client failed, as an earlier line tells")


class Sending:
    """Requests to one receiver, each sent until the answer settles what becomes of it.

    One worker at a time calls ``carry`` and ``resume``; another may call ``put_aside`` meanwhile, and who closes the
    delivery ``end`` and ``give_up``.
    """

    def __init__(self, client: Client, backlog: Backlog, *, most_bytes: int) -> None:
        self._client = client
        self.backlog = backlog
        self._most_bytes = most_bytes

    def start_afresh(self, outcome: Outcome) -> None:
        """Forget what is on its way; a forked child calls it, for it belongs to its parent."""
        self._outcome = outcome
        self._in_flight: Sequence[Request] = ()
        self._settling = PatientLock()
        self._broken_off = self._over = False
        self.awaits_answer = False
        self.answered: bool | None = None
        self.trouble = ""
        self.failed_with_backlog = False
        self._failed_id = 0
        self.backoff = Backoff()
        self.backlog.start_afresh(outcome)

    @property
    def waiting(self) -> int:
        """How many spans are in memory, on their way or kept for later."""
        return self.backlog.held_spans + sum(request.spans for request in self._in_flight)

    def carry(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans; keep those that can't be sent now."""
        self._carry(self._packed(spans))

    def put_aside(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep spans for later."""
        self.backlog.keep(self._packed(spans))

    def resume(self) -> None:
        """Send what was kept, until there is no more or the receiver doesn't answer."""
        if self._may_send():
            self._carry(self.backlog.take_held())
            self.failed_with_backlog = not self._may_send()
        while self._may_send() and (stored := self.backlog.take_spooled()):
            self._carry_stored(stored)

    def break_off(self) -> None:
        """Have the client let go of what it sends, and begin no more."""
        self._broken_off = True
        attempt(self._client.close, default=None)

    def end(self) -> None:
        """Let what is answered from now on have no effect."""
        with self._settling:
            self._over = True

    def give_up(self, reason: str) -> None:
        """Put what is in memory on disk, or lose it."""
        with self._settling:
            left, self._in_flight = [*self._in_flight, *self.backlog.take_held()], ()
        lost = self.backlog.store(left)
        self._outcome.given_up(sum(request.spans for request in lost), reason)

    def _may_send(self) -> bool:
        return self.backoff.is_over() and not (self._broken_off or self._over)

    def _packed(self, spans: Sequence[ReadableSpan]) -> Sequence[Request]:
        packed = pack(spans, self._most_bytes)
        self._outcome.not_encodable(packed.not_encodable, packed.reason)
        self._outcome.shortened(sum(request.shortened for request in packed.requests), self._most_bytes)
        return packed.requests

    def _carry(self, requests: Sequence[Request]) -> None:
        self._in_flight = requests
        left = self._send(requests)
        with self._settling:
            self._in_flight = ()
            if not self._over:
                self.backlog.keep(left)

    def _carry_stored(self, taken: Sequence[Stored]) -> None:
        # Last what failed last: a request that never gets through, though others do, must not stand in their way.
        stored = sorted(taken, key=lambda each: each.id == self._failed_id)
        for number, each in enumerate(stored):
            left = self._send([each.request])
            if left == [each.request]:
                self._failed_id = each.id
                self.backlog.done(stored[:number])
                self.backlog.give_back(stored[number:])
                return
            self.backlog.keep(left)
        self.backlog.done(stored)

    def _send(self, requests: Sequence[Request]) -> list[Request]:
        """Send until all is settled or the receiver doesn't answer; return what is left."""
        left = list(requests)
        while left and self._may_send():
            self.awaits_answer = True
            answer = attempt(self._client.send, left[0], default=_BROKE)
            self.awaits_answer = False
            if self._over or (self._broken_off and not isinstance(answer, Delivered)):
                return left  # what becomes of it is decided elsewhere
            left[:1] = self._settled(left[0], answer)
        return [*left[1:], *left[:1]]  # last what failed, see above

    def _settled(self, request: Request, answer: Answer) -> list[Request]:
        """Note what became of a request; return what is to be sent in its place."""
        self.answered = not isinstance(answer, Later)
        match answer:
            case Delivered():
                self.backoff.end()
                self.trouble = ""
                self._outcome.delivered(request.spans - answer.rejected)
                self._outcome.rejected(answer.rejected, answer.reason)
            case Later():
                self.backoff.begin(answer.after)
                self.trouble = answer.reason
                self._outcome.postponed(request.spans, answer.reason)
                return [request]
            case TooLarge():
                return self._smaller(request, answer)
            case Refused():
                self._outcome.refused(request.spans, answer.reason)
        return []

    def _smaller(self, request: Request, answer: TooLarge) -> list[Request]:
        limit = min(answer.limit or self._most_bytes, self._most_bytes)
        if limit >= len(request.body):
            limit = len(request.body) // 2
        if limit < _SMALLEST_LIMIT:
            self._outcome.refused(request.spans, answer.reason)
            return []
        self._most_bytes = limit
        pieces = split(request, limit)
        self._outcome.shortened(sum(piece.shortened for piece in pieces) - request.shortened, limit)
        return pieces
