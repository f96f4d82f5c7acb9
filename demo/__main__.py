"""`python -m demo [--host HOST] [--port PORT]`; port 0 takes a free one."""

import argparse

from demo.server import DemoServer


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="A backend that shows what arrived.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with DemoServer(options.host, options.port) as server:
        print(f"Listening on http://{options.host}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
