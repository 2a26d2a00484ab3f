"""A page in a real Chromium that may reach nothing, and what it complains of."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright


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
