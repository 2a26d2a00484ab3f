"""The programs of docs/recipes.md, each as a process of its own, and what arrives of it."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.otlp_receivers import HttpReceiver

pytestmark = pytest.mark.newest

PAGE = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text()
RECIPES = dict(re.findall(r"^## (.+?)\n.*?^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))


def run(recipe, receiver, **variables):
    """Run a recipe; return the spans that arrive, in the order of their start, and what was printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RUNSPAN_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-c", RECIPES[recipe]],
        env={**plain, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "langsmith" not in line.lower()]
    assert (done.returncode, said) == (0, [])
    return receiver.received(), done.stdout


def named(spans, name):
    (span,) = (each for each in spans if each["name"] == name)
    return span


def names(spans):
    return sorted(span["name"] for span in spans)


def test_every_recipe_has_a_program():
    """Each heading of the page has one program, and each is run below."""
    assert list(RECIPES) == re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    tests = Path(__file__).read_text()
    assert [name for name in RECIPES if f'run("{name}"' not in tests] == []


def test_interrupts():
    """The first invocation is interrupted and no failure, the second links to it."""
    with HttpReceiver() as receiver:
        spans, _ = run("A graph that waits for its user", receiver)
    graphs = [span for span in spans if span["name"] == "invoke_workflow"]
    waited = next(span for span in graphs if "langchain.run.outcome" in span["attributes"])
    resumed = next(span for span in graphs if span is not waited)
    assert waited["attributes"]["langchain.run.outcome"] == "interrupted"
    assert waited["status"] == resumed["status"]
    links = [link for *_, span in receiver.spans for link in span.links]
    assert [link.span_id.hex() for link in links] == [waited["span_id"]]


def test_evaluation():
    """The evaluation is below the run that it judges."""
    with HttpReceiver() as receiver:
        spans, _ = run("Judged afterwards", receiver)
    (evaluation,) = (span for span in spans if span["name"] != "answer")
    assert evaluation["parent_span_id"] == named(spans, "answer")["span_id"]
    assert evaluation["attributes"]["gen_ai.evaluation.name"] == "thumbs"
    assert evaluation["attributes"]["gen_ai.evaluation.score.value"] == 1


def test_tenants():
    """Each tenant's span goes to its endpoint, with its key, and there alone."""
    with HttpReceiver() as acme, HttpReceiver() as globex, HttpReceiver() as other:
        spans, _ = run("Tenants", other, ENDPOINT_OF_ACME=acme.endpoint, ENDPOINT_OF_GLOBEX=globex.endpoint)
        assert spans == []
        for tenant, receiver in (("ACME", acme), ("GLOBEX", globex)):
            assert [span["attributes"]["tenant"] for span in receiver.received()] == [tenant]
            assert {headers["x-api-key"] for headers in receiver.headers} == {tenant}


def test_keeping_errors():
    """The trace that failed arrives, the other does not."""
    with HttpReceiver() as receiver:
        spans, printed = run("Errors, slow traces, and a share of the rest", receiver)
    assert names(spans) == ["failing"]
    assert printed == "failed, so kept\n"


def test_sampling_by_the_standard_variable():
    """What is sampled out does not arrive."""
    with HttpReceiver() as receiver:
        spans, _ = run("Redaction", receiver, OTEL_TRACES_SAMPLER="always_off")
    assert spans == []


def test_redaction():
    """Neither the name nor the address arrives."""
    with HttpReceiver() as receiver:
        spans, _ = run("Redaction", receiver)
    text = str(named(spans, "answer")["attributes"])
    assert "Write to [name]" in text
    assert "Anna" not in text
    assert "example.com" not in text


WHOLE = ["RunnableSequence", "answer", "check"]


def parents_of(spans):
    ids = {span["span_id"] for span in spans}
    return sorted(span["parent_span_id"] in ids for span in spans)


def test_langfuse():
    """Both get the whole tree: ours arrives here, Langfuse's at its own endpoint, and none of it twice."""
    with HttpReceiver() as receiver, HttpReceiver() as other:
        keys = {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_BASE_URL": other.endpoint}
        spans, _ = run("Beside Langfuse", receiver, **keys)
        assert names(spans) == names(other.received()) == WHOLE
        assert parents_of(spans) == parents_of(other.received()) == [False, True, True]
        assert {span["scope"][0] for span in spans} == {"runspan"}
        assert not {span["span_id"] for span in spans} & {span["span_id"] for span in other.received()}


class _Any(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.paths.append(self.path)
        self.send_response(202)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        """Stay silent."""


def test_langsmith():
    """LangSmith's tracer goes on sending beside our spans, which are whole."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Any) as server, HttpReceiver() as receiver:
        server.paths = []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        where = {"LANGSMITH_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "LANGSMITH_API_KEY": "key"}
        spans, _ = run("Beside LangSmith", receiver, **where)
        server.shutdown()
    assert names(spans) == WHOLE
    assert parents_of(spans) == [False, True, True]
    assert [path for path in server.paths if "runs" in path] != []
