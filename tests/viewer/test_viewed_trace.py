import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runspan import Settings
from runspan.recording.otlp_file import read_recording
from runspan.recording.recorded_span import RecordedSpan
from runspan.viewer.timeline import scale
from runspan.viewer.trace import trace_of, traces_of
from tests.fakes import SyncModel
from tests.recorded import link, model_call, recorded, text
from tests.tracing import Tracing

QUESTION, ANSWER, NEXT = text("user", "one?"), text("assistant", "two"), text("user", "three?")


def test_spans_stand_in_the_order_of_the_tree():
    """Parents come first, siblings by their start; what has lost its parent is a root, and a circle hides nothing."""
    trace = trace_of(
        [
            recorded(3, 1, "late", start=5),
            recorded(2, 1, "early", start=1),
            recorded(1, name="root"),
            recorded(4, 99, "lost", start=2),
            recorded(5, 6, "circle", start=7),
            recorded(6, 5, "circle", start=8),
        ]
    )
    assert [(span.name, span.depth, span.parent) for span in trace.spans] == [
        ("root", 0, None),
        ("early", 1, 0),
        ("late", 1, 0),
        ("lost", 0, None),
        ("circle", 0, None),
        ("circle", 1, 4),
    ]


def test_each_message_is_there_once():
    """A call has its messages by their number, and knows how many of them the call before had read or answered."""
    trace = trace_of(
        [
            recorded(1, attributes=model_call([QUESTION], [ANSWER])),
            recorded(2, start=20, attributes=model_call([QUESTION, ANSWER, NEXT], [ANSWER])),
        ]
    )
    assert trace.messages == [QUESTION, ANSWER, NEXT]
    first, second = trace.spans
    assert (first.input, first.known, first.output) == ([0], 0, [1])
    assert (second.input, second.known, second.previous, second.output) == ([0, 1, 2], 2, 0, [1])


def test_numbers_that_a_page_would_round_are_text():
    """An integer beyond what JavaScript holds is text, in a message as in an attribute; smaller ones are numbers."""
    exact, rounded = 2**53 - 1, 2**53
    (message,) = trace_of(
        [recorded(1, attributes=model_call([text("user", "?") | {"n": [exact, rounded, -rounded]}], []))]
    ).messages
    assert message["n"] == [exact, str(rounded), str(-rounded)]
    (span,) = trace_of([recorded(1, attributes={"exact": exact, "rounded": rounded})]).spans
    assert span.attributes == {"exact": exact, "rounded": str(rounded)}


@pytest.mark.parametrize("history", ["full", "new"])
def test_a_history_is_put_together_again(history):
    """A call whose span has only the new messages is shown with all that it read."""
    tracing = Tracing(Settings(history=history))
    model = SyncModel()

    def ask(_):
        answer = model.invoke(["one?"], tracing.config)
        return model.invoke([("human", "one?"), answer, ("human", "three?")], tracing.config)

    from langchain_core.runnables import RunnableLambda

    RunnableLambda(ask).invoke(None, tracing.config)
    trace = trace_of(read_recording(tracing.spans))
    last = [span for span in trace.spans if span.kind == "model"][-1]
    assert [trace.messages[index]["role"] for index in last.input] == ["user", "assistant", "user"]
    assert last.known == 2
    tracing.settle()


def test_totals_count_a_call_once():
    """Tokens, costs, errors and calls are added up; of a model's span within a model's the outer one counts."""
    used = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2, "gen_ai.usage.cost.amount": 0.5}
    trace = trace_of(
        [
            recorded(1, name="root"),
            recorded(2, 1, attributes=model_call([QUESTION], [ANSWER], **used)),
            recorded(3, 2, attributes=model_call([QUESTION], [ANSWER], **used)),
            recorded(
                4, 1, error="broke", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}
            ),
        ]
    )
    assert trace.total == {"input": 5, "output": 2, "cost": 0.5, "models": 2, "tools": 1, "errors": 1}


def test_a_list_says_what_was_asked_and_answered():
    """The question is the user's last one, the answer the last one; sessions, users and models are named."""
    attributes = model_call(
        [text("system", "s"), QUESTION, ANSWER, NEXT], [ANSWER], **{"session.id": "t", "user.id": "u"}
    )
    trace = trace_of([recorded(1, attributes=attributes, resource={"service.name": "shop"})])
    assert (trace.question, trace.answer, trace.session, trace.user) == ("three?", "two", "t", "u")
    assert (trace.models, trace.service) == (["m-1"], "shop")


def test_what_only_began_is_open():
    """A marker of what has begun is that open span; once the span has ended the marker is gone."""
    marker = recorded(9, 1, "chat m-1 started", end=0, attributes={"runspan.started": True})
    (span,) = trace_of([marker]).spans
    assert (span.name, span.end, trace_of([marker]).is_open) == ("chat m-1", None, True)
    assert [each.name for each in trace_of([marker, recorded(1, name="chat m-1")]).spans] == ["chat m-1"]


def test_the_critical_path_is_what_the_end_waited_for():
    """Backwards from the end: the last to end, then the last that had ended when it started."""
    trace = trace_of(
        [
            recorded(1, name="root", end=10),
            recorded(2, 1, "first", end=4),
            recorded(3, 1, "beside", end=3),
            recorded(4, 1, "last", start=4, end=10),
        ]
    )
    assert [span.name for span in trace.spans if span.is_critical] == ["root", "first", "last"]


def test_idle_time_is_folded():
    """A gap of over 5 % in which nothing ran takes little of the width; times keep their order."""
    trace = trace_of([recorded(1, end=1000), recorded(2, 1, end=10), recorded(3, 1, start=990, end=1000)])
    assert [(gap.start, gap.end) for gap in trace.gaps] == [(10, 990)]
    at = scale(trace.gaps, trace.duration)
    places = [at(time) for time in (0, 10, 500, 990, 1000)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == pytest.approx(1)
    assert places[3] - places[1] == pytest.approx(0.02)


@pytest.mark.parametrize(("idle", "gaps"), [(49, 0), (51, 1)])
def test_shorter_idle_time_is_not_folded(idle, gaps):
    """Of a second 49 ms of idleness are shown as they are, 51 ms are folded."""
    trace = trace_of([recorded(1, end=1000), recorded(2, 1, end=500), recorded(3, 1, start=500 + idle, end=1000)])
    assert len(trace.gaps) == gaps


def test_links_lead_to_spans():
    """A link says why, and to which span of which trace."""
    (span,) = trace_of([recorded(1, links=[link(7, "resumed_from", 5)])]).spans
    (found,) = span.links
    assert (found.type, found.trace, found.span) == ("resumed_from", f"{5:032x}", f"{7:016x}")


def test_spans_of_others_read_the_same():
    """A call of a model that OpenInference has recorded is a conversation with tokens, too."""
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m-2",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "one?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "two",
        "llm.token_count.prompt": 3,
        "llm.token_count.completion": 2,
    }
    trace = trace_of([recorded(1, name="ChatOpenAI", attributes=attributes)])
    assert (trace.question, trace.answer, trace.models) == ("one?", "two", ["m-2"])
    assert trace.total == {"models": 1, "input": 3, "output": 2}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)
NAMES = st.sampled_from(
    [
        "gen_ai.operation.name",
        "langchain.run.type",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.definitions",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cost.amount",
        "runspan.history.span_id",
        "runspan.history.messages",
        "runspan.started",
        "langgraph.step",
        "input.value",
        "output.value",
        "session.id",
    ]
)
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["role", "parts", "content", "name"]), VALUES)).map(
    lambda value: orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
)
KINDS = st.sampled_from(["chat", "execute_tool", "invoke_agent", "retrieval", "chat_model", "graph", "tool"])


@given(
    st.lists(
        st.builds(
            recorded,
            number=st.integers(1, 5),
            parent=st.none() | st.integers(1, 5),
            name=st.text(),
            start=st.floats(0, 1e6),
            end=st.none() | st.floats(0, 1e6),
            attributes=st.dictionaries(NAMES | st.text(), VALUES | MESSAGES | KINDS),
            error=st.none() | st.text(),
        ),
        min_size=1,
    )
)
def test_any_spans_can_be_viewed(spans: list[RecordedSpan]):
    """Whatever attributes hold, and however spans are related, there is a trace that JSON can hold."""
    traces = traces_of(spans)
    assert orjson.loads(orjson.dumps(traces))
    assert sum(len(trace.spans) for trace in traces) <= len(spans)
