"""An agent with a tool, on a local server that speaks Anthropic's Messages API; its trace goes to the terminal.

pip install 'runspan[demo,langgraph]' langchain
python examples/agent.py
"""

import sys
from pathlib import Path

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic

import runspan

sys.path.insert(0, str(Path(__file__).parent.parent))
from devtools.anthropic_server import Answer, AnthropicServer, ToolUse

ANSWERS = [Answer(tool_uses=[ToolUse("weather", {"city": "Oslo"})]), Answer("Yes, take a hat: it is sunny.")]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def main() -> None:
    """Ask the agent once."""
    with runspan.configure(service_name="agent", console=True), AnthropicServer(ANSWERS) as server:
        model = ChatAnthropic(model="claude-sonnet-5", base_url=server.url, api_key="none needed")
        agent = create_agent(model, [weather], name="guide")
        config = {
            "callbacks": [runspan.OpenTelemetryCallbackHandler()],
            "metadata": {"user_id": "anna", "session_id": "morning"},
        }
        answer = agent.invoke({"messages": ["Do I need a hat in Oslo?"]}, config)
        print(answer["messages"][-1].text)


if __name__ == "__main__":
    main()
