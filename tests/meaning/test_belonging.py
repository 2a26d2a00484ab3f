"""Whose invocation it is, on every span of its runs: backends ask each span for it, and not only the root."""

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from runspan import OpenTelemetryCallbackHandler, Settings
from tests.fakes import Model, Retriever, State, straight_graph, tool
from tests.tracing import Tracing

NAMES = ("session.id", "user.id", "service.version", "tag.tags")
METADATA = {"thread_id": "t1", "user_id": "u1", "release": "2.1"}


def belongings(tracing: Tracing) -> list[dict]:
    """Return what each of our spans says of its invocation."""
    ours = [span for span in tracing.spans if "langchain.run.id" in span.attributes]
    return [{name: span.attributes[name] for name in NAMES if name in span.attributes} for span in ours]


def work(tracing: Tracing, **config):
    """Invoke a graph in which a node runs a chain, a tool and a retriever."""

    def node(state: State):
        (RunnableLambda(str) | Model()).invoke("a")
        tool(tracing).invoke({"x": 1})
        Retriever().invoke("b")
        return {"values": ["c"]}

    straight_graph(first=node).invoke({"values": []}, tracing.config | config)


def test_every_span_of_an_invocation_says_whose_it_is():
    """Session, user, release and tags of the call are on all its spans; steps of a sequence are no such tags."""
    tracing = Tracing()
    work(tracing, metadata=METADATA, tags=["beta"])
    whole = {"session.id": "t1", "user.id": "u1", "service.version": "2.1", "tag.tags": ("beta",)}
    assert belongings(tracing) == [whole] * 7


def test_without_content_only_the_session_stays():
    """User, release and tags are content, but for the keys of metadata that a setting allows."""
    tracing = Tracing(Settings(capture_content="none"))
    work(tracing, metadata=METADATA, tags=["beta"])
    assert belongings(tracing) == [{"session.id": "t1"}] * 7

    tracing = Tracing(Settings(capture_content="none", metadata_keys=("user_id",)))
    work(tracing, metadata=METADATA, tags=["beta"])
    assert belongings(tracing) == [{"session.id": "t1", "user.id": "u1"}] * 7


def test_a_call_with_other_metadata_belongs_to_the_run_around_it():
    """A model that is called with a config of its own has what that leaves out of the run that it executes in."""
    tracing = Tracing()
    apart = tracing.config | {"metadata": {"session_id": "s2"}, "tags": ["apart"]}
    RunnableLambda(lambda text: Model().invoke(text, apart)).invoke(
        "a", tracing.config | {"metadata": METADATA, "tags": ["beta"]}
    )
    of_model, _ = belongings(tracing)
    assert of_model == {"session.id": "s2", "user.id": "u1", "service.version": "2.1", "tag.tags": ("beta",)}


def test_the_strictest_handler_decides():
    """What a handler put onto a span is emptied where another one of the same run keeps content out."""
    tracing = Tracing()
    strict = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, settings=Settings(capture_content="none"))
    config = {"callbacks": [tracing.handler, strict], "metadata": METADATA, "tags": ["beta"]}
    Model().invoke("a", config)
    (belonging,) = belongings(tracing)
    assert belonging == {"session.id": "t1", "user.id": "", "service.version": "", "tag.tags": ()}


def test_spans_of_others_within_a_run_say_it_too():
    """What an SDK or the user starts inside a run belongs to its invocation; what is around and after it does not."""
    tracing = Tracing()
    with tracing.span("request"):
        work(tracing, metadata=METADATA, tags=["beta"])
        tracing.mark("after")
    others = {span.name: span.attributes for span in tracing.spans if "langchain.run.id" not in span.attributes}
    whole = {"session.id": "t1", "user.id": "u1", "service.version": "2.1", "tag.tags": ("beta",)}
    assert {name: dict(attributes) for name, attributes in others.items()} == {
        "tool work": whole,
        "request": {},
        "after": {},
    }


def test_attributes_of_the_call_count_more():
    """What a handler is given for all spans of an invocation replaces what its metadata says, everywhere."""
    tracing = Tracing()
    given = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, attributes={"session.id": "given"})
    Model(tracing=tracing).invoke("a", {"callbacks": [given], "metadata": METADATA})
    assert {span.attributes["session.id"] for span in tracing.spans} == {"given"}
    assert {span.attributes["user.id"] for span in tracing.spans} == {"u1"}


def test_spans_of_others_where_content_is_forbidden():
    """Where one of the handlers keeps content out, so do the spans of others."""
    tracing = Tracing()
    strict = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, settings=Settings(capture_content="none"))
    config = {"callbacks": [tracing.handler, strict], "metadata": METADATA, "tags": ["beta"]}
    Model(tracing=tracing).invoke("a", config)
    assert dict(tracing.one("http").attributes) == {"session.id": "t1"}


@pytest.mark.parametrize(
    ("metadata", "session"),
    [
        ({"session_id": "s", "thread_id": "t"}, "s"),
        ({"thread_id": "t", "conversation_id": "c"}, "t"),
        ({"conversation_id": 7}, "7"),
        ({"session_id": ""}, None),
        ({}, None),
    ],
)
def test_the_keys_of_a_session(metadata, session):
    """A session is named as such, else by its thread, else by its conversation; ids may be numbers."""
    tracing = Tracing()
    Model(answer=AIMessage("b")).invoke("a", tracing.config | {"metadata": metadata})
    assert tracing.one("chat").attributes.get("session.id") == session


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("kind", ["chain", "model", "graph", "tool", "retriever"])
async def test_ids_of_configurable(kind, way):
    """A session and a user under ``configurable`` count, too, on everything within, whatever the way to call."""
    tracing = Tracing()
    runnable, given = {
        "chain": lambda: (RunnableLambda(str) | Model(), "a"),
        "model": lambda: (Model(), "a"),
        "graph": lambda: (straight_graph(first=lambda _: {"values": [Model().invoke("a").content]}), {"values": []}),
        "tool": lambda: (tool(tracing), {"x": 1}),
        "retriever": lambda: (Retriever(), "b"),
    }[kind]()
    config = tracing.config | {"configurable": {"session_id": "s1", "user_id": "u1", "other": "x"}}
    if way == "invoke":
        runnable.invoke(given, config)
    elif way == "stream":
        list(runnable.stream(given, config))
    elif way == "ainvoke":
        await runnable.ainvoke(given, config)
    else:
        [_ async for _ in runnable.astream(given, config)]
    assert {(each.get("session.id"), each.get("user.id")) for each in belongings(tracing)} == {("s1", "u1")}
    with_operation = [span for span in tracing.spans if "gen_ai.operation.name" in span.attributes]
    assert {span.attributes.get("gen_ai.conversation.id") for span in with_operation} == {"s1"}


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_ids_of_configurable_where_a_chain_within_is_traced(tracing, way):
    """They count where the handler is bound to a chain within one that is not traced."""
    chain = RunnableLambda(str) | (RunnableLambda(str) | Model()).with_config(tracing.config)
    list(getattr(chain, way)("a", {"configurable": {"session_id": "s1"}}))
    assert {each.get("session.id") for each in belongings(tracing)} == {"s1"}


@pytest.mark.newest  # older LangChain copies what is configurable into the metadata
def test_metadata_go_before_configurable():
    """A session and a user that the metadata name are these; what they do not name is what is configurable."""
    tracing = Tracing()
    configurable = {"session_id": "s1", "user_id": "u1"}
    for metadata in ({"thread_id": "t1"}, {"thread_id": "t1", "user_id": "u2"}, {"user_id": "u2"}):
        Model().invoke("a", tracing.config | {"configurable": configurable, "metadata": metadata})
    assert belongings(tracing) == [
        {"session.id": "t1", "user.id": "u1"},
        {"session.id": "t1", "user.id": "u2"},
        {"session.id": "s1", "user.id": "u2"},
    ]


@pytest.mark.newest  # likewise
def test_a_conversation_is_the_same_within():
    """Of several ids under ``configurable`` the session is the conversation, of a model alone as of one in a chain."""
    tracing = Tracing()
    config = tracing.config | {"configurable": {"thread_id": "t1", "session_id": "s1"}}
    Model().invoke("a", config)
    (RunnableLambda(str) | Model()).invoke("a", config)
    found = [span.attributes for span in tracing.named("chat")]
    assert [(each["session.id"], each["gen_ai.conversation.id"]) for each in found] == [("s1", "s1")] * 2


@pytest.mark.parametrize("key", ["thread_id", "session_id"])
def test_user_of_a_graph_with_a_thread(key):
    """LangGraph copies a thread into the metadata and no user: both are on every span of the graph."""
    tracing = Tracing()
    graph = straight_graph(first=lambda _: {"values": [Model().invoke("a").content]})
    graph.invoke({"values": []}, tracing.config | {"configurable": {key: "t1", "user_id": "u1"}})
    assert belongings(tracing) == [{"session.id": "t1", "user.id": "u1"}] * 3
