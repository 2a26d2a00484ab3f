"""Which agent runs a tool."""

from runspan import semconv
from runspan.attributes import Attributes
from runspan.runs.run import Run


def executing_agent(run: Run) -> Attributes:
    """Return the name of the nearest agent around a run, nothing if that has none or there is no agent."""
    for each in run.lineage():
        if each.start_attributes.get(semconv.OPERATION) == "invoke_agent":
            name = each.start_attributes.get(semconv.AGENT_NAME)
            return {semconv.AGENT_NAME: name} if name else {}
    return {}
