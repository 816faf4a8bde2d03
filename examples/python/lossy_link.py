"""A relay on loopback that loses what the broker answers, and resets connections: the bad day, on demand. Only for trying things."""

import asyncio
import socket
import struct
import threading


class LossyLink:
    def __init__(self, target: str):
        self._host, port = target.rsplit(":", 1)
        self._port = int(port)
        self._delivers = True
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._relay, "127.0.0.1", 0), self._loop).result(5)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def lose_answers(self) -> None:
        """From now on requests reach the broker, and nothing comes back."""
        self._delivers = False

    def reset(self) -> None:
        """Cuts every connection with a TCP reset; new ones work."""
        self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        for client in self._clients:
            client.transport.abort()
        self._clients.clear()
        self._delivers = True

    async def _relay(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        # Close at once, with a reset, whatever is still under way.
        to_client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._clients.add(to_client)
        from_broker, to_broker = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(
            _pump(from_client, to_broker, lambda: True),
            _pump(from_broker, to_client, lambda: self._delivers),
            return_exceptions=True,
        )
        self._clients.discard(to_client)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delivers) -> None:
    try:
        while data := await source.read(65536):
            if delivers():
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
