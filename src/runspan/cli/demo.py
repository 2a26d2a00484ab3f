"""What ``runspan demo`` runs: an agent with tools, a stream, a graph that waits for its user; no key, no network."""

import time
from collections.abc import Callable
from typing import Any, Final, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from runspan.cli.scripted_model import ScriptedModel
from runspan.cost import ModelUsage

_DOLLARS_PER_TOKEN: Final = {"input": 3e-6, "output": 15e-6}


def price(_: str, usage: ModelUsage) -> float:
    """Return what a call of the scripted model would cost at the prices of a large one, in US dollars."""
    return (usage.input_tokens or 0) * _DOLLARS_PER_TOKEN["input"] + (usage.output_tokens or 0) * _DOLLARS_PER_TOKEN[
        "output"
    ]


def agent(config: RunnableConfig) -> None:
    """Let an agent plan a day with two tools, one of which fails at first; then ask it something else."""
    failures = iter([TimeoutError("the weather service did not answer within 0.2 s")])

    @tool(description="Return the forecast for a city on a day.")
    def weather(city: str, day: str) -> dict[str, Any]:
        time.sleep(0.2)
        if (failure := next(failures, None)) is not None:
            raise failure
        return {"city": city, "day": day, "sky": "clear", "celsius": {"low": 14, "high": 22}, "wind_kmh": 12}

    @tool(description="Search the travel guide.")
    def search_guide(query: str) -> str:
        return "\n\n".join(document.page_content for document in _Guide().invoke(query))

    planner = create_agent(
        ScriptedModel(script=_PLAN),
        [weather, search_guide],
        system_prompt=_INSTRUCTIONS,
        middleware=[ToolRetryMiddleware(max_retries=1, initial_delay=0.1, jitter=False)],
        name="trip_planner",
    )
    messages = planner.invoke({"messages": [HumanMessage(_QUESTION)]}, config)["messages"]
    planner.invoke({"messages": [*messages, HumanMessage("Thanks! And if it rains?")]}, config)


def stream(config: RunnableConfig) -> None:
    """Stream the answer of a prompt and a model."""
    prompt = ChatPromptTemplate([("system", "Answer in one paragraph."), ("human", "Why is {thing} blue?")])
    for _ in (prompt | ScriptedModel(script=[_SKY], model="scripted-small")).stream({"thing": "the sky"}, config):
        pass


def graph(config: RunnableConfig) -> None:
    """Draft and check in a loop, wait for approval, go on when it came."""
    model = ScriptedModel(
        script=[AIMessage("Dear customer, your refund of 42 € is on its way.")], model="scripted-small"
    )

    def draft(state: _State) -> dict[str, Any]:
        return {"text": model.invoke(f"Write to the customer: {state['request']}").text, "checks": state["checks"] + 1}

    def check(state: _State) -> Command[str]:
        time.sleep(0.05)
        return Command(goto="draft" if state["checks"] < _CHECKS else "approve")

    def approve(state: _State) -> dict[str, Any]:
        return {"approved": interrupt({"send": state["text"]})}

    def send(state: _State) -> dict[str, Any]:  # noqa: ARG001  LangGraph knows nodes by this name
        time.sleep(0.1)
        return {"sent": True}

    builder = StateGraph(_State)
    builder.add_node("draft", draft)
    builder.add_node("check", check)
    builder.add_node("approve", approve)
    builder.add_node("send", send)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "check")
    builder.add_edge("approve", "send")
    builder.add_edge("send", END)
    compiled = builder.compile(checkpointer=InMemorySaver(), name="refund")
    compiled.invoke({"request": "a refund", "text": "", "checks": 0}, config)
    compiled.invoke(Command(resume=True), config)


SCENES: Final[dict[str, Callable[[RunnableConfig], None]]] = {"agent": agent, "stream": stream, "graph": graph}


class _State(TypedDict, total=False):
    request: str
    text: str
    checks: int
    approved: bool
    sent: bool


class _Guide(BaseRetriever):
    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        time.sleep(0.08)
        return [Document(text, metadata={"page": page, "query": query}) for page, text in _PAGES.items()]


_CHECKS: Final = 2
_INSTRUCTIONS: Final = (
    "You plan days in cities. Look up the weather first, then the guide. Answer in Markdown: a table of the day, then"
    " one tip. Never invent opening hours."
)
_QUESTION: Final = "I have one day in Lisbon, tomorrow. What should I do?"
_PAGES: Final = {
    12: "The Miradouro da Senhora do Monte has the widest view over the old town; best before ten in the morning.",
    31: "Tram 28 climbs through Alfama. Go early, or walk: the queue at Martim Moniz is long from eleven on.",
    47: "Belém: the monastery, the tower, and the bakery whose custard tarts everyone queues for.",
}
_PLAN: Final = [
    AIMessage(
        [
            {
                "type": "reasoning",
                "reasoning": "The forecast decides between viewpoints and museums, so weather first.",
            },
            {"type": "text", "text": "Let me look at the weather and the guide."},
        ],
        tool_calls=[
            {"name": "weather", "args": {"city": "Lisbon", "day": "tomorrow"}, "id": "call_1"},
            {"name": "search_guide", "args": {"query": "Lisbon, one day, clear sky"}, "id": "call_2"},
        ],
    ),
    AIMessage(
        """## A clear day in Lisbon, 14 to 22 °C

| when | where | why |
| --- | --- | --- |
| 9:00 | Miradouro da Senhora do Monte | the widest view, before the crowds |
| 10:30 | **Alfama**, on foot | tram 28 has a queue by then |
| 14:00 | Belém | monastery, tower, custard tarts |
| 19:30 | Cais do Sodré | dinner by the river |

> **Tip:** take a light jacket, the wind is 12 km/h on the hills.

```python
day = plan("Lisbon", sky="clear")
```"""
    ),
    AIMessage("Then swap Alfama for the **tile museum**, and keep Belém: the monastery has a roof. ☔"),
]
_SKY: Final = AIMessage(
    "Sunlight holds all colours. Air scatters short waves far more than long ones, by the fourth power of the"
    " wavelength, so that blue reaches the eye from every direction while red goes straight on."
)
