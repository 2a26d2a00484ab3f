"""The prompt that a model is asked by: its name, version and variables are on the model's span."""

import asyncio

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import RunnableLambda

from runspan import Settings
from tests.fakes import Completion, Model, SyncModel
from tests.tracing import Tracing

HUB = {"lc_hub_owner": "ada", "lc_hub_repo": "greet", "lc_hub_commit_hash": "4f1c"}
PREFIX = "gen_ai.prompt."
GIVEN = {"name": "Bob", "count": 2, "half": 0.5, "past": [HumanMessage("Hi")], "none": None}


def template(**options):
    messages = [("user", "Greet {name} {count} {half} {none}."), MessagesPlaceholder("past")]
    return ChatPromptTemplate(messages, **options)


def prompt_on(span):
    return {name.removeprefix(PREFIX): value for name, value in span.attributes.items() if name.startswith(PREFIX)}


def invoke(chain, config):
    chain.invoke(GIVEN, config)


def stream(chain, config):
    list(chain.stream(GIVEN, config))


def ainvoke(chain, config):
    asyncio.run(chain.ainvoke(GIVEN, config))


@pytest.mark.parametrize("run", [invoke, stream, ainvoke])
def test_name_version_and_variables(tracing, run):
    """A prompt of LangSmith's hub has name and version; texts and numbers are variables, messages are not."""
    run(template(metadata=HUB) | Model(), tracing.config)
    assert prompt_on(tracing.one("chat")) == {
        "name": "ada/greet",
        "version": "4f1c",
        "variable.name": "Bob",
        "variable.count": "2",
        "variable.half": "0.5",
    }
    assert prompt_on(tracing.one("ChatPromptTemplate")) == {}


def test_a_long_text_is_no_variable(tracing):
    """A text of over 1,000 characters stands in the messages alone."""
    chain = ChatPromptTemplate.from_template("{short} {long}") | Model()
    chain.invoke({"short": "s" * 1000, "long": "l" * 1001}, tracing.config)
    span = tracing.one("chat")
    assert prompt_on(span) == {"variable.short": "s" * 1000}
    assert "l" * 1001 in span.attributes["gen_ai.input.messages"]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        (template(), None),
        (template(name="greeting"), "greeting"),
        (template().with_config(run_name="greeting"), "greeting"),
        (template(metadata={"lc_hub_owner": "-", "lc_hub_repo": "greet"}), "greet"),
        (template(metadata={"lc_hub_repo": 5}), None),
    ],
)
def test_the_name_of_a_prompt(tracing, prompt, name):
    """A name that its user gave counts, that of its class does not; a repository without owner is a name."""
    (prompt | Model()).invoke(GIVEN, tracing.config)
    assert tracing.one("chat").attributes.get("gen_ai.prompt.name") == name
    assert "gen_ai.prompt.version" not in tracing.one("chat").attributes


def test_models_after_the_prompt_and_no_others(tracing):
    """It is the prompt just before in the same chain, through fallbacks too; a model elsewhere has none."""
    failing = SyncModel(answer=ValueError("no"))
    first = template(name="first") | failing.with_fallbacks([Model(params={"model": "b"}).with_retry()])
    apart = RunnableLambda(lambda _: Model(params={"model": "apart"}).invoke("?"), name="apart")
    second = RunnableLambda(lambda _: GIVEN) | template(name="second") | Model(params={"model": "c"})
    (first | apart | second).invoke(GIVEN, tracing.config)
    names = {span.name: span.attributes.get("gen_ai.prompt.name") for span in tracing.spans if "chat" in span.name}
    assert names == {"chat": "first", "chat b": "first", "chat apart": None, "chat c": "second"}


def test_completion_models_have_prompts(tracing):
    """So have completion models."""
    (PromptTemplate.from_template("Greet {name}.") | Completion()).invoke({"name": "Bob"}, tracing.config)
    assert prompt_on(tracing.one("text_completion")) == {"variable.name": "Bob"}


@pytest.mark.parametrize("where", ["none", "event"])
def test_variables_are_content(where):
    """Where no content may be on spans there are no variables, but name and version."""
    tracing = Tracing(Settings(capture_content=where))
    (template(metadata=HUB) | Model()).invoke(GIVEN, tracing.config)
    assert prompt_on(tracing.one("chat")) == {"name": "ada/greet", "version": "4f1c"}
