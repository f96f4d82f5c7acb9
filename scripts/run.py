"""`make run`: the stand-alone proxy, a backend and its agent, all on this machine.

The backend is the demo, or the server of `--backend-url`. When a page really comes through the proxy, one line with the
address to open is printed. Ctrl-C ends everything.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from scripts.children import Child, ChildDied, Children, Stopped
from scripts.readiness import NotReady, ask, is_answered, is_carried, parse_port, require_environment, require_free

BACKEND_ID = "demo"
GRACE = "2s"
"""What agent and proxy give to requests that run when everything stops: less than `Children` gives them."""


@dataclass(frozen=True, slots=True)
class Options:
    """`backend_url` is the user's own server, or empty for the demo."""

    port: int
    backend_url: str


def parse_options(arguments: Sequence[str]) -> Options:
    """The flags. Raises `NotReady` for one that makes no sense."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__, add_help=False)
    parser.add_argument("--port", default="8080")
    parser.add_argument("--backend-url", default="")
    flags = parser.parse_args(arguments)
    return Options(parse_port(flags.port), flags.backend_url and _parse_server_url(flags.backend_url))


def _parse_server_url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.path in ("", "/"):
            return f"{parts.scheme}://{parts.netloc}"
    raise NotReady(f"BACKEND_URL is {text!r}, and not like http://127.0.0.1:8888, without a path.")


def run(options: Options) -> None:
    """Start all, say where, and watch until asked to stop. Raises `NotReady`, `ChildDied`, `TimeoutError`."""
    require_free(options.port, how=f"Choose another: make run PORT={_another(options.port)}")
    proxy_python, agent_python = require_environment("standalone"), require_environment("agent")
    with Children() as children:
        try:
            backend_url = options.backend_url or start_demo(children, proxy_python)
            proxy = start_proxy(children, proxy_python, options.port)
            proxy_url = f"http://127.0.0.1:{options.port}"
            start_agent(children, agent_python, proxy=proxy_url, backend_url=backend_url, credentials="none")
            with proxy.muted():
                _wait_for_page(children, options)
        except Stopped:
            return
        print(f"Open {proxy_url}/ (Ctrl-C stops)", flush=True)
        children.watch()


def start_demo(children: Children, python: str) -> str:
    """Start the demo backend on a free port; its URL."""
    demo = children.start("demo backend", [python, "-m", "demo", "--port=0"])
    return children.wait_for_line(demo, r"Listening on (http://\S+)")[1]


def start_proxy(children: Children, python: str, port: int) -> Child:
    """Start the stand-alone proxy in open mode, on loopback."""
    flags = [f"--port={port}", "--open", f"--graceful-shutdown-timeout={GRACE}"]
    proxy = children.start("proxy", [python, "-m", "standalone", *flags])
    children.wait_for_line(proxy, r"Listening on http://")
    return proxy


def start_agent(children: Children, python: str, *, proxy: str, backend_url: str, credentials: str) -> None:
    """Start an agent for the backend; it connects when the proxy is there."""
    flags = {
        "proxy": proxy,
        "backend": BACKEND_ID,
        "host": backend_url,
        "credentials": credentials,
        "graceful-shutdown-timeout": GRACE,
        "disable-gce-vm-header": "true",
        "forward-user-id": "true",
    }
    children.start("agent", [python, "-m", "agent", *(f"--{name}={value}" for name, value in flags.items())])


def _wait_for_page(children: Children, options: Options) -> None:
    if not options.backend_url:
        children.wait_until(lambda: is_answered(options.port), what="the demo page", timeout=30)
        return
    children.wait_until(lambda: is_carried(options.port), what="an answer of the agent", timeout=30)
    with suppress(TimeoutError):
        answer = ask(options.port)
        if answer is None or answer.reason:
            print(f"Nothing answers at {options.backend_url} yet: start it.", file=sys.stderr)


def _another(port: int) -> int:
    return port + 1 if port < 65535 else 8080


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    try:
        run(parse_options(arguments))
    except (NotReady, ChildDied, TimeoutError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
