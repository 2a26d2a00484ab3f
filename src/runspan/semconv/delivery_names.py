"""What is known of the delivery of spans and media: attributes and metrics."""

from typing import Final

from runspan.semconv.name_table import OWN, metric, ours

STARTED: Final = ours("runspan.started", "markers of what has begun", "True; the span that has begun is the parent")
SHORTENED: Final = ours("runspan.shortened", "all", "names of what was cut, since the span was too large to be sent")
ORIGINAL_SIZE: Final = ours("runspan.shortened.original_size", "all", "bytes of that span before")
DESTINATION: Final = ours("runspan.destination", "the counters of delivery", "the endpoint")
DROP_REASON: Final = ours("runspan.drop.reason", "`runspan.spans.dropped`", "such as `queue_full` or `refused`")
BLOB_OUTCOME: Final = ours("runspan.blob.outcome", "`runspan.blobs`", "`stored`, `failed` or `dropped`")

SPANS: Final = {
    "taken": metric("runspan.spans.taken", "spans that ended and were sampled", OWN),
    "sent": metric("runspan.spans.sent", "spans that the receiver took", OWN),
    "retried": metric("runspan.spans.retried", "spans to be sent again, once for each failed attempt", OWN),
    "shortened": metric("runspan.spans.shortened", "spans that were too large", OWN),
    "spooled": metric("runspan.spans.spooled", "spans put on disk", OWN),
    "dropped": metric("runspan.spans.dropped", "spans that are lost", OWN),
    "waiting": metric("runspan.spans.waiting", "spans in memory, not yet delivered", OWN),
}
"""The metric of each number of ``Stats``: counters, but for ``waiting``."""
BLOBS: Final = metric("runspan.blobs", "media that were to be stored, by what became of them", OWN)
