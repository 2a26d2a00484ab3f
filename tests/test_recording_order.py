import pytest
from hypothesis import given
from hypothesis import strategies as st

from runspan.recording.otlp_file import in_order
from runspan.recording.recorded_span import RecordedSpan


def recorded(number, parent, start_ns, end_ns, trace_id=1):
    return RecordedSpan(trace_id, number, parent, str(number), "", {}, [], None, start_ns, end_ns)


def told(spans):
    """Return the order as text: ``1`` for the start of span 1, ``/1`` for its end."""
    return " ".join(("/" if edge == "end" else "") + span.name for edge, span in in_order(spans))


@pytest.mark.parametrize(
    ("spans", "order"),
    [
        ([], ""),
        ([(2, 1, 2, 3), (1, None, 1, 4)], "1 2 /2 /1"),
        ([(2, 1, 5, 5), (1, None, 5, 5)], "1 2 /2 /1"),
        ([(2, 1, 9, 9), (1, None, 5, 9)], "1 2 /2 /1"),
        ([(3, 1, 7, 9), (2, 1, 5, 7), (1, None, 5, 9)], "1 2 /2 3 /3 /1"),
        ([(3, 1, 5, 9), (2, 1, 5, 5), (1, None, 5, 9)], "1 2 /2 3 /3 /1"),
        ([(1, None, 0, 5), (2, None, 5, 9), (3, 1, 5, 5), (4, 2, 5, 6)], "1 3 /3 /1 2 4 /4 /2"),
        ([(1, None, 0, 0), (2, 1, 3, 0), (3, 1, 4, 5)], "1 2 3 /3"),
        ([(3, 1, 5, 0), (2, 1, 5, 5), (1, None, 5, 9)], "1 2 /2 3 /1"),
        ([(1, None, 5, 3)], "1 /1"),
        ([(1, None, 5, 8), (2, 1, 3, 9)], "2 1 /1 /2"),
        ([(2, None, 3, 4), (1, 88, 1, 3)], "1 /1 2 /2"),
        ([(1, 1, 1, 2)], "1 /1"),
        ([(1, 2, 1, 4), (2, 1, 2, 3), (3, 2, 2, 2)], "1 2 3 /3 /2 /1"),
    ],
    ids=[
        "nothing",
        "child first in the file",
        "all in no time",
        "a child at its parent's end",
        "a sibling that ends as the next starts",
        "a sibling in no time",
        "the end of one tree is the start of another",
        "no end",
        "no end of a sibling",
        "an end before the start",
        "a child around its parent",
        "a parent that is missing",
        "its own parent",
        "parents in a circle",
    ],
)
def test_the_order_of_time(spans, order):
    """Starts and ends come by time; at the same time, as they are nested."""
    assert told([recorded(*each) for each in spans]) == order


def test_traces_side_by_side():
    """Traces are interleaved by time; equal ids in different traces have nothing to do with one another."""
    spans = [recorded(1, None, 1, 9), recorded(2, 1, 2, 5), recorded(1, None, 3, 4, 2), recorded(2, 1, 3, 4, 2)]
    moments = [(edge, span.trace_id, span.name) for edge, span in in_order(spans)]
    assert moments == [
        ("start", 1, "1"),
        ("start", 1, "2"),
        ("start", 2, "1"),
        ("start", 2, "2"),
        ("end", 2, "2"),
        ("end", 2, "1"),
        ("end", 1, "2"),
        ("end", 1, "1"),
    ]


def test_a_very_deep_tree():
    """Spans may be nested deeper than Python's stack."""
    spans = [recorded(number, number - 1 or None, 5, 5) for number in range(1, 5_001)]
    assert [span.span_id for edge, span in in_order(reversed(spans)) if edge == "start"] == list(range(1, 5_001))
    assert [span.span_id for edge, span in in_order(spans) if edge == "end"] == list(range(5_000, 0, -1))


@st.composite
def trees(draw):
    """Draw spans within their parents, of few different times, in any order."""
    spans = []
    for number in range(1, draw(st.integers(1, 10)) + 1):
        parent = draw(st.none() | st.sampled_from(spans)) if spans else None
        first, last = (parent.start_ns, parent.end_ns) if parent else (1, 6)
        start, end = sorted([draw(st.integers(first, last)), draw(st.integers(first, last))])
        spans.append(recorded(number, parent.span_id if parent else None, start, end))
    return draw(st.permutations(spans))


@given(trees())
def test_any_tree(spans):
    """By time, each span once, inside of its parent, and apart from siblings that it follows."""
    moments = list(in_order(spans))
    at = {(edge, span.span_id): position for position, (edge, span) in enumerate(moments)}
    assert len(moments) == len(at) == 2 * len(spans)
    when = [span.start_ns if edge == "start" else span.end_ns for edge, span in moments]
    assert when == sorted(when)
    for span in spans:
        assert at["start", span.span_id] < at["end", span.span_id]
        if span.parent_id is not None:
            assert at["start", span.parent_id] < at["start", span.span_id]
            assert at["end", span.span_id] < at["end", span.parent_id]
        for other in spans:
            follows = (span.start_ns, span.end_ns) < (other.start_ns, other.end_ns) and span.end_ns <= other.start_ns
            if other.parent_id == span.parent_id and follows:
                assert at["end", span.span_id] < at["start", other.span_id]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_any_spans(fields):
    """Whatever parents and times a recording claims, each span starts once, and ends once after that if it ended."""
    spans = [recorded(*each) for each in fields]
    seen = []
    for edge, span in in_order(spans):
        if edge == "end":
            seen.remove(span)
        else:
            seen.append(span)
    assert len(list(in_order(spans))) == len(spans) + sum(span.end_ns != 0 for span in spans)
    assert sorted(seen) == sorted(span for span in spans if span.end_ns == 0)
