"""A test suite that looks at traces; the fixture ``trace`` comes with runspan.

pip install 'runspan[langgraph]' langchain pytest inline-snapshot
pytest examples/test_suite
"""

from collections.abc import Sequence
from typing import Any

from inline_snapshot import snapshot
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from runspan.testing import Trace


class ScriptedModel(GenericFakeChatModel):
    """Gives out its messages in turn."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Take any tools."""
        return self


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def ask(*answers: AIMessage) -> None:
    """Ask an agent whose model gives these answers."""
    agent = create_agent(ScriptedModel(messages=iter(answers)), [weather], name="guide")
    agent.invoke({"messages": [("user", "Do I need a hat in Oslo?")]})


def call(**arguments: str) -> AIMessage:
    """Make the answer of a model that calls the tool."""
    return AIMessage("", tool_calls=[{"name": "weather", "args": arguments, "id": "1"}])


def test_the_tool_is_asked_first(trace: Trace) -> None:
    """The agent looks the weather up before it answers."""
    ask(call(city="Oslo"), AIMessage("Take a hat."))
    assert trace.tools() == [("weather", {"city": "Oslo"})]
    assert trace.messages()[-1] == ("assistant", "Take a hat.")
    assert trace.tree() == snapshot(
        """\
invoke_agent guide
  model
    chat
  tools
    execute_tool weather
  model
    chat\
"""
    )


def test_an_answer_without_the_tool(trace: Trace) -> None:
    """Without a call of a tool the model is asked once."""
    ask(AIMessage("I don't know."))
    trace.assert_tools([], order="strict")
    assert len(trace.find("chat*")) == 1
