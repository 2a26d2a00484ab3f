"""Puts three messages into a queue: two from one run, one from nowhere."""

import json

from shared import chain, handle

import runspan


def put(number):
    """Put a message."""
    print(json.dumps({"body": number, "headers": runspan.inject({})}))


producing = chain("producing", put)
chain("asking", lambda numbers: [producing.invoke(number) for number in numbers]).invoke([1, 2])
print(json.dumps({"body": 3}))
handle.shutdown()
