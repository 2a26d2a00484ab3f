"""What calls of models cost, where a setting says how that is known."""

from decimal import Decimal

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage

import runspan
from runspan import Cost, ModelUsage, Settings
from runspan.cost import checked_cost
from tests.fakes import ASKED, USAGE, AgentModel, Model, look_then_answer, tool
from tests.tracing import Tracing

AMOUNT, CURRENCY, SOURCE = (f"gen_ai.usage.cost.{name}" for name in ("amount", "currency", "source"))


class OfOpenAI(Model):
    """A model that says who serves it, as packages of providers do."""

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai"}


def cost_on(span):
    return tuple(span.attributes.get(name) for name in (AMOUNT, CURRENCY, SOURCE))


def asked(cost, *answers, **model):
    """Return the spans of an agent whose models answer so, and the cost of a call is known so."""
    tracing = Tracing(Settings(cost=cost))
    given = {"answer": look_then_answer, "usage": USAGE, "params": {"model": "m-1"}, **model}
    create_agent(AgentModel(tracing=tracing, **given), [tool(tracing)], name="helper").invoke(ASKED, tracing.config)
    return tracing


def test_off_by_default():
    """Without the setting nothing is recorded."""
    tracing = asked(None)
    assert not [name for span in tracing.spans for name in span.attributes if "cost" in name]


@pytest.mark.newest  # older agents are workflows
def test_a_function_of_model_and_usage():
    """The function gets the model's name and what was used; models have the cost, the agent at the top the sum."""
    seen = []

    def cost(model, usage):
        seen.append((model, usage))
        return Cost(Decimal("0.25"), "EUR", "contract")

    tracing = asked(cost)
    provider = tracing.named("chat m-1")[0].attributes["gen_ai.provider.name"]
    assert seen == [("m-1", ModelUsage(provider, USAGE["input_tokens"], USAGE["output_tokens"]))] * 2
    assert [cost_on(span) for span in tracing.named("chat m-1")] == [(0.25, "EUR", "contract")] * 2
    agent = tracing.one("invoke_agent helper").attributes
    assert (agent["langchain.subtree.cost.amount"], agent["langchain.subtree.cost.currency"]) == (0.5, "EUR")
    assert AMOUNT not in agent


@pytest.mark.parametrize(
    "cost",
    [
        lambda *_: None,
        lambda *_: "much",
        lambda *_: float("nan"),
        lambda *_: -1,
        lambda *_: True,
        lambda *_: Cost("much"),
        lambda *_: Cost(1, 978),
        lambda *_: Cost(1, "\ud800"),
        lambda *_: Cost(1, "EUR", None),
        lambda *_: 1 / 0,
    ],
)
def test_a_cost_that_is_unknown_is_absent(cost):
    """What is no amount, or fails, is no cost, and there is no sum."""
    tracing = asked(cost)
    assert not [name for span in tracing.spans for name in span.attributes if "cost" in name]


@pytest.mark.newest
def test_a_sum_needs_all_costs_in_one_currency():
    """Where the cost of a call is unknown, or of another currency, there is no sum."""
    for second in (None, Cost(1, "EUR")):
        found = iter([1.0, second])
        tracing = asked(lambda *_: next(found))  # noqa: B023  it is called before the next
        assert cost_on(tracing.named("chat m-1")[0]) == (1.0, "USD", "application")
        assert "langchain.subtree.cost.amount" not in tracing.one("invoke_agent helper").attributes


def test_what_used_nothing_costs_nothing():
    """A call without usage has no cost, and the function is not asked."""
    tracing = Tracing(Settings(cost=lambda *_: pytest.fail("asked")))
    Model(params={"model": "m-1"}).invoke("?", tracing.config)
    assert cost_on(tracing.one("chat m-1")) == (None, None, None)


@pytest.mark.newest
def test_list_prices():
    """``genai-prices`` knows list prices; a model that it does not know has no cost."""
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    answer = AIMessage("three", usage_metadata=usage, response_metadata={"model_name": "gpt-4o-2024-08-06"})
    tracing = Tracing(Settings(cost="genai-prices"))
    OfOpenAI(answer=answer).invoke("?", tracing.config)
    OfOpenAI(answer=answer.model_copy(update={"response_metadata": {"model_name": "no-such"}})).invoke(
        "?", tracing.config
    )
    known, unknown = tracing.named("chat")
    amount, currency, source = cost_on(known)
    assert amount > 0
    assert (currency, source) == ("USD", "genai-prices")
    assert cost_on(unknown) == (None, None, None)


@pytest.mark.parametrize("found", [0, 1, 0.5, Decimal("0.5"), Cost(2), Cost(Decimal(2), "EUR")])
def test_amounts(found):
    """Numbers are amounts in US dollars; zero is one, too."""
    cost = checked_cost(found)
    assert cost.amount == float(found.amount if isinstance(found, Cost) else found)
    assert cost.currency == ("EUR" if isinstance(found, Cost) and found.currency == "EUR" else "USD")


def test_mistakes(monkeypatch):
    """Another source, or one that is not installed, is an error of one line with a remedy."""
    with pytest.raises(ValueError, match=r"cost = 'litellm' is not allowed. Give a function, \"genai-prices\" or None"):
        Settings(cost="litellm")
    with pytest.raises(ValueError, match=r"^Settings: cost = 7 is not allowed. Give a function, [^\n]*$"):
        Settings(cost=7)
    monkeypatch.setattr(runspan.settings, "is_source_installed", lambda _: False)
    with pytest.raises(ValueError, match=r"pip install 'runspan\[prices\]'"):
        Settings(cost="genai-prices")


@pytest.mark.newest
def test_the_variable(monkeypatch):
    """The variable names the package."""
    monkeypatch.setenv("RUNSPAN_COST", "genai-prices")
    assert Settings().cost == "genai-prices"
