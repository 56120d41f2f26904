"""A headless Chromium, driven over its DevTools protocol through two pipes.

https://chromedevtools.github.io/devtools-protocol; messages are JSON, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "KCOMPILE_BROWSER"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def browser_program() -> str:
    """The Chromium that tests use; required in CI, else the test is skipped without one."""
    named = os.environ.get(VARIABLE)
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail("a headless Chromium is required here: make browser")
    pytest.skip("no Chromium: make browser installs one")


class Page:
    """One open page, and all that it said and asked for."""

    def __init__(self, process: subprocess.Popen[bytes], told: int, heard: int) -> None:
        self._process, self._told, self._heard = process, told, heard
        self._rest = b""
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []
        """Console messages, uncaught exceptions, and what the browser logged."""
        self.requests: list[str] = []
        """Addresses that were asked for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Network.emulateNetworkConditions",
            offline=True, latency=0, downloadThroughput=0, uploadThroughput=0,
        )  # fmt: skip

    def open(self, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Opens a file in a window of so many pixels and waits until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, *, whole: bool = False) -> bytes:
        """What the window shows, or the whole page, as a PNG."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **(
            {"clip": {**self._size(), "x": 0, "y": 0, "scale": 1}} if whole else {}
        ))  # fmt: skip
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """The page as it is printed, by its own paper size."""
        answer = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _size(self) -> dict[str, Any]:
        root = "document.documentElement"
        return self.evaluate(f"({{width: {root}.scrollWidth, height: {root}.scrollHeight}})")

    def _wait_for(self, event: str) -> None:
        while self._read().get("method") != event:
            pass

    def _read(self) -> dict[str, Any]:
        """The next message; what it says about the page is noted."""
        limit = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._heard], [], [], max(0.0, limit - time.monotonic()))
            more = os.read(self._heard, 1 << 20) if ready else b""
            if not more:
                raise RuntimeError(f"no answer; exit status {self._process.poll()}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, said: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{said['type']}: {said['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {said['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"log: {said['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])


@contextmanager
def chromium(program: str, folder: Path) -> Generator[Page]:
    """A headless Chromium with one page and a profile of its own in ``folder``."""
    to_browser, told = os.pipe()
    heard, from_browser = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4; these must not be in the way.
    inputs, outputs = (
        fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (to_browser, from_browser)
    )

    def hand_over() -> None:
        os.dup2(inputs, 3)
        os.dup2(outputs, 4)

    process = subprocess.Popen(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={folder}/profile",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=(3, 4), preexec_fn=hand_over, start_new_session=True,  # noqa: PLW1509
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    for fd in (to_browser, from_browser, inputs, outputs):
        os.close(fd)
    try:
        yield Page(process, told, heard)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(told)
        os.close(heard)
