"""The socket of a running service: strangers, drips, ambiguous requests."""

import os
import socket
import threading
import time
import unittest

import esigntest
from esigntest import Caller, Instance, connect, req

# tier: quick

STRANGERS = 10000
DEADLINE_MS = 1000
HEAD = b"GET /v1/status HTTP/1.1\r\nHost: esignd\r\n"


def answer(connection):
    """What the other end sends before it closes or falls silent; b"" if it only closes."""
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            piece = connection.recv(4096)
            if not piece:
                break
            received += piece
    except ConnectionError:
        pass
    return received


class Socket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance({"request.deadline_ms": str(DEADLINE_MS)})
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()

    def raw(self, data):
        with connect(self.esignd.socket, self.esignd.terminal) as connection:
            connection.sendall(data)
            return answer(connection)

    @req("design 5")
    def test_request__ambiguous__refused(self):
        for extra in (b"Host: other\r\n", b"Content-Length: 0\r\nContent-Length: 2\r\n",
                      b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                      b"Transfer-Encoding: gzip\r\n", b"A b: c\r\n"):
            with self.subTest(extra=extra):
                self.assertIn(b" 400 ", self.raw(HEAD + extra + b"\r\n").split(b"\r\n")[0])
        self.assertIn(b" 200 ", self.raw(HEAD + b"\r\n").split(b"\r\n")[0])

    @req("design 5")
    def test_request__drips__cut_at_the_deadline(self):
        began = time.monotonic()
        with connect(self.esignd.socket, self.esignd.terminal) as connection:
            connection.sendall(HEAD)
            connection.settimeout(0.02)
            while time.monotonic() - began < esigntest.WAIT_S:
                try:
                    connection.sendall(b"a")
                    if connection.recv(1) == b"":
                        break
                except socket.timeout:
                    continue
                except ConnectionError:
                    break
        took_ms = (time.monotonic() - began) * 1000
        self.assertGreater(took_ms, DEADLINE_MS / 2)
        self.assertLess(took_ms, DEADLINE_MS * 10)

    @req("design 5")
    def test_connection__many_requests__kept(self):
        connection = self.esignd.connection(self.esignd.terminal)
        for number in range(20):
            path, expected = ("/v1/nothing", 404) if number % 2 else ("/v1/status", 200)
            status, reply = connection.send_json("GET", path)
            self.assertEqual(status, expected, reply)
        connection.close()

    if esigntest.ROOT:  # an ordinary user has no second user id to be a stranger with

        @req("11.10(d)", "design 5")
        def test_connect__strangers__none_read_and_few_entries(self):
            os.chmod(self.esignd.socket, 0o666)  # the file's mode would keep them out before us
            stranger = Caller(61900, (61900,))
            served, done = [], threading.Event()

            def customer():
                connection = self.esignd.connection(self.esignd.terminal)
                while not done.is_set():
                    served.append(connection.send_json("GET", "/v1/status")[0])
                connection.close()

            connect(self.esignd.socket, self.esignd.terminal).close()
            other = threading.Thread(target=customer)
            other.start()
            try:
                for _ in range(STRANGERS):
                    with connect(self.esignd.socket, stranger) as connection:
                        try:
                            connection.sendall(HEAD + b"\r\n")
                        except ConnectionError:
                            pass
                        self.assertEqual(answer(connection), b"")
            finally:
                done.set()
                other.join()
            self.assertGreater(len(served), 10)
            self.assertEqual(set(served), {200})
            self.assertLessEqual(len(self.refused()), 2)
            self.esignd.stop().start()
            entries = self.refused()
            self.assertLessEqual(len(entries), 3)
            self.assertEqual(sum(entry["new"]["count"] for entry in entries), STRANGERS)
            self.assertEqual({entry["actor"]["uid"] for entry in entries}, {61900})

        def refused(self):
            found, after = [], None
            while True:
                page = self.esignd.get("/v1/audit/entries?limit=200" +
                                       ("" if after is None else "&after=%s" % after))
                found += [e for e in page["items"] if e["action"] == "peer.refused"]
                if "next" not in page:
                    return found
                after = page["next"]


if __name__ == "__main__":
    esigntest.main()
