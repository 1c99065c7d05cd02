"""The pages of a site and of a coordinator in a real browser: live, without scripts, small, dark."""

import json
import os
import threading
from pathlib import Path

import pytest
from small_study import make_small_plan

from fedsynth_client.steward_page import steward_view
from fedsynth_common.errors import InputError
from fedsynth_common.local_page.server import LocalPage
from fedsynth_server.coordinator.study_facts import StudyWatch
from fedsynth_server.coordinator.study_page import study_view
from fedsynth_server.study.folder import StudyFolder
from fedsynth_server.study.state import State, StateFile
from fedsynth_server.superlink.control import Courier, RunStatus
from fedsynth_server.training.curves import FIT, IN_ROUNDS, REFIT, Recorder

PLAN = make_small_plan("marginals", study="covid")
SITE = {
    "dataset": "people of the northern hospital",
    "cap": 3.0,
    "delta": 1e-6,
    "spent": 1.25,
    "left": 1.75,
    "studies": {"covid": {"epsilon": 1.25, "steps": 3, "planned": 26}},
    "running": {
        "vault": True,
        "courier": False,
        "connected": False,
        "newer": [],
        "faults": ["the courier does not run: start it with fedsynth site connect"],
    },
    "ledger": {"sound": True, "fault": None, "seq": 3},
}


class Link:
    def status(self, run):
        return RunStatus("running")

    def couriers(self):
        return [Courier(1, PLAN.sites[0], "online")]


@pytest.fixture
def shown():
    """Serves views, and stops them at the end."""
    running = []

    def serve(view):
        page = LocalPage(view, "t" * 32, 0)
        thread = threading.Thread(target=page.serve, daemon=True)
        thread.start()
        running.append((page, thread))
        return page.address

    yield serve
    for page, _ in running:
        page.stop()
    for _, thread in running:
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def study(tmp_path):
    folder = StudyFolder(tmp_path)
    folder.plan_file.write_bytes(PLAN.to_json())
    folder.remember_run(1)
    progress = StateFile(folder.state_file, State("covid", PLAN.digest, epsilon_planned=3, run="1"))
    recorder = Recorder()
    for step in range(200):
        recorder.add(FIT, step, 100.0 / (1 + step))
        recorder.add(IN_ROUNDS, step, 1.0 + 0.3 / (1 + step))
        recorder.add(REFIT, 200 + step, 0.9 + 0.1 / (1 + step))
    progress._recorder = recorder
    progress.seconds["adversarial rounds"] = 60.0
    progress.update("adversarial rounds", 12, 24)
    progress.state.waiting = {PLAN.sites[1]: "the plan is not approved there; asked again in 40 s"}
    progress.state.notes = ["round 3: south: no reply before the deadline"]
    progress.write()
    return folder, progress


def opened(browser, address, width=1280, dark=False, scripts=True):
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme], "media": ""})
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get_log("browser")
    browser.get(address)


def keep(browser, name):
    """For a person who wants to look: a picture in the folder of this environment variable."""
    if folder := os.environ.get("FEDSYNTH_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(f"{folder}/{name}.png")


def until(browser, text):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def there(driver):
        return text in driver.find_element(By.TAG_NAME, "body").text

    WebDriverWait(browser, 30).until(there)


def test_the_sites_page_follows_what_happens_without_loading_again(browser, shown):
    facts = json.loads(json.dumps(SITE))
    opened(browser, shown(steward_view("site", lambda: facts)))
    until(browser, "3 of 26")
    browser.execute_script("window.mark = 'the same page'")
    facts["running"] = {**facts["running"], "courier": True, "connected": True, "faults": []}
    facts["studies"]["covid"]["steps"] = 4
    until(browser, "4 of 26")
    until(browser, "The courier runs and is connected.")
    assert browser.execute_script("return window.mark") == "the same page"
    assert browser.get_log("browser") == []
    keep(browser, "site-desktop")


def test_a_command_that_was_stopped_is_noticed(browser):
    page = LocalPage(steward_view("site", lambda: SITE), "t" * 32, 0)
    thread = threading.Thread(target=page.serve, daemon=True)
    thread.start()
    opened(browser, page.address)
    until(browser, "3 of 26")
    page.stop()
    thread.join(30)
    until(browser, "hears nothing any more")
    until(browser, "3 of 26")


def test_a_fault_takes_the_place_of_the_facts(browser, shown):
    def facts():
        raise InputError("policy <b>.toml: cannot be read")

    opened(browser, shown(steward_view("site", facts)))
    until(browser, "policy <b>.toml: cannot be read")


def test_the_coordinators_page_follows_a_study(browser, shown, study):
    folder, progress = study
    opened(browser, shown(study_view("study", StudyWatch(folder, Link()).facts)))
    until(browser, "step 12 of 24")
    until(browser, "the plan is not approved there")
    until(browser, "1 of 3 couriers are connected")
    count = "return document.querySelectorAll('figure polyline').length"
    assert browser.execute_script(count) == 3
    keep(browser, "study-desktop")
    progress.update("adversarial rounds", 24, 24)
    until(browser, "step 24 of 24")
    assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []


def test_without_scripts_the_page_is_whole_and_loads_itself_again(browser, shown):
    facts = json.loads(json.dumps(SITE))
    try:
        opened(browser, shown(steward_view("site", lambda: facts)), scripts=False)
        until(browser, "3 of 26")
        facts["studies"]["covid"]["steps"] = 5
        until(browser, "5 of 26")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280], ids=["phone", "desktop"])
def test_nothing_sticks_out_and_the_colours_are_the_readers(browser, shown, study, width, dark):
    views = {
        "site": steward_view("site", lambda: SITE),
        "study": study_view("study", StudyWatch(study[0], Link()).facts),
    }
    for name, view in views.items():
        opened(browser, shown(view), width=width, dark=dark)
        until(browser, "covid")
        keep(browser, f"{name}-{width}-{'dark' if dark else 'light'}")
        wide = "return document.documentElement.scrollWidth - window.innerWidth"
        assert browser.execute_script(wide) <= 0
        paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") is not dark
