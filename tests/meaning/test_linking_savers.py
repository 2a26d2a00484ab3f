"""Checkpointers that keep which span saved a checkpoint: they stay what they were, and their copies do the same."""

import copy
import dataclasses
import inspect
import pickle
import weakref
from collections import OrderedDict

import pytest
from langgraph import errors, runtime
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, interrupt

import runspan
from runspan.langchain import checkpoints
from tests.fakes import straight_graph
from tests.waiting import collect_until

pytestmark = pytest.mark.newest


def graph_with(saver):
    graph = straight_graph(ask=lambda state: {"values": [interrupt("sure?")]})
    graph.checkpointer = saver
    return graph


def config_of(tracing):
    return {**tracing.config, "configurable": {"thread_id": "t1"}}


def as_in_another_process(monkeypatch):
    """Forget what this process remembers."""
    monkeypatch.setattr(checkpoints, "_interrupted", OrderedDict())


def check_linked(tracing):
    waited, resumed = tracing.named("invoke_workflow")
    assert [link.context.span_id for link in resumed.links] == [waited.context.span_id]


def run_and_resume(tracing, monkeypatch, saver, later_saver):
    graph_with(saver).invoke({"values": ["a"]}, config_of(tracing))
    as_in_another_process(monkeypatch)
    graph_with(later_saver).invoke(Command(resume="yes"), config_of(tracing))
    check_linked(tracing)


@pytest.mark.parametrize("where", ["here", "in another process"])
def test_a_graph_whose_state_is_updated_before_it_goes_on(tracing, monkeypatch, where):
    """The run that goes on from what ``update_state`` saved links to the one that was interrupted before that."""
    nodes = {name: lambda state: {"values": [1]} for name in ("draft", "send")}
    graph = straight_graph(**nodes)
    graph.checkpointer, graph.interrupt_before_nodes = runspan.link_resumes(InMemorySaver()), ["send"]
    graph.invoke({"values": ["a"]}, config_of(tracing))
    for each in (["b"], ["c"]):
        if where != "here":
            as_in_another_process(monkeypatch)
        graph.update_state({"configurable": {"thread_id": "t1"}}, {"values": each})
    graph.invoke(None, config_of(tracing))
    check_linked(tracing)


def test_a_graph_that_was_drained_links(tracing):
    """The run that goes on after a request to drain links to the one that was drained."""
    control = runtime.RunControl()
    graph = straight_graph(one=lambda state: control.request_drain(), two=lambda state: {"values": [1]})
    graph.checkpointer = runspan.link_resumes(InMemorySaver())
    with pytest.raises(errors.GraphDrained):
        graph.invoke({"values": ["a"]}, config_of(tracing), control=control)
    graph.invoke(None, config_of(tracing))
    check_linked(tracing)


class Slotted(InMemorySaver):
    """A saver with a slot of its own."""

    __slots__ = ("extra",)


class Guarded(InMemorySaver):
    """A saver that may not be changed."""

    def __setattr__(self, name, value):
        assert not hasattr(self, "stack"), f"{name} was set"
        super().__setattr__(name, value)


@dataclasses.dataclass
class Plain(BaseCheckpointSaver):
    """A saver of an application's own, equal to one with the same content, that can be pickled."""

    saved: list = dataclasses.field(default_factory=list)
    has_put: bool = False

    def put(self, config, checkpoint, metadata, new_versions):
        self.has_put = True
        ids = {"checkpoint_ns": "", "checkpoint_id": checkpoint["id"]}
        config = {"configurable": {"thread_id": config["configurable"]["thread_id"], **ids}}
        self.saved.append([config, checkpoint, metadata, []])
        return config

    def put_writes(self, config, writes, task_id, task_path=""):
        self.saved[-1][3].extend((task_id, *write) for write in writes)

    def get_tuple(self, config):
        if not self.saved:
            return None
        config, checkpoint, metadata, writes = self.saved[-1]
        return CheckpointTuple(config, copy.deepcopy(checkpoint), metadata, pending_writes=list(writes))

    def get_next_version(self, current, channel):
        return (current or 0) + 1


@pytest.mark.parametrize("make", [InMemorySaver, Slotted, Guarded, Plain])
def test_a_saver_stays_what_it_was(tracing, monkeypatch, make):
    """It is the same object, of the same class, with the same representation, and it keeps the span."""
    saver = make()
    shown = repr(saver)
    assert runspan.link_resumes(saver) is saver
    assert runspan.link_resumes(saver) is saver
    assert type(saver) is saver.__class__ is make
    assert repr(saver) == shown
    run_and_resume(tracing, monkeypatch, saver, saver)


def test_a_saver_on_disk(tracing, monkeypatch, tmp_path):
    """One saver keeps the span, another on the same file finds it."""
    path = str(tmp_path / "checkpoints")
    with SqliteSaver.from_conn_string(path) as saver, SqliteSaver.from_conn_string(path) as later:
        run_and_resume(tracing, monkeypatch, runspan.link_resumes(saver), runspan.link_resumes(later))
        assert type(saver) is SqliteSaver


async def test_an_async_saver_on_disk(tracing, monkeypatch, tmp_path):
    """An async saver does so, too; its methods are coroutine functions as before."""
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints")) as saver:
        graph = graph_with(runspan.link_resumes(saver))
        assert inspect.iscoroutinefunction(saver.aput)
        await graph.ainvoke({"values": ["a"]}, config_of(tracing))
        as_in_another_process(monkeypatch)
        await graph.ainvoke(Command(resume="yes"), config_of(tracing))
    assert type(saver) is AsyncSqliteSaver
    check_linked(tracing)


def pickled(saver):
    return pickle.loads(pickle.dumps(saver))  # noqa: S301  our own


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
def test_a_saver_is_pickled_and_deeply_copied(tracing, monkeypatch, copied):
    """What comes out is equal, works by itself, and keeps and finds spans as the original does."""
    saver = runspan.link_resumes(Plain())
    graph_with(saver).invoke({"values": ["a"]}, config_of(tracing))
    before = len(saver.saved)
    later = copied(saver)
    assert type(later) is Plain
    assert later == saver
    as_in_another_process(monkeypatch)
    graph_with(later).invoke(Command(resume="yes"), config_of(tracing))
    check_linked(tracing)
    assert len(saver.saved) == before < len(later.saved)
    resumed = tracing.named("invoke_workflow")[-1]
    assert f"{resumed.context.span_id:016x}" in later.saved[-1][2]["traceparent"]


def test_a_saver_that_pickles_itself_its_own_way():
    """One that is made anew from its class is, as ever."""

    class_of_saver = Remade
    saver = runspan.link_resumes(class_of_saver())
    assert type(pickled(saver)) is class_of_saver


class Remade(InMemorySaver):
    """A saver that is pickled as a call of its class."""

    def __reduce_ex__(self, protocol):
        return (type(self), ())


class Cloned(Plain):
    """A saver that has a serializer of its own for each graph."""

    def with_allowlist(self, extra_allowlist):
        return copy.copy(self)


@pytest.mark.parametrize(
    "cloned", [lambda saver: saver.with_allowlist([]), lambda saver: runspan.link_resumes(copy.copy(saver))]
)
def test_a_shallow_copy_works_for_itself(cloned):
    """LangGraph compiles graphs with a copy that has another serializer: that one is called, not the original."""
    saver = runspan.link_resumes(Cloned())
    clone = cloned(saver)
    clone.put({"configurable": {"thread_id": "t1"}}, {"id": "1"}, {}, {})
    assert (saver.has_put, clone.has_put) == (False, True)


def test_methods_that_were_set_on_the_object():
    """A method that somebody has put onto the object is still the one that is called."""
    called = []
    saver = InMemorySaver()
    saver.get_tuple = called.append
    runspan.link_resumes(runspan.link_resumes(saver))
    saver.get_tuple({"configurable": {"thread_id": "t1"}})
    assert called == [{"configurable": {"thread_id": "t1"}}]


def test_classes_of_savers_come_to_an_end():
    """A class of savers that a function made is garbage when its savers are."""

    class Saver(InMemorySaver):
        pass

    kind = weakref.ref(Saver)
    runspan.link_resumes(Saver())
    del Saver
    collect_until(lambda: kind() is None)


def test_what_can_not_be_linked():
    """An object that takes no attributes is told so at once."""

    class Bare:
        __slots__ = ()

        def put(self): ...

        aput = get_tuple = aget_tuple = put

    with pytest.raises(TypeError, match="must be one of LangGraph's checkpoint savers"):
        runspan.link_resumes(Bare())
