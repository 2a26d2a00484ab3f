"""Calls the server within a run."""

import sys
import urllib.request

from shared import chain, handle

import runspan


def call(_):
    """Send what is current with the request."""
    request = urllib.request.Request(sys.argv[1], b"{}", runspan.inject({"x-other": "1"}))  # noqa: S310
    urllib.request.urlopen(request).read()  # noqa: S310


chain("asking", call).invoke(1)
handle.shutdown()
