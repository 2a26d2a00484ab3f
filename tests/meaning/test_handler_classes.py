"""What the first graph does to the class of a handler: it gets LangGraph's class as a base, and no class is made."""

import abc
import copy
import dataclasses
import gc
import pickle
import threading
import weakref

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.callbacks import GraphCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from opentelemetry.sdk.trace import TracerProvider

from runspan import OpenTelemetryCallbackHandler
from runspan.langchain.langgraph import receive_graph_events
from tests.fakes import straight_graph
from tests.waiting import collect_until

pytestmark = pytest.mark.newest


@pytest.fixture
def _no_graph_has_run():
    """Have the class as it is imported; a class of a test that fits no other bases must be gone by then."""

    def import_again():
        gc.collect()
        OpenTelemetryCallbackHandler.__bases__ = (BaseCallbackHandler,)
        receive_graph_events.cache_clear()

    import_again()
    yield
    import_again()


no_graph_has_run = pytest.mark.usefixtures("_no_graph_has_run")


def ask(state):
    return {"values": [interrupt("sure?")]}


def run_and_resume(handler):
    graph = straight_graph(ask=ask)
    graph.checkpointer = InMemorySaver()
    config = {"callbacks": [handler], "configurable": {"thread_id": "t1"}}
    graph.invoke({"values": ["a"]}, config)
    assert graph.invoke(Command(resume="yes"), config) == {"values": ["a", "yes"]}


def wants_argument():
    class Tagged(OpenTelemetryCallbackHandler):
        def __init_subclass__(cls, *, tag, **keywords):
            super().__init_subclass__(**keywords)

    class Mine(Tagged, tag="mine"):
        pass

    return Mine


def may_not_be_derived():
    class Mine(OpenTelemetryCallbackHandler):
        def __init_subclass__(cls, **keywords):
            raise TypeError("no")

    return Mine


def has_a_metaclass():
    class Meta(type):
        def __new__(mcs, name, bases, namespace, *, tag):
            return super().__new__(mcs, name, bases, namespace)

        def __init__(cls, name, bases, namespace, *, tag):
            super().__init__(name, bases, namespace)

        def __setattr__(cls, name, value):
            raise AttributeError(name)

    class Mine(OpenTelemetryCallbackHandler, metaclass=Meta, tag="mine"):
        pass

    return Mine


def has_slots():
    class Mine(OpenTelemetryCallbackHandler):
        __slots__ = ("extra",)

    return Mine


def is_frozen():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Mine(OpenTelemetryCallbackHandler):
        tracer_provider: TracerProvider

        def __post_init__(self):
            made = OpenTelemetryCallbackHandler(tracer_provider=self.tracer_provider)
            vars(self).update(vars(made))

    return Mine


def is_abstract():
    class Base(OpenTelemetryCallbackHandler, abc.ABC):
        @abc.abstractmethod
        def name(self): ...

    class Mine(Base):
        def name(self):
            return "mine"

    return Mine


def is_of_langgraphs_kind():
    class Mine(OpenTelemetryCallbackHandler, GraphCallbackHandler):
        pass

    return Mine


CLASSES = (
    wants_argument,
    may_not_be_derived,
    has_a_metaclass,
    has_slots,
    is_frozen,
    is_abstract,
    is_of_langgraphs_kind,
    lambda: OpenTelemetryCallbackHandler,
)


@no_graph_has_run
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("make_class", CLASSES)
def test_a_graph_leaves_a_handler_its_class(tracing, make_class):
    """Whatever class of the user's a handler has, it keeps it, makes none of it, and is told of interrupts."""
    kind = make_class()
    handler = kind(tracer_provider=tracing.provider)
    shown, derived = repr(handler), type.__subclasses__(kind)
    for _ in range(3):
        run_and_resume(handler)
    assert type(handler) is kind
    assert handler.__class__ is kind
    assert repr(handler) == shown
    assert copy.copy(handler) is handler
    assert type.__subclasses__(kind) == derived
    assert isinstance(handler, GraphCallbackHandler)
    waited = [span for span in tracing.named("invoke_workflow") if "langchain.run.outcome" in span.attributes]
    assert [span.attributes["langchain.run.outcome"] for span in waited] == ["interrupted"] * 3


@no_graph_has_run
def test_a_handler_can_be_pickled_before_and_after(tracing):
    """A handler that was pickled, before or after a graph, is one of the same class that traces graphs."""
    handler = OpenTelemetryCallbackHandler()
    before = pickle.dumps(handler)
    run_and_resume(handler)
    for pickled in (before, pickle.dumps(handler)):
        again = pickle.loads(pickled)  # noqa: S301  our own
        assert type(again) is OpenTelemetryCallbackHandler
        run_and_resume(again)


@no_graph_has_run
def test_many_first_graphs_at_once(tracing):
    """Threads that run the first graphs of the process at the same time all hear of interrupts, by the one class."""
    count = 8
    start = threading.Barrier(count)

    def work():
        start.wait(30)
        run_and_resume(tracing.handler)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    spans = tracing.named("invoke_workflow")
    assert [span.attributes.get("langchain.run.outcome") for span in spans].count("interrupted") == count
    assert sum(len(span.links) for span in spans) == count


@no_graph_has_run
def test_a_class_that_comes_to_an_end(tracing):
    """A class of handlers that a function made is garbage when its handlers are, whatever they ran."""
    kinds = []
    for _ in range(3):
        kind = has_slots()
        run_and_resume(kind(tracer_provider=tracing.provider))
        kinds.append(weakref.ref(kind))
    del kind
    tracing.exporter.clear()
    collect_until(lambda: not any(kind() for kind in kinds))


@no_graph_has_run
def test_a_class_whose_bases_do_not_fit(tracing, caplog):
    """With bases in an order that can't be kept all handlers trace on; it is said once, with the remedy."""

    class Mine(GraphCallbackHandler, OpenTelemetryCallbackHandler):
        pass

    for handler in (tracing.handler, Mine(tracer_provider=tracing.provider), tracing.handler):
        run_and_resume(handler)
    assert len(tracing.named("invoke_workflow")) == 6
    assert type(handler).__bases__ == (BaseCallbackHandler,)
    (record,) = caplog.records
    assert "name OpenTelemetryCallbackHandler before GraphCallbackHandler" in record.getMessage()


@no_graph_has_run
def test_a_metaclass_that_raises(tracing, caplog):
    """What a user's metaclass raises leaves no callback: the graph runs, the handlers trace."""
    is_angry = []

    class Meta(type):
        def mro(cls):
            if is_angry:
                raise ValueError("no")
            return super().mro()

    class Mine(OpenTelemetryCallbackHandler, metaclass=Meta):
        pass

    handler = Mine(tracer_provider=tracing.provider)
    is_angry.append(True)
    for _ in range(3):
        run_and_resume(handler)
    is_angry.clear()
    assert len(tracing.named("invoke_workflow")) == 6
    assert len(caplog.records) == 1
