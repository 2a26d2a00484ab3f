"""A page in a real Chromium that may reach nothing, and what it complains of."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from runspan.viewer.page import static_page
from tests.ui import Ui


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open a page of a size; at the end of the test it must have complained of nothing and asked for nothing else."""
    complaints: list[str] = []
    contexts = []

    def open_page(url, width=1400, height=850, *, may_ask_for=None, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        allowed = ("data:", "blob:", may_ask_for or url)
        page.on("request", lambda request: request.url.startswith(allowed) or complaints.append(f"asks: {request.url}"))
        page.goto(url)
        page.locator(".row, .traces, .empty").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def opened(open_page, tmp_path):
    """Write a page of spans, open it."""

    def opened(spans, where="", **options):
        path = tmp_path / "trace.html"
        path.write_text(static_page(spans), "utf-8")
        return open_page(path.as_uri() + where, may_ask_for=path.as_uri(), **options)

    return opened


@pytest.fixture
def ui(tmp_path):
    """``runspan ui``, running."""
    ui = Ui(tmp_path / "traces.sqlite3")
    yield ui
    ui.stop()


@pytest.fixture(params=["file", "ui"])
def shown(request):
    """Open a page of spans: in a file, or as ``runspan ui`` shows it."""
    if request.param == "file":
        return request.getfixturevalue("opened")
    ui, open_page = request.getfixturevalue("ui"), request.getfixturevalue("open_page")

    def shown(spans, **options):
        ui.send(spans)
        return open_page(ui.url, **options)

    return shown
