# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy between a client and a server that misbehaves on demand.

    proxy = Proxy(pg.port)          # connect to proxy.port instead
    proxy.refuse()                  # new connections are closed at once; proxy.accept() ends it
    proxy.reset()                   # every open connection gets RST
    proxy.stall(); proxy.resume()   # bytes wait, connections stay open
    proxy.blackhole()               # bytes are swallowed until resume(): the streams are broken then,
                                    # so resume() resets the connections that lost bytes
    proxy.delay(0.05)               # every chunk waits so long, each way
    proxy.lose_answers(b"COMMIT", b"apply", 3)
                                    # three times: what a client that ever sent `apply` sends with COMMIT
                                    # arrives, the answer does not, and the connection is reset
"""
import asyncio
import socket
import struct
import threading

from .ports import free_port

CHUNK = 65536


class _Link:
    """One connection through the proxy."""

    def __init__(self):
        self.said = b""     # by its client, the first of it
        self.muted = False  # nothing comes back any more


class Proxy:
    """Runs in a thread of its own. Thread: every method from any."""

    def __init__(self, target_port, target_host="127.0.0.1"):
        self.target = (target_host, target_port)
        self.host, self.port = "127.0.0.1", free_port()
        self.accepted = 0
        self.bytes = 0
        self._refuse = False
        self._swallow = False
        self._delay = 0.0
        self.lost = 0         # answers that were lost
        self._lose = (b"", b"", 0)
        self._writers = set()
        self._holed = set()
        self._loop = asyncio.new_event_loop()
        self._gate = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(started,), daemon=True, name="proxy")
        self._thread.start()
        if not started.wait(10) or self._gate is None:
            raise RuntimeError(f"the proxy does not listen on port {self.port}")

    # ---- what tests call
    def refuse(self):
        self._refuse = True

    def accept(self):
        self._refuse = False

    def delay(self, seconds):
        self._delay = seconds

    def lose_answers(self, pattern, client, times):
        self.lost, self._lose = 0, (pattern, client, times)

    def stall(self):
        self._call(self._gate.clear)

    def blackhole(self):
        self._swallow = True

    def resume(self):
        def go():
            self._swallow = False
            for writer in list(self._holed):
                self._abort(writer)
            self._holed.clear()
            self._gate.set()
        self._call(go)

    def reset(self):
        self._call(lambda: [self._abort(w) for w in list(self._writers)])

    def connections(self):
        return len(self._writers) // 2

    def stop(self):
        if self._thread.is_alive():
            self.reset()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    # ---- the loop's side
    def _main(self, started):
        asyncio.set_event_loop(self._loop)
        try:
            gate = asyncio.Event()
            gate.set()
            server = self._loop.run_until_complete(
                asyncio.start_server(self._on_client, self.host, self.port))
            self._gate = gate
            started.set()
            self._loop.run_forever()
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            started.set()
            self._loop.close()

    def _call(self, function):
        done = threading.Event()

        def run():
            function()
            done.set()
        self._loop.call_soon_threadsafe(run)
        done.wait(10)

    @staticmethod
    def _abort(writer):
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _on_client(self, reader, writer):
        self.accepted += 1
        if self._refuse:
            self._abort(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            self._abort(writer)
            return
        both, link = (writer, up_writer), _Link()
        self._writers.update(both)
        try:
            await asyncio.gather(self._pump(reader, up_writer, both, link, self._on_request),
                                 self._pump(up_reader, writer, both, link, self._on_answer))
        except (OSError, asyncio.CancelledError):
            for w in both:
                self._abort(w)
        finally:
            self._writers.difference_update(both)
            self._holed.difference_update(both)

    def _on_request(self, data, link):
        pattern, client, times = self._lose
        if len(link.said) < 4 * CHUNK:
            link.said += data
        if self.lost < times and not link.muted and pattern in data and client in link.said:
            link.muted = True
            self.lost += 1

    @staticmethod
    def _on_answer(data, link):
        if link.muted and data:
            raise ConnectionResetError("the answer is lost")

    async def _pump(self, reader, writer, both, link, look):
        while True:
            data = await reader.read(CHUNK)
            look(data, link)
            await self._gate.wait()
            if self._swallow and data:
                self._holed.update(both)
                continue
            if self._delay:
                await asyncio.sleep(self._delay)
            if not data:
                if not writer.is_closing():
                    writer.write_eof()
                return
            self.bytes += len(data)
            writer.write(data)
            await writer.drain()
