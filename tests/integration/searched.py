"""A site whose processes and files are searched for copies of secrets; requests byte by byte."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
import sys
import termios
import time
import unittest

import esigntest
from esigntest import Instance, children_of, wait_for

sys.path.insert(0, os.path.join(esigntest.SOURCE, "tests", "fault"))
import copies  # noqa: E402  pylint: disable=wrong-import-position
from copies import Canary  # noqa: E402  pylint: disable=wrong-import-position

DEADLINE_S = 6
OPTIONS = {"hash.memory_kib": "8192", "hash.iterations": "1", "hash.workers": "1",
           "request.deadline_ms": str(DEADLINE_S * 1000)}
SETTLE_S = 5.0  # a connection's thread wipes its last piece after the reply has left
PIN_FILES = ("/etc/credentials/", ".credentials/")  # where the service manager puts PINs
LIBRARY = "careless.so"


# --- requests, byte by byte -----------------------------------------------------------------------


def signing(password, user_id="canary", more=""):
    """The body of a signing, as a careless client may write it."""
    record = Instance.record(b"record", "batch", "B-%d" % time.monotonic_ns(), "1")
    return ('{"components":{"user_id":"%s","password":"%s"},"record":%s,"meaning":"approved"%s}'
            % (user_id, password, json.dumps(record), more)).encode()


def head(length=None, path="/v1/signatures", more=""):
    framing = "Transfer-Encoding: chunked" if length is None else "Content-Length: %d" % length
    return ("POST %s HTTP/1.1\r\nHost: esignd\r\nContent-Type: application/json\r\n%s%s\r\n\r\n"
            % (path, more, framing)).encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def framings(body, at):
    """The same request in several ways, cut at a byte of its body; each a list of writes."""
    first, second = body[:at], body[at:]
    return {"whole": [head(len(body)) + body],
            "two writes": [head(len(body)) + first, second],
            "two chunks": [head() + chunk(first) + chunk(second) + b"0\r\n\r\n"],
            "two writes of chunks": [head() + chunk(first), chunk(second) + b"0\r\n\r\n"]}


def is_taken(connection):
    """Whether the other side has read all that was sent.  Source: unix(7), SIOCOUTQ."""
    left = fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4)
    return struct.unpack("i", left)[0] == 0


def send(connection, writes):
    """Each write is read by the other side before the next."""
    for data in writes:
        try:
            connection.sendall(data)
        except BrokenPipeError:
            return  # refused before its end: the reply is there to be read
        wait_for(lambda: is_taken(connection), "the write is read")


def status_of(connection):
    """The status of the reply, which is read whole; None: there is none."""
    reply = http_reply(connection)
    return int(reply.split()[1]) if reply else None


def http_reply(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    start, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line.split()[1]) for line in start.lower().split(b"\r\n")
                  if line.startswith(b"content-length:"))
    while len(rest) < length:
        rest += connection.recv(65536)
    return data


# --- a site that is searched ----------------------------------------------------------------------


def load_tests(_loader, tests, _pattern):
    """Nobody but root may look into a process that refuses cores."""
    return tests if esigntest.ROOT else unittest.TestSuite()


class Searched(unittest.TestCase):
    """An esignd with one signer, whose password is a canary."""

    careless = ""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(OPTIONS)
        cls.addClassCleanup(cls.esignd.close)
        if cls.careless:
            cls.esignd.environment.update(carelessness(cls.esignd, cls.careless))
        cls.officers = [Canary(), Canary()]
        for officer, canary in zip(cls.esignd.officers, cls.officers):
            officer.password = canary.text
        cls.esignd.ready()
        cls.canary = Canary()
        cls.signer = cls.esignd.enrol("canary", password=cls.canary.text)
        cls.services = list(cls.esignd.status())

    def processes(self):
        """Every process of the services."""
        mains = [self.esignd.pid(name) for name in self.services]
        return mains + [worker for pid in mains for worker in children_of(pid)]

    def holders(self):
        """The processes that see passwords."""
        return [self.esignd.pid("esignd"), self.esignd.pid("hash"), *self.esignd.workers("hash")]

    def not_in(self, pids, canaries, what):
        """No copy is in the memory of these processes, or none is within SETTLE_S."""
        until = time.monotonic() + SETTLE_S
        for pid in pids:
            while found := copies.in_memory(pid, canaries):
                if time.monotonic() > until:
                    self.fail("%s: %s" % (what, found))

    def nowhere(self, canaries, what):
        """In no process, no circumstance of one, and no file: store, anchor, logs, tokens."""
        self.not_in(self.processes(), canaries, what)
        self.assertEqual(self.outside_memory(canaries), [], what)

    def outside_memory(self, canaries):
        found = copies.in_files(self.esignd.root, canaries, but=PIN_FILES)
        for pid in self.processes() + [parent_of(self.esignd.pid("esignd"))]:
            found += copies.in_circumstances(pid, canaries)
        return found

    def connection(self):
        connection = esigntest.connect(self.esignd.socket, self.esignd.application)
        self.addCleanup(connection.close)
        return connection

    @contextlib.contextmanager
    def stopped(self, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def begin(self, *canaries, esignd=None, held=None):
        """Send signings while esign-hash is stopped; their connections, when esignd holds them."""
        esignd, held = esignd or self.esignd.pid("esignd"), held or self.handed_on
        connections = [self.connection() for _ in canaries]
        for connection, canary in zip(connections, canaries):
            body = signing(canary.text)
            connection.sendall(head(len(body)) + body)
        for canary in canaries:
            wait_for(lambda c=canary: held(esignd, [c]), "esignd holds the password")
        return connections

    @staticmethod
    def handed_on(esignd, canaries):
        """Whether a request is decoded and waits for esign-hash: all copies are locked."""
        found = copies.in_memory(esignd, canaries)
        return found and all(copy.locked for copy in found)


def carelessness(esignd, words):
    """The environment of a program that is careless with secrets (tests/fault/careless.c)."""
    # beside the site, since its services may not be able to read a build folder
    path = os.path.join(esignd.root, LIBRARY)
    if not os.path.exists(path):
        shutil.copyfile(os.path.join(esigntest.BUILD, "fault", LIBRARY), path)
        os.chmod(path, 0o755)
    return {"LD_PRELOAD": path, "ESIGN_CARELESS": words}


def parent_of(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def state_of(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def is_closed(pid):
    """Whether a process refuses cores and tracing: then its memory is root's.  Source: proc(5)."""
    return os.stat("/proc/%d/mem" % pid).st_uid == 0 and uid_of(pid) != 0


def uid_of(pid):
    return os.stat("/proc/%d" % pid).st_uid


def core_limit(pid):
    with open("/proc/%d/limits" % pid, encoding="utf-8") as file:
        return next(line.split()[5] for line in file if line.startswith("Max core file size"))


# What is wrong with each request, and its body.
WRONG = {
    "a wrong password": lambda c: signing(c.text, "nobody"),
    "no JSON after it": lambda c: signing(c.text, more=",,"),
    "no JSON right after it": lambda c: signing(c.text + '",,"'),
    "an escape that is none": lambda c: signing(c.text + "\\q"),
    "no UTF-8 after it": lambda c: signing(c.text) + b"\xff",
    "a member too much": lambda c: signing(c.text, more=',"colour":1'),
    "it stands twice": lambda c: signing('%s","password":"%s' % (c.text, c.text)),
    "components twice": lambda c: signing(c.text, more=',"components":{"password":"%s"}' % c.text),
    "nested too deep": lambda c: signing(c.text, more=',"reason":' + "[" * 30 + "]" * 30),
    "too large": lambda c: signing(c.text, more=',"comment":"%s"' % ("x" * 70000)),
    "too long": lambda c: signing(c.text * 40),
    "typed as user id": lambda c: signing("another password", c.text),
    "typed as user id, and what is none": lambda c: signing("another password", c.text + " !"),
    "a member's name": lambda c: b'{"%s":1}' % c.text.encode(),
    "a component's name": lambda c: b'{"components":{"%s":1}}' % c.text.encode(),
    "in a list": lambda c: b'{"components":["%s"]}' % c.text.encode(),
    "in a plan's place": lambda c: signing("another password", more=',"plan":"%s"' % c.text),
    "nothing else": lambda c: c.text.encode(),
}
# A password where an address or a header should be.
ADDRESSES = {
    "in a query": "GET /v1/signatures?password=%s HTTP/1.1\r\nHost: esignd\r\n\r\n",
    "in a path": "GET /v1/signers/%s HTTP/1.1\r\nHost: esignd\r\n\r\n",
    "in a header": "GET /v1/status HTTP/1.1\r\nHost: esignd\r\nAuthorization: Basic %s\r\n\r\n",
    "in a key": "GET /v1/status HTTP/1.1\r\nHost: esignd\r\nIdempotency-Key: %s\r\n\r\n",
    "as a method": "%s /v1/status HTTP/1.1\r\nHost: esignd\r\n\r\n",
}
