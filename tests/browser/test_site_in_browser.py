"""The documentation site in a real browser: its search finds, and nothing is asked of another host."""

import functools
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("index.html", "docs/SCHEMA.html", "reference/commands/site.html")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Print nothing."""


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    """Where the built site is served: search needs a server, the pages themselves do not."""
    out = tmp_path_factory.mktemp("docs") / "site"
    subprocess.run(
        [sys.executable, ROOT / "docs/site/build_site.py", "--out", out],
        check=True,
        capture_output=True,
    )
    handler = functools.partial(Quiet, directory=str(out))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def asked_hosts(browser):
    """The hosts of all requests since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [
        one["params"]["request"]
        for one in messages
        if one["method"].endswith("BeSent") and "request" in one["params"]
    ]
    addresses = [urlsplit(request["url"]) for request in sent]
    return {one.netloc for one in addresses if one.scheme not in ("data", "blob")}


def test_the_search_finds_and_no_other_host_is_asked(browser, address):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")
    for log in ("performance", "browser"):
        browser.get_log(log)  # what other pages said before
    browser.get(f"{address}/index.html?q=ledger")
    found = WebDriverWait(browser, 60).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".md-search-result__item")
    )
    assert all("ledger" in one.get_attribute("textContent").lower() for one in found[:3])
    first = found[0].find_element(By.TAG_NAME, "a").get_attribute("href")
    assert "/reference/python/" not in first
    for page in PAGES:
        browser.get(f"{address}/{page}")
    assert asked_hosts(browser) == {urlsplit(address).netloc}
    assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_scrolls_down_and_not_sideways(browser, address, page):
    size = browser.get_window_size()
    browser.set_window_size(500, 900)  # the narrowest window that Chromium makes
    try:
        browser.get(f"{address}/{page}")
        wide = "return document.documentElement.scrollWidth - window.innerWidth"
        assert browser.execute_script(wide) <= 0
    finally:
        browser.set_window_size(size["width"], size["height"])
