"""`genbench play` in a real browser: what is typed becomes pictures, nothing leaves the machine, text stays text."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_runs import Train, command

from genbench.core import ConfigError

CHROMIUM = shutil.which("chromium")
ASKED = 'a <b>red</b> circle <img src="x" onerror="document.title=1">'

browser_needed = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)")


@pytest.fixture(scope="module")
def played(captioned: Path) -> Iterator[str]:
    """The address of the page of a run that reads captions."""
    arguments = [sys.executable, "-m", "genbench", "play", f"run={captioned}", "port=0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+) draws from", said)
        assert found, said
        yield found[1]
        process.terminate()


@browser_needed
def test_a_prompt_becomes_pictures_and_stays_text(played: str) -> None:
    from playwright.sync_api import sync_playwright

    asked_for, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("request", lambda request: asked_for.append(request.url))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(played)
        page.get_by_label("prompt").fill(ASKED)
        page.get_by_label("pictures").fill("3")
        page.get_by_label("guidance").fill("2")
        page.get_by_role("button", name="draw").click()
        page.wait_for_selector("img", timeout=60_000)
        pictures = page.locator("img")
        assert pictures.count() == 3
        widths = pictures.evaluate_all("all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))")
        assert all(width >= 128 for width in widths)
        assert page.get_by_text(ASKED, exact=True).count() == 3
        assert "cannot judge" in page.locator(".verdict").first.inner_text()
        assert page.locator("b").count() == 0
        assert page.title() != "1"

        page.get_by_label("prompt").fill("a red circle")
        # not a number that is too small: the page corrects it, before or after the button is heard
        page.get_by_label("steps").fill("")
        page.get_by_role("button", name="draw").click()
        page.get_by_text("steps needs a number").wait_for(timeout=60_000)
        browser.close()
    assert asked_for
    assert all(url.startswith((played, played.replace("http", "ws"), "data:")) for url in asked_for)
    assert not complaints


def test_a_port_that_is_taken_is_told(captioned: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port={port} cannot be used"):
            command("play", f"run={captioned}", f"port={port}")


def test_an_unfinished_run_is_told_before_anything_is_served(finished: Train, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished("ddpm").path, tmp_path / "run"))
    (run / "training.json").unlink()
    with pytest.raises(Exception, match="is not finished"):
        command("play", f"run={run}", "port=0")
