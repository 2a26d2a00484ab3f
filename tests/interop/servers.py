"""The real Phoenix and MLflow, and what they make of the traces that they are sent."""

import json
import urllib.request
from dataclasses import dataclass

from tests.e2e.program import ROOT, Server, free_addresses, get, wait_until

PHOENIX = ROOT / ".venv-phoenix" / "bin" / "phoenix"
MLFLOW = ROOT / ".venv-mlflow" / "bin" / "mlflow"
_FIRST_START_S = 300  # each makes its database


@dataclass
class Seen:
    """A span as a backend shows it."""

    name: str
    kind: str
    parent: str | None
    """The name of the span that it stands below."""
    input: str | None
    output: str | None
    is_error: bool
    attributes: dict


@dataclass
class SeenTrace:
    """A trace as a backend shows it, its spans in the order of their start."""

    spans: list[Seen]
    session: str | None
    user: str | None
    tokens: tuple[int, int]
    """Those in and out, added up by the backend."""

    def one(self, name):
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def tree(self):
        """Return a line for each span: its kind and name, and the name of its parent."""
        return [f"{span.kind} {span.name}{f' < {span.parent}' if span.parent else ''}" for span in self.spans]

    @property
    def root(self):
        (root,) = [span for span in self.spans if span.parent is None]
        return root


class Phoenix(Server):
    """Arize Phoenix with a database of its own."""

    protocol, headers = "http/protobuf", ""

    def __init__(self, folder):
        address, grpc = free_addresses(2)
        self.url = self.endpoint = f"http://{address}"
        super().__init__(
            [PHOENIX, "serve"],
            log=folder / "phoenix.log",
            health=f"{self.url}/healthz",
            ready_seconds=_FIRST_START_S,
            PHOENIX_WORKING_DIR=folder / "phoenix",
            PHOENIX_HOST="127.0.0.1",
            PHOENIX_PORT=address.rpartition(":")[2],
            PHOENIX_GRPC_PORT=grpc.rpartition(":")[2],
            PHOENIX_TELEMETRY_ENABLED="false",
        )

    def trace(self, trace_id, count):
        """Wait until a trace has so many spans, and return it."""
        spans = wait_until(
            lambda: found if len(found := self._spans(trace_id)) >= count else None,
            60,
            lambda: f"{len(self._spans(trace_id))} of {count} spans are in Phoenix:\n{self.last_words()}",
        )
        spans.sort(key=lambda span: span["start_time"])
        names = {span["context"]["span_id"]: span["name"] for span in spans}
        root = next(span["attributes"] for span in spans if span["parent_id"] is None)
        tokens = self._query(
            "query ($id: String!) { getTraceByOtelId(traceId: $id) { session { sessionId }"
            " rootSpan { cumulativeTokenCountPrompt cumulativeTokenCountCompletion } } }",
            id=trace_id,
        )["getTraceByOtelId"]
        counts = tokens["rootSpan"]
        return SeenTrace(
            [_of_phoenix(span, names) for span in spans],
            session=tokens["session"] and tokens["session"]["sessionId"],
            user=root.get("user.id"),
            tokens=(counts["cumulativeTokenCountPrompt"], counts["cumulativeTokenCountCompletion"]),
        )

    def _spans(self, trace_id):
        answer = get(f"{self.url}/v1/projects/default/spans?limit=1000&trace_id={trace_id}")
        return json.loads(answer)["data"] if answer else []

    def _query(self, query, **variables):
        answer = json.loads(post(f"{self.url}/graphql", {"query": query, "variables": variables}))
        assert "errors" not in answer, answer
        return answer["data"]

    def page(self, trace_id):
        """Return the address of the page that shows a trace."""
        project = self._query("{ projects { edges { node { id name } } } }")["projects"]["edges"][0]["node"]["id"]
        return f"{self.url}/projects/{project}/traces/{trace_id}"


def _of_phoenix(span, names):
    attributes = span["attributes"]
    return Seen(
        name=span["name"],
        kind=span["span_kind"],
        parent=names.get(span["parent_id"]),
        input=attributes.get("input.value"),
        output=attributes.get("output.value"),
        is_error=span["status_code"] == "ERROR",
        attributes=attributes,
    )


class MLflow(Server):
    """MLflow's tracking server with a database of its own."""

    protocol, headers = "http/protobuf", "x-mlflow-experiment-id=0"

    def __init__(self, folder):
        (address,) = free_addresses(1)
        self.url = self.endpoint = f"http://{address}"
        host, _, port = address.rpartition(":")
        super().__init__(
            [
                *(MLFLOW, "server", "--host", host, "--port", port, "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
                *("--artifacts-destination", folder / "artifacts"),
            ],
            log=folder / "mlflow.log",
            health=f"{self.url}/health",
            ready_seconds=_FIRST_START_S,
            MLFLOW_DISABLE_TELEMETRY="true",
            PATH=f"{MLFLOW.parent}:/usr/bin:/bin",
        )

    def trace(self, trace_id, count):
        """Wait until a trace has so many spans, and return it."""
        found = wait_until(
            lambda: found if (found := self._trace(trace_id)) and len(found["spans"]) >= count else None,
            60,
            lambda: f"not all of {count} spans are in MLflow:\n{self.last_words()}",
        )
        spans = sorted(found["spans"], key=lambda span: span["start_time_unix_nano"])
        names = {span["span_id"]: span["name"] for span in spans}
        about = found["trace_info"]["trace_metadata"]
        usage = json.loads(about["mlflow.trace.tokenUsage"]) if "mlflow.trace.tokenUsage" in about else None
        return SeenTrace(
            [_of_mlflow(span, names) for span in spans],
            session=about.get("mlflow.trace.session"),
            user=about.get("mlflow.trace.user"),
            tokens=(usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0),
        )

    def _trace(self, trace_id):
        answer = get(f"{self.url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
        return json.loads(answer)["trace"] if answer else None

    def page(self, trace_id):
        """Return the address of the page that shows a trace."""
        return f"{self.url}/#/experiments/0/traces?selectedEvaluationId=tr-{trace_id}"


def _of_mlflow(span, names):
    attributes = {each["key"]: _value(each["value"]) for each in span["attributes"]}
    return Seen(
        name=span["name"],
        kind=attributes.get("mlflow.spanType", "UNKNOWN"),
        parent=names.get(span.get("parent_span_id")),
        input=_shown(attributes.get("mlflow.spanInputs")),
        output=_shown(attributes.get("mlflow.spanOutputs")),
        is_error=span.get("status", {}).get("code") == "STATUS_CODE_ERROR",
        attributes=attributes,
    )


def _value(value):
    if not value:
        return None
    (kind, found), *_ = value.items()
    if kind == "array_value":
        return list(map(_value, found.get("values", [])))
    if kind == "kvlist_value":
        return {each["key"]: _value(each.get("value")) for each in found.get("values", [])}
    return int(found) if kind == "int_value" else found


def _shown(value):
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def post(url, body):
    """Return the body of the answer to a request with a JSON body."""
    request = urllib.request.Request(  # noqa: S310  loopback
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return answer.read()
