"""What LangChain still does of a chain whose sync stream was left: it reads what later steps are given to its end."""

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableGenerator, RunnableLambda

from tests.fakes import USAGE, Model, body, straight_graph


def _leave(chain, given, config):
    for _ in chain.stream(given, config):
        break


def _passing(chunks):
    yield from chunks


LAST_STEPS = {"parser": StrOutputParser(), "generator": RunnableGenerator(_passing)}


@pytest.mark.parametrize("last", LAST_STEPS)
def test_a_model_that_is_read_to_its_end_is_whole(tracing, last):
    """A model before the last step has its whole answer and its usage."""
    chain = Model(tracing=tracing, usage=USAGE) | LAST_STEPS[last]
    _leave(chain, "x", tracing.config)
    tracing.mark("caller")
    tracing.settle()
    top, chat = tracing.one("RunnableSequence"), tracing.one("chat")
    assert top.attributes["langchain.run.outcome"] == "abandoned"
    assert "langchain.run.outcome" not in chat.attributes
    assert chat.attributes["gen_ai.usage.output_tokens"] == USAGE["output_tokens"]
    assert '"content":"three"' in chat.attributes["gen_ai.output.messages"]
    assert chat.parent == top.context
    assert tracing.one("caller").parent is None


def test_a_graph_that_is_read_to_its_end_is_whole(tracing):
    """A graph before the last step goes on, and its later nodes stay in the trace."""
    graph = straight_graph(one=lambda state: {"values": [1]}, two=body(tracing, "do", lambda state: {"values": [2]}))
    _leave(graph | RunnableGenerator(_passing), {"values": []}, tracing.config)
    tracing.settle()
    assert {span.context.trace_id for span in tracing.spans} == {tracing.one("RunnableSequence").context.trace_id}
    assert tracing.one("do work").parent == tracing.one("do").context
    assert tracing.one("two").parent == tracing.one("invoke_workflow").context
    assert "langchain.run.outcome" not in tracing.one("invoke_workflow").attributes


def test_what_is_read_to_its_end_within_a_chain_stays_there(tracing):
    """The same in a chain that reads a stream in part, and goes on."""
    inner = Model(tracing=tracing, chunk_spans=True) | StrOutputParser()

    def read_one(given):
        _leave(inner, given, None)
        tracing.mark("after")
        return given

    RunnableLambda(read_one).invoke("x", tracing.config)
    assert [span.parent for span in tracing.named("chunk")] == [tracing.one("chat").context] * 3
    assert tracing.one("after").parent == tracing.one("read_one").context
    assert "langchain.run.outcome" not in tracing.one("chat").attributes


def test_a_last_model_is_closed_with_its_text_so_far(tracing):
    """Nobody reads on for a model that is the last step: it is abandoned, as the chain is."""
    _leave(body(tracing, "first") | Model(tracing=tracing), "x", tracing.config)
    tracing.settle()
    chat = tracing.one("chat")
    assert chat.attributes["langchain.run.outcome"] == "abandoned"
    assert '"content":"th"' in chat.attributes["gen_ai.output.messages"]
