"""``%load_ext runspan`` in a real IPython, without its page."""

import json

import pytest

import runspan
from runspan.recording.otlp_json import otlp_line
from tests.programs import run_python
from tests.recorded import recorded


def test_each_cell_shows_its_traces():
    """Below a cell is what ended in it, and only that; after unloading nothing is."""
    code = """
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from langchain_core.runnables import RunnableLambda
    shell = InteractiveShell.instance()
    cells = [
        "%load_ext runspan",
        "import runspan; from langchain_core.runnables import RunnableLambda;"
        "h = {'callbacks': [runspan.OpenTelemetryCallbackHandler()]}; _ = RunnableLambda(lambda x: x).invoke(1, h)",
        "x = 1",
        "_ = [RunnableLambda(lambda x: x).invoke(1, h) for _ in range(2)]",
        "%unload_ext runspan",
        "_ = RunnableLambda(lambda x: x).invoke(1, h)",
        "%load_ext runspan",
        "_ = RunnableLambda(lambda x: x).invoke(1, h)",
    ]
    for cell in cells:
        with capture_output() as shown:
            shell.run_cell(cell)
        emit([[each.data["text/plain"], "text/html" in each.data] for each in shown.outputs])
    """
    assert run_python(code).emitted == [
        [],
        [["<1 trace of 1 spans>", True]],
        [],
        [["<2 traces of 2 spans>", True]],
        [],
        [],
        [],
        [["<1 trace of 1 spans>", True]],
    ]


def test_show_takes_files_and_spans(tmp_path):
    """What replay takes can be shown, and what can't be read is named."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(otlp_line(recorded(1)))
    assert repr(runspan.show(path)) == "<1 trace of 1 spans>"
    assert json.loads(path.read_text())
    with pytest.raises(TypeError, match="recording is 5"):
        runspan.show(5)
    with pytest.raises(FileNotFoundError):
        runspan.show(tmp_path / "none")


def test_show_repairs_what_is_no_utf_8(tracing):
    """A span of the SDK whose texts are no UTF-8 is shown all the same."""
    with tracing.span("half \ud83d") as span:
        span.set_attribute("text", "\ud83d")
    assert "<iframe" in runspan.show(tracing.spans)._repr_html_()


def test_a_provider_that_takes_no_processors_is_named():
    """Where nothing can be added to the provider, the error says what to do."""
    code = """
    from runspan._notebook import load_ipython_extension
    class Own(trace.TracerProvider):
        def get_tracer(self, *_, **__): ...
    trace.set_tracer_provider(Own())
    try: load_ipython_extension(object())
    except RuntimeError as error: emit(str(error))
    """
    (said,) = run_python(code).emitted
    assert "has no add_span_processor" in said
