#!/usr/bin/env python3
"""A plain echo server: sends back what it reads, and closes after the other side did.

A line "bye" makes it close first. Prints "ready" once it listens.

usage: echo_server.py PORT
"""

import asyncio
import sys


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
            if data.strip() == b"bye":
                break
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        pass  # the other side's reset is its own affair


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, ["0.0.0.0", "::"], port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
