"""The pictures in the documentation: what each backend shows of the agent.

Of Jaeger there is none: as it is built with Go, it has no pages.
"""

import os
import struct
from pathlib import Path

import pytest

from tests.interop import invocations
from tests.interop.browser import take_picture
from tests.interop.servers import MLflow, Phoenix

SIZE = (1500, 750)


@pytest.mark.parametrize(("kind", "name"), [(Phoenix, "phoenix"), (MLflow, "mlflow")])
def test_the_page_of_a_trace(kind, name, backends, sender, tmp_path):
    """The page of the agent's trace opens, and a picture of it is taken, into the folder PICTURES if it is set."""
    ((trace_id, _),) = sender.traces(invocations.agent)
    folder = Path(os.environ.get("PICTURES", tmp_path))
    folder.mkdir(exist_ok=True)
    picture = take_picture(backends[kind].page(trace_id), folder / f"{name}.png", size=SIZE)
    begin = picture.read_bytes()[:24]
    assert begin.startswith(b"\x89PNG")
    assert struct.unpack(">II", begin[16:24]) == SIZE
    assert picture.stat().st_size > 20_000, "an empty page"
