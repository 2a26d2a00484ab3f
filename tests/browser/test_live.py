"""The page of ``runspan ui``, as traces come."""

import pytest
from playwright.sync_api import expect

from runspan.recording.otlp_json import otlp_line
from tests.browser.test_page import agent_trace, expect_chosen
from tests.recorded import link, model_call, recorded, text
from tests.ui import Ui


@pytest.fixture
def ui(tmp_path):
    """The running command."""
    ui = Ui(tmp_path / "traces.sqlite3")
    yield ui
    ui.stop()


def send(ui, *spans):
    """Send spans as an exporter does."""
    body = b"".join(map(otlp_line, spans))
    for line in body.splitlines():
        assert ui.ask("POST", "/v1/traces", line, content_type="application/json")[0] == 200


def test_traces_appear_as_they_come(ui, open_page):
    """The list shows a new trace without being asked, and an open trace its new spans; what is chosen stays chosen."""
    page = open_page(f"http://127.0.0.1:{ui.port}/")
    page.get_by_text("No traces yet").wait_for()
    page.get_by_text("● live").wait_for()
    send(ui, *agent_trace()[:3])
    page.locator(".traces a").click()
    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("]")
    expect_chosen(page, "chat m-1")
    send(ui, *agent_trace()[3:])
    page.locator(".row").nth(6).wait_for()
    expect_chosen(page, "chat m-1")
    page.keyboard.press("Escape")
    send(ui, recorded(1, name="later", trace_id=5, start=50, attributes=model_call([text("user", "Next?")], [])))
    page.get_by_text("Next?").wait_for()
    expect(page.locator(".traces a")).to_have_count(2)


def test_a_link_to_another_trace_is_followed(ui, open_page):
    """A graph that was resumed leads to the trace that it was interrupted in."""
    send(
        ui, recorded(7, name="interrupted", trace_id=5), recorded(1, name="resumed", links=[link(7, "resumed_from", 5)])
    )
    where = f"http://127.0.0.1:{ui.port}/"
    page = open_page(f"{where}#/trace/0af7651916cd43dd8448eb211c80319c", may_ask_for=where)
    page.get_by_role("link", name="Resumed from").click()
    page.get_by_role("heading", name="interrupted", level=2).wait_for()
