"""esign-token alone, on a private SoftHSM2 behind the module of tests/fault/token, asked in frames
(daemon/base/worker/FORMAT.md) as esignd asks it.

    service = TokenService(self)         # made, with one P-256 key; not started
    service.start()
    service.faulty.rules("call=C_Sign times=1 rv=0x30")
    reply = service.sign()               # Reply: status, reason, detail, cause, body
"""

import collections
import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import esigntest
from faulty import Faulty

HEADER = struct.Struct(">4sHBBIIII")
MAGIC, FRAME_MAX, ANSWER_S = b"ESW1", 24 + 131072, 30
INFO, GENERATE, SIGN = 1, 2, 4
P256, RSA3072 = 1, 3
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
USER = 65534  # root may write what is read-only
WORKER_DIED = 401, "worker"

Reply = collections.namedtuple("Reply", "status reason detail cause body")


def blob(data):
    return struct.pack(">I", len(data)) + data


def take_blob(data):
    size = struct.unpack_from(">I", data)[0]
    return data[4:4 + size], data[4 + size:]


def reply_of(status, body):
    if status == 0:
        return Reply(0, "", "", 0, body)
    reason, rest = take_blob(body)
    _, rest = take_blob(rest)
    detail, rest = take_blob(rest)
    return Reply(status, reason.decode(), detail.decode(), struct.unpack(">Q", rest)[0], b"")


class TokenService:
    """One supervisor with its workers. test: a TestCase or its class, which takes it down."""

    def __init__(self, test, workers=1):
        self.root = tempfile.mkdtemp(prefix="esign-service-")
        (test.addClassCleanup if isinstance(test, type) else test.addCleanup)(self.close)
        os.chmod(self.root, 0o755)
        self.process, self.connection, self.number = None, None, 0
        self.faulty = Faulty(os.path.join(self.root, "faulty"))
        self.key = secrets.token_bytes(16)
        for name in ("tokens", "credentials", "run"):
            os.mkdir(os.path.join(self.root, name), 0o700)
            self.give(name)
        for name in ("pin", "so-pin"):
            self.write(os.path.join("credentials", name), "123456", 0o400)
        self.write("softhsm2.conf", "directories.tokendir = %s/tokens\nobjectstore.backend = file\n"
                   % self.root)
        lines = ["SOFTHSM2_CONF=%s/softhsm2.conf" % self.root, *self.faulty.environment(SOFTHSM)]
        self.write("conf", """
            system_class = "closed"; system = "test"; separation = "%s";
            users: { daemon = "root"; }; roles: { signer = "t"; ca = "t"; log = "t"; };
            tokens = ( { name = "t"; module = "%s"; uri = "pkcs11:token=t"; workers = %d;
                         socket = "%s/run/sock"; environment = ( %s ); } );
            """ % ("users" if esigntest.ROOT else "none", self.faulty.module, workers, self.root,
                   ", ".join('"%s"' % line for line in lines)))
        self.spawn("--init").wait(ANSWER_S)
        self.start()
        made = self.generate(self.key)
        if made.status != 0:
            raise AssertionError("no key: %s" % (made,))
        self.stop()

    # folders

    def give(self, name):
        if esigntest.ROOT:
            os.chown(os.path.join(self.root, name), USER, USER)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.root, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w",
                  encoding="utf-8") as file:
            file.write(text)
        self.give(name)

    # life

    def spawn(self, *arguments):
        who = {"user": USER, "group": USER, "extra_groups": []} if esigntest.ROOT else {}
        program = os.path.join(esigntest.installed_prefix(), "libexec", "esignd", "esign-token")
        with open(os.path.join(self.root, "log"), "ab") as log:
            return subprocess.Popen(
                [program, "--config", os.path.join(self.root, "conf"), "--token", "t", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **who,
                env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0",
                     "CREDENTIALS_DIRECTORY": os.path.join(self.root, "credentials")})

    def start(self):
        self.process = self.spawn()

    def stop(self):
        """Its exit code."""
        self.hang_up()
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        return process.wait(ANSWER_S)

    def close(self):
        if self.process:
            self.process.kill()  # its workers die with it
            self.process.wait(ANSWER_S)
        self.hang_up()
        said = self.log()
        shutil.rmtree(self.root, ignore_errors=True)
        for word in esigntest.SANITIZER_WORDS:
            if word in said:
                raise AssertionError(said[said.index(word) - 200:][:4000])

    def log(self):
        with open(os.path.join(self.root, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def workers(self):
        return esigntest.children_of(self.process.pid)

    # requests

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def connect(self):
        """A service that has just started makes its socket."""
        path = os.path.join(self.root, "run", "sock")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(ANSWER_S)

        def reached():
            try:
                connection.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True

        esigntest.wait_for(reached, "esign-token can be reached")
        return connection

    def exchange(self, op, body, deadline_ms):
        """The reply's header and body; None: the connection ended."""
        self.connection = self.connection or self.connect()
        self.number += 1
        try:
            self.connection.send(HEADER.pack(MAGIC, op, 0, 0, self.number, deadline_ms, 0,
                                             len(body)) + body)
            data = self.connection.recv(FRAME_MAX)
        except (BrokenPipeError, ConnectionResetError):
            data = b""
        return (HEADER.unpack_from(data), data[HEADER.size:]) if data else None

    def ask(self, op, body=b"", deadline_ms=ANSWER_S * 1000):
        """One request and its reply; a worker that died is told as esignd tells it."""
        if self.connection and select.select([self.connection], [], [], 0)[0]:
            self.hang_up()  # its worker has ended since the last answer
        answer = self.exchange(op, body, deadline_ms)
        if answer is None:
            self.hang_up()
            return Reply(*WORKER_DIED, "the worker died", 0, b"")
        (_, _, flags, _, _, _, status, _), content = answer
        if flags & 1:
            self.hang_up()
        return reply_of(status, content)

    def sign(self, key=None, deadline_ms=ANSWER_S * 1000):
        return self.ask(SIGN, (key or self.key) + blob(secrets.token_bytes(32)), deadline_ms)

    def generate(self, key, algorithm=P256):
        return self.ask(GENERATE, bytes([algorithm]) + key + blob(b"key"))
