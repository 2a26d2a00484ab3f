"""What each of the two processes has: a chain with a handler, delivery to the receiver of the test."""

from langchain_core.runnables import RunnableLambda

import runspan

handle = runspan.configure()
CONFIG = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}


def chain(name, then=lambda x: x):
    """Make a chain that traces itself."""
    return RunnableLambda(then, name=name).with_config(CONFIG)
