"""Takes messages from a queue, here its standard input, one line for each."""

import json
import sys

from shared import chain, handle

import runspan

for line in sys.stdin:
    message = json.loads(line)
    with runspan.extract(message.get("headers")):
        chain("consumed").invoke(message["body"])
handle.shutdown()
