"""The events that runspan emits; a name is that of a log record."""

from typing import Final

from runspan.semconv.name_table import OWN, Level, attribute, event, ours

_ALL: Final = "all"
_MODELS: Final = "models"
_GRAPHS: Final = "graphs"

DETAILS_EVENT: Final = event(
    "gen_ai.client.inference.operation.details", Level.RECOMMENDED, _MODELS, "what the span says, content structured"
)
EXCEPTION_EVENT: Final = event("gen_ai.client.operation.exception", Level.RECOMMENDED, _MODELS, "a call that failed")
CUSTOM_EVENT: Final = event("langchain.custom", Level.OURS, _ALL, "`dispatch_custom_event`: its name, its data", OWN)
RETRY_EVENT: Final = event("langchain.retry", Level.OURS, _ALL, "another attempt is going to be made", OWN)
TEXT_EVENT: Final = event("langchain.text", Level.OURS, _ALL, "a text that a run gave", OWN)
INTERRUPT_EVENT: Final = event("langgraph.interrupt", Level.OURS, _GRAPHS, "a graph waits for its user", OWN)
RESUME_EVENT: Final = event("langgraph.resume", Level.OURS, _GRAPHS, "a graph goes on", OWN)
EVALUATION_EVENT: Final = event(
    "gen_ai.evaluation.result", Level.RECOMMENDED, _ALL, "what `record_evaluation` was given"
)

# What they alone have.
EVENT_NAME: Final = ours("langchain.event.name", "`langchain.custom`", "the name that the application gave")
RETRY_WAIT: Final = ours("langchain.retry.wait", "`langchain.retry`", "seconds until the next attempt")
_EVALUATIONS: Final = "`gen_ai.evaluation.result`, spans of evaluations"
EVALUATION_NAME: Final = attribute("gen_ai.evaluation.name", Level.REQUIRED, _EVALUATIONS, "what was judged")
EVALUATION_VALUE: Final = attribute("gen_ai.evaluation.score.value", Level.CONDITIONAL, _EVALUATIONS, "as a number")
EVALUATION_LABEL: Final = attribute("gen_ai.evaluation.score.label", Level.CONDITIONAL, _EVALUATIONS, "as a word")
EVALUATION_EXPLANATION: Final = attribute("gen_ai.evaluation.explanation", Level.RECOMMENDED, _EVALUATIONS, "")
