"""Links a run to others of its invocation: span links, attempts, what an agent's subtree used."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import Link

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, is_count
from runspan.langchain.attempts import note_failure, number_attempt
from runspan.langchain.run_kinds import CHAT, TOOL, StartEvent
from runspan.runs.invocation_state import AgentUsage, ToolCallLinks, Usage
from runspan.runs.run import Run

_OPERATIONS_WITH_USAGE: Final = ("invoke_agent", "invoke_workflow")
_NOTHING: Final[Attributes] = {}


def links_to(run: Run, event: StartEvent) -> Sequence[Link]:
    """Return the links of a run that starts: a tool's to the model that asked for it, a model's to tools it reads."""
    if event.kind is TOOL and (call_id := event.tool_call_id) is not None:
        return _tool_call_links(run).links_of_tool(call_id)
    if event.kind is CHAT and (call_ids := attempt(_answered_calls, event, default=())):
        return _tool_call_links(run).links_of_model(call_ids)
    return ()


def link_run(run: Run, event: StartEvent) -> None:
    """Link a run that has begun to others: count it as work of the agent around it, number it if it is an attempt."""
    if event.graph is not None and run.start_attributes.get(semconv.OPERATION) in _OPERATIONS_WITH_USAGE:
        run.relate().agent_usage = AgentUsage()
    if not run.is_chain:
        if event.kind is TOOL and (call_id := event.tool_call_id) is not None:
            _tool_call_links(run).note_worked(call_id, run.span)
        if run.is_model or event.kind is TOOL:
            _count_call(run)
    if run.parent is not None and run.owns_span:
        number_attempt(run, run.parent, event)


def finish_links(run: Run, requested_calls: Sequence[str], attributes: Attributes) -> Attributes:
    """Note the end of a run for the runs around it, and return what is known of the runs within.

    Args:
        run: the run, still open.
        requested_calls: the calls of tools that it asks for, if it is a model.
        attributes: what its span gets.
    """
    if semconv.ERROR_TYPE in attributes or semconv.RUN_OUTCOME in attributes:
        note_failure(run, attributes)
    if run.is_model:
        if requested_calls:
            _tool_call_links(run).note_asked(requested_calls, run.span)
        _add_usage(run, attributes)
    own = run.relations.agent_usage
    if own is None or next(run.usages_around(), None) is not None:
        return _NOTHING
    total = own.total()
    if total is None:
        return _NOTHING
    return {
        semconv.SUBTREE_INPUT_TOKENS: total.input_tokens,
        semconv.SUBTREE_OUTPUT_TOKENS: total.output_tokens,
        **({} if total.cost is None else {semconv.SUBTREE_COST: total.cost, semconv.SUBTREE_CURRENCY: total.currency}),
    }


def _answered_calls(event: StartEvent) -> Sequence[str]:
    (messages,) = event.content
    return payload.answered_call_ids(messages)


def _tool_call_links(run: Run) -> ToolCallLinks:
    return run.invocation.tool_call_links if run.invocation is not None else ToolCallLinks()


def _count_call(run: Run) -> None:
    nearest = next(run.usages_around(), None)
    if nearest is not None:
        (nearest.model_calls if run.is_model else nearest.tool_calls).append(None)


def _add_usage(run: Run, attributes: Attributes) -> None:
    # What only the span of its SDK knew stands among the pending ones.
    known = {**run.record.attributes, **attributes} if run.record.attributes else attributes
    given, taken = known.get(semconv.INPUT_TOKENS), known.get(semconv.OUTPUT_TOKENS)
    if (given is None and taken is None) or next(run.usages_around(), None) is None:
        return
    cost, currency = known.get(semconv.COST_AMOUNT), known.get(semconv.COST_CURRENCY)
    usage = Usage(
        input_tokens=given if is_count(given) else 0,
        output_tokens=taken if is_count(taken) else 0,
        cost=cost if isinstance(cost, float) else None,
        currency=currency if isinstance(currency, str) else None,
    )
    for each in run.usages_around():
        each.usages.append(usage)
