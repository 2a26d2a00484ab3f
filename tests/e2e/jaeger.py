"""The real Jaeger, and what it has stored."""

import base64
import urllib.parse
from datetime import UTC, datetime, timedelta

import orjson
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.program import BACKENDS, ROOT, Server, free_addresses, get, wait_until
from tests.otlp_receivers import plain

CONFIG = ROOT / "collector-config" / "jaeger"
IDS = {"traceId", "spanId", "parentSpanId"}


class Jaeger(Server):
    """Jaeger as docker-compose.yml runs it, but for addresses and folders.

    With the storage ``badger`` it keeps what it had when it is started again, with ``memory`` it does not.
    """

    def __init__(self, folder, *, storage="memory", settings=None):
        self.otlp, query, query_grpc, health = free_addresses(4)
        self.api = f"http://{query}/api/v3"
        settings = {
            "extensions.healthcheckv2.http.endpoint": health,
            "extensions.jaeger_query.http.endpoint": query,
            "extensions.jaeger_query.grpc.endpoint": query_grpc,
            "extensions.jaeger_query.ui.config_file": CONFIG / "ui-config.json",
            "receivers.otlp.protocols.grpc.endpoint": self.otlp,
            "service.telemetry.metrics.level": "none",
            **(settings or {}),
        }
        super().__init__(
            [
                BACKENDS / "jaeger",
                *(f"--config={CONFIG / name}.yaml" for name in ("config", storage)),
                *(f"--set={key}={value}" for key, value in settings.items()),
            ],
            log=folder / "jaeger.log",
            health=f"http://{health}/status",
            JAEGER_BADGER_DIR=folder / "jaeger-storage",
        )

    def spans(self, trace_id):
        """Return a trace as ``Receiver.received`` would."""
        request = ExportTraceServiceRequest()
        for result in self._results(f"traces/{trace_id}"):
            json_format.ParseDict(_with_ids_in_base64(result), request)
        return [
            _as_stored(plain(of_resource, of_scope, span))
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def wait_for_spans(self, trace_id, count, seconds=30):
        """Wait until a trace has so many spans, and return them."""
        wait_until(
            lambda: len(self.span_ids([trace_id])) >= count,
            seconds,
            lambda: f"{len(self.span_ids([trace_id]))} of {count} spans are in Jaeger.",
        )
        return self.spans(trace_id)

    def span_ids(self, trace_ids):
        """Return the ids of all spans of these traces: 100,000 in a few seconds, if the traces are not too many."""
        return {span_id for trace_id in trace_ids for span_id in self._span_ids(f"traces/{trace_id}")}

    def wait_for_span_ids(self, trace_ids, expected, seconds=60):
        """Wait until all the expected spans of these traces are there, by their ids."""
        expected = set(expected)
        wait_until(
            lambda: expected <= self.span_ids(trace_ids),
            seconds,
            lambda: f"{len(expected - self.span_ids(trace_ids)):,} of {len(expected):,} spans are not in Jaeger.",
        )

    def span_ids_of(self, service, traces=1500):
        """Return the ids of the spans of a service's newest traces."""
        now = datetime.now(UTC)
        query = {
            "query.service_name": service,
            "query.start_time_min": (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
            "query.start_time_max": (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
            "query.num_traces": traces,
        }
        return set(self._span_ids(f"traces?{urllib.parse.urlencode(query)}"))

    def _span_ids(self, path):
        return [
            span["spanId"]
            for result in self._results(path)
            for of_resource in result["resourceSpans"]
            for of_scope in of_resource["scopeSpans"]
            for span in of_scope.get("spans", [])
        ]

    def _results(self, path):
        answer = get(f"{self.api}/{path}")
        return [] if answer is None else [orjson.loads(answer)["result"]]


def _as_stored(span):
    # Whoever looks while spans still come makes Jaeger note on those it has, for good, that a parent is missing.
    span["attributes"].pop("@jaeger@warnings", None)
    return span


def _with_ids_in_base64(value):
    """Return OTLP's JSON as protobuf's own JSON, which has no exception for ids."""
    if isinstance(value, list):
        return [_with_ids_in_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else _with_ids_in_base64(item)
        for key, item in value.items()
    }
