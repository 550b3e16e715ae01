"""A gateway that runs for the length of a `with` block, on free ports, and is killed at its end."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

DRAIN_AT_ONCE = '[shutdown]\ndrain_delay = "0s"\n'


def binary() -> Path:
    """The binary under test: `POINTSMAN_BIN`, or what `cargo build` made."""
    named = os.environ.get("POINTSMAN_BIN")
    path = Path(named) if named else REPOSITORY / "target" / "debug" / "pointsman"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run `cargo build` first, or tests/all")
    return path.resolve()


class Gateway:
    """The real binary over a registry; its addresses are known once the block is entered."""

    def __init__(self, models: Path, config: str = "", patience: float = 60.0):
        """`config` is added to the configuration file; `patience` bounds the start, in seconds."""
        self.models = models
        self.config = DRAIN_AT_ONCE + config
        self.patience = patience
        self.http = self.grpc = self.metrics = self.admin = ""

    @property
    def url(self) -> str:
        """The base of every REST address."""
        return f"http://{self.http}"

    def __enter__(self) -> "Gateway":
        self._scratch = tempfile.TemporaryDirectory(prefix="pointsman-test-")
        scratch = Path(self._scratch.name)
        (scratch / "pointsman.toml").write_text(self.config)
        self._log = scratch / "log"
        arguments = ["serve", self.models, "--config", scratch / "pointsman.toml"]
        for listener in ("http", "grpc", "metrics", "admin"):
            arguments += [f"--{listener}", "127.0.0.1:0"]
        arguments += ["--ready-file", scratch / "ready.json"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [binary(), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._await(scratch / "ready.json")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()

    def log(self) -> str:
        """What it has printed and logged so far."""
        return self._log.read_text(errors="replace")

    def _await(self, ready: Path) -> None:
        """Waits for the ready file, which appears whole or not at all, and reads the addresses."""
        deadline = time.monotonic() + self.patience
        while not ready.exists():
            if self._process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self._process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready within {self.patience} s:\n{self.log()[-4000:]}")
            time.sleep(0.01)
        addresses = json.loads(ready.read_text())
        for listener in ("http", "grpc", "metrics", "admin"):
            setattr(self, listener, addresses[listener])
