"""A websocket server that says back what it hears: `python -m benchmarks.websocket_echo PORT`."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    """One websocket, until the peer closes it."""
    async for message in connection:
        await connection.send(message)


async def listen(port: int) -> None:
    """Serve for ever."""
    async with serve(echo, "127.0.0.1", port) as server:
        print(f"Listening on http://127.0.0.1:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1])))
