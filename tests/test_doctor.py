"""What ``runspan.doctor()`` says inside an application."""

import pytest

from tests.programs import run_python

START = "import runspan; from langchain_core.runnables import RunnableLambda as L\n"

NO_RUN = (
    "• no run has reached a handler of runspan → pass one to each invocation,"
    ' config={"callbacks": [OpenTelemetryCallbackHandler()]}, or call runspan.instrument() before the first'
)


def said(code, **environment):
    """Run code in a process of its own that ends with the doctor; return its lines."""
    (lines,) = run_python(START + code + "\nemit(runspan.doctor().splitlines())", **environment).emitted
    return lines


def test_without_a_provider():
    """An application without a provider is said to lose its spans."""
    lines = said("")
    assert lines[1].startswith("✕ no tracer provider is set")
    assert lines[2].startswith("• no run has reached a handler of runspan")
    assert lines[3].startswith("• runspan.configure() was not called")


def test_what_was_configured():
    """The provider, the service, what was delivered, and settings with the variable that they come from."""
    lines = said("configure(service_name='shop', file=os.devnull); end('x')", RUNSPAN_CAPTURE_CONTENT="none")
    assert lines[1:] == [
        "✓ the tracer provider is opentelemetry.sdk.trace.TracerProvider, set by runspan.configure()",
        "✓ the service is shop",
        NO_RUN,
        "• spans: 0 taken, 0 sent, 0 waiting, 0 spooled, none dropped",
        "• capture_content is 'none', by RUNSPAN_CAPTURE_CONTENT",
        "• all other settings of the environment are the defaults; handler.describe() has those of a handler",
    ]


RUN = "L(lambda x: x).invoke(1, {'callbacks': [handler]})\n"
HANDLER = "handler = runspan.OpenTelemetryCallbackHandler()\n"
OWN = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
"""


@pytest.mark.parametrize("after", ["", RUN], ids=["none after", "one after"])
def test_runs_before_there_was_a_provider(after):
    """Runs that began before configure() are counted as lost, whether or not others began since."""
    lines = said(HANDLER + RUN * 2 + "configure(file=os.devnull)\n" + after)
    (line,) = (line for line in lines if "began" in line)
    assert line == (
        "✕ 2 runs began while no tracer provider was set, so their spans went nowhere"
        " → call runspan.configure() before the first run"
    )


def test_a_handler_may_be_made_early():
    """A handler that was made before configure() and got its first run after it is no fault."""
    lines = said(HANDLER + "configure(file=os.devnull)\n" + RUN)
    assert [line for line in lines if line.startswith("✕") or "handler of runspan" in line] == []


def test_runs_that_are_instrumented_are_heard_of():
    """Where runspan.instrument() was called runs reach its handler, without one being passed."""
    lines = said("configure(file=os.devnull); runspan.instrument(); L(lambda x: x).invoke(1)")
    assert [line for line in lines if line.startswith("✕") or "handler of runspan" in line] == []


def test_a_provider_that_was_there_before():
    """Runs with the application's provider before configure(), and what it could not change, are named."""
    lines = said(OWN + HANDLER + RUN + "configure(service_name='shop', file=os.devnull)\n" + RUN)
    faults = [line for line in lines if line.startswith("✕")]
    assert [fault.split(";")[0].split(",")[0] for fault in faults] == [
        "✕ 1 run began before runspan.configure() was called",
        "✕ a tracer provider was set before runspan.configure() was called",
    ]
    assert lines[1].endswith("set by the application; runspan.configure() delivers its spans")


def test_spans_that_were_dropped():
    """What was dropped is a fault, with its reason."""
    lines = said(
        "configure(endpoint='http://127.0.0.1:9', exit_timeout=0.1); end('x')\nfrom runspan._configure import *\n"
        "configured_handle().shutdown(0.1)"
    )
    assert any(line.startswith("✕ the handle of runspan.configure() was shut down") for line in lines)
    assert any(line.startswith("✕ spans: 1 taken, 0 sent") for line in lines)


def test_a_second_provider():
    """A handler whose provider is not the global one is named."""
    code = """
from opentelemetry.sdk.trace import TracerProvider
own = TracerProvider()
configure(console=True)
L(lambda x: x).invoke(1, {"callbacks": [runspan.OpenTelemetryCallbackHandler(tracer_provider=own)]})"""
    assert any(line.startswith("✕ a handler made spans with a second provider") for line in said(code))


def test_errors_that_were_kept_away():
    """Errors of payloads are counted."""
    code = """
from opentelemetry.sdk.trace import SpanProcessor
class Bad(SpanProcessor):
    def on_end(self, span): raise ValueError
handler = runspan.OpenTelemetryCallbackHandler(span_processors=[Bad()])
L(lambda x: x).invoke(1, {"callbacks": [handler]})"""
    assert said(code)[-1].startswith("✕ 1 errors of payloads or listeners")
