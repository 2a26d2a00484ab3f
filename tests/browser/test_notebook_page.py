"""Traces in a notebook, as its page shows them."""

from playwright.sync_api import expect

from runspan.viewer.notebook import ShownTraces
from tests.browser.traces import agent_trace


def test_a_trace_is_a_page_within_the_notebook(open_page, tmp_path):
    """Within a frame that reaches nothing of the notebook the page works: clicks, keys, Markdown."""
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>x</title><p class=empty>cell</p>{ShownTraces(agent_trace())._repr_html_()}")
    page = open_page(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator(".row", has_text="m-1").last.click()
    expect(frame.locator(".detail h2")).to_have_text("chat m-1")
    expect(frame.locator(".detail .markdown h3")).to_have_text("Sunny")
    page.keyboard.press("[")
    expect(frame.locator(".detail .divide")).to_have_text(["Answer"])
