import io
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode

from runspan import configure
from runspan.processors.console import Node, TreeSpanExporter, build_tree, describe, render_tree
from tests.programs import run_python

MILLISECOND = 1_000_000


def make(name, number, parent=None, *, trace=1, remote=False, start=0, ms=1.0, attributes=None, error=None):
    """Make an ended span; ``number`` and ``parent`` are span ids."""
    return ReadableSpan(
        name=name,
        context=SpanContext(trace, number, is_remote=False),
        parent=None if parent is None else SpanContext(trace, parent, is_remote=remote),
        attributes=attributes or {},
        status=Status(StatusCode.UNSET if error is None else StatusCode.ERROR, error),
        resource=Resource.get_empty(),
        start_time=start * MILLISECOND,
        end_time=int((start + ms) * MILLISECOND),
    )


def printed(*spans):
    """Export spans one by one and return what was printed."""
    stream = io.StringIO()
    exporter = TreeSpanExporter(stream)
    for span in spans:
        exporter.export([span])
    return stream.getvalue()


def test_a_trace_is_a_tree():
    """A trace is printed when its root ends: siblings by start, gutters, durations, what a model used."""
    chat = {
        "gen_ai.request.model": "claude-3",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.response.time_to_first_chunk": 0.085,
    }
    spans = [
        make("ChatPromptTemplate", 2, 1, start=1, ms=2.34),
        make("POST", 5, 4, start=12, ms=180),
        make("messages.create", 4, 3, start=11, ms=190),
        make("chat claude-3", 3, 1, start=10, ms=200, attributes=chat),
        make("lookup", 7, 6, start=2001, ms=0.04),
        make("agent", 6, 1, start=2000, ms=12.5),
        make("RunnableSequence", 1, ms=2345.6),
    ]
    assert printed(*spans) == (
        "trace 00000000000000000000000000000001\n"
        "RunnableSequence  2.35 s\n"
        "├─ ChatPromptTemplate  2.3 ms\n"
        "├─ chat claude-3  200 ms  12 in, 7 out (5 cached)  first chunk 85 ms\n"
        "│  └─ messages.create  190 ms\n"
        "│     └─ POST  180 ms\n"
        "└─ agent  12 ms\n"
        "   └─ lookup  0.0 ms\n"
    )


def test_what_a_line_says():
    """A line has the model if the name lacks it, the tokens that are known, the outcome and the error."""
    assert [
        describe(make("ask", 1, attributes={"gen_ai.response.model": "m-1", "gen_ai.usage.output_tokens": 0})),
        describe(make("node", 1, attributes={"langchain.run.outcome": "interrupted"})),
        describe(make("a", 1, error="ValueError: no", attributes={"langchain.run.outcome": "error"})),
        describe(make("b", 1, error="no\n  way", attributes={"error.type": "KeyError"})),
        describe(make("c", 1, error="", attributes={"error.type": "TimeoutError"})),
        describe(make("d", 1, error="", ms=999.6)),
        describe(ReadableSpan("never ended", SpanContext(1, 1, is_remote=False))),
    ] == [
        "ask  m-1  1.0 ms  0 out",
        "node  1.0 ms  [interrupted]",
        "a  1.0 ms  [error] ValueError: no",
        "b  1.0 ms  [error] KeyError: no way",
        "c  1.0 ms  [error] TimeoutError",
        "d  1.00 s  [error]",
        "never ended",
    ]


def test_control_characters_stay_out_of_the_terminal():
    """Names and messages can neither move the cursor nor break the line, and long messages are cut."""
    assert describe(make("a\x1b[2J\nb", 1)) == "a?[2J?b  1.0 ms"
    assert len(describe(make("a", 1, error="x" * 5_000))) < 250


def test_a_remote_parent_makes_a_root():
    """A span whose parent is in another process completes its trace here."""
    assert printed(make("child", 3, 2), make("served", 2, 9, remote=True)) == (
        "trace 00000000000000000000000000000001\nserved  1.0 ms\n└─ child  1.0 ms\n"
    )


def test_a_span_without_its_parent_becomes_a_root():
    """A span whose parent is missing stands beside the root."""
    assert printed(make("orphan", 3, 9, start=1), make("root", 1)) == (
        "trace 00000000000000000000000000000001\nroot  1.0 ms\norphan  1.0 ms\n"
    )


def test_late_spans_come_as_a_tree_of_their_own():
    """What ends after its root is printed at the flush; what has no ended root waits for shutdown."""
    stream = io.StringIO()
    exporter = TreeSpanExporter(stream)
    exporter.export([make("root", 1), make("late child", 3, 2), make("late", 2, 1), make("other", 5, 4, trace=2)])
    stream.truncate(stream.seek(0))
    assert exporter.force_flush() is True
    assert stream.getvalue() == ("trace 00000000000000000000000000000001\nlate  1.0 ms\n└─ late child  1.0 ms\n")
    stream.truncate(stream.seek(0))
    exporter.shutdown()
    assert stream.getvalue() == "trace 00000000000000000000000000000002\nother  1.0 ms\n"


def test_the_oldest_open_trace_is_dropped():
    """At most 1,000 traces wait for their root."""
    stream = io.StringIO()
    exporter = TreeSpanExporter(stream)
    exporter.export([make("child", 2, 1, trace=number) for number in range(1, 1_202)])
    exporter.export([make("root", 1, trace=202), make("root", 1, trace=201)])
    assert stream.getvalue() == (
        "trace 000000000000000000000000000000ca\nroot  1.0 ms\n└─ child  1.0 ms\n"
        "trace 000000000000000000000000000000c9\nroot  1.0 ms\n"
    )


def test_standard_output_is_looked_up_when_printing(capsys):
    """Without a stream the present standard output is used."""
    TreeSpanExporter().export([make("root", 1)])
    assert capsys.readouterr().out == "trace 00000000000000000000000000000001\nroot  1.0 ms\n"


def test_a_terminal_that_knows_ascii_only():
    """Characters that the stream can't encode are replaced."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    TreeSpanExporter(stream).export([make("é", 2, 1), make("root", 1)])
    assert raw.getvalue() == b"trace 00000000000000000000000000000001\nroot  1.0 ms\n?? ?  1.0 ms\n"


def test_spans_may_end_while_a_tree_is_printed():
    """A span that ends while the exporter prints is printed as soon as it is done; nobody waits for the printing."""

    class Stream(io.StringIO):
        def flush(self):
            if self.getvalue().count("\n") == 2:
                exporter.export([make("same thread", 1, trace=2)])
                other = threading.Thread(target=exporter.export, args=([make("other thread", 1, trace=3)],))
                other.start()
                other.join(10)
                ended.append(not other.is_alive())

    ended: list[bool] = []
    stream = Stream()
    exporter = TreeSpanExporter(stream)
    exporter.export([make("root", 1)])
    assert ended == [True]
    assert stream.getvalue().splitlines()[1::2] == ["root  1.0 ms", "same thread  1.0 ms", "other thread  1.0 ms"]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=40))
def test_no_span_is_lost_in_a_tree(shape):
    """Whatever parents are missing, each span has exactly one line, after its parent's."""
    spans = [
        make(str(number), number, parent if 0 < parent < number else 100, start=start)
        for number, (parent, start) in enumerate(shape, 1)
    ]
    roots = build_tree(spans)
    lines = [line.lstrip("│├└─ ").split()[0] for line in render_tree(roots)]
    assert sorted(map(int, lines)) == list(range(1, len(spans) + 1))
    assert all(lines.index(str(s.parent.span_id)) < lines.index(s.name) for s in spans if s.parent.span_id != 100)


def test_a_very_deep_trace_is_printed():
    """Depth is no matter of Python's recursion limit."""
    chain = [Node(make("x", 1)) for _ in range(5_000)]
    for above, below in itertools.pairwise(chain):
        above.children.append(below)
    assert sum(1 for _ in render_tree(chain[:1])) == 5_000


def test_another_console_is_an_error():
    """A value of ``console`` that is none is named, with those that are."""
    with pytest.raises(ValueError, match="console is 'loud'; it must be True, False or 'live'"):
        configure(console="loud")


def test_a_live_console_says_what_to_install(tmp_path):
    """Where rich is missing, the error has the command that brings it."""
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('no', name='rich')")
    code = """
    try: configure(console="live")
    except ValueError as error: emit(str(error))
    """
    (said,) = run_python(code, PYTHONPATH=str(tmp_path)).emitted
    assert said == "console='live' needs rich. Install it: pip install 'runspan[cli]'"
