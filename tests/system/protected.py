"""A stand-alone proxy that asks everybody who he is, with one backend behind an agent that has a token."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.system.processes import ROOT, Process, free_port, interpreter
from tests.system.rawhttp import get
from tests.timing import SECOND, wait_until

ACCOUNT: Final = "build-7"
BACKEND: Final = "notebook"

Tables = Mapping[str, Mapping[str, Any]]


def make_token(file: Path, account: str, *more: str) -> str:
    """A token, as an operator makes one."""
    command = [interpreter("standalone"), "-m", "standalone.tokens", "add", account, f"--file={file}", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def revoke_tokens(file: Path, account: str, *more: str) -> None:
    """Take them back."""
    command = [interpreter("standalone"), "-m", "standalone.tokens", "revoke", account, f"--file={file}", *more]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)


class Protected:
    """The proxy. `tables` are those of its file beside `[listen]`, `[agents]` and one backend."""

    def __init__(self, folder: Path, tables: Tables, *, end_user: str = "allUsers", listen: Any = None) -> None:
        self.folder = folder
        self.tokens = folder / "agents.tokens"
        self.token = make_token(self.tokens, ACCOUNT)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._tables = {
            "listen": {"users": [f"127.0.0.1:{self.port}"], **(listen or {})},
            "agents": {"tokens": str(self.tokens)},
            **tables,
        }
        self._end_user = end_user
        self.process = self._start()
        self.agents: list[Process] = []

    def _start(self) -> Process:
        lines = []
        for table, keys in self._tables.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        lines += ["[[backends]]", f'id = "{BACKEND}"', f'end-user = "{self._end_user}"', f'backend-user = "{ACCOUNT}"']
        config = self.folder / "proxy.toml"
        config.write_text("\n".join(lines) + "\n")
        argv = [interpreter("standalone"), "-m", "standalone", f"--config={config}"]
        process = Process("standalone", argv, log=self.folder / "standalone.log")
        process.wait_for_url()
        return process

    def restart(self, **tables: Mapping[str, Any]) -> None:
        """End it and start it again, with some tables changed."""
        self.process.stop()
        for table, keys in tables.items():
            self._tables[table] = {**self._tables.get(table, {}), **keys}
        self.process = self._start()

    def start_agent(
        self, backend_url: str, *, token: str = "", flags: tuple[str, ...] = ("--forward-user-id",)
    ) -> Process:
        """An agent with a token, which is in a file, as `docs/standalone.md` says."""
        file = self.folder / f"token-{len(self.agents)}"
        file.write_text(f"{token or self.token}\n")
        argv = [
            *(interpreter("agent"), "-m", "agent"),
            *(f"--proxy={self.url}", f"--backend={BACKEND}", f"--host={backend_url}", f"--credentials=file:{file}"),
            *flags,
        ]
        agent = Process("agent", argv, log=self.folder / f"agent-{len(self.agents)}.log")
        self.agents.append(agent)
        return agent

    def wait_until_online(self, *fields: tuple[str, str]) -> None:
        """Return when a request of somebody who may come in gets as far as an agent."""
        wait_until(
            lambda: get(self.url, "/online", *fields).reason != "no-agent", within=20 * SECOND, what="an agent online"
        )

    def stop(self) -> None:
        for agent in self.agents:
            agent.kill()
        self.process.stop()

    def logged(self) -> str:
        """All that it has printed."""
        return self.process.printed()
