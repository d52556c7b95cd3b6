"""A daemon that is faked, and the command `esign` run against it: from scripts, or typed on a
pseudo-terminal."""

import base64
import hashlib
import http.server
import json
import os
import pty
import select
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest

import esigntest

ESIGN = os.path.join(esigntest.BUILD, "client", "esign")
PASSWORD = "correct horse battery staple"
MEANING = {"code": "approved", "version": 1, "text": "I approve this record."}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from server.replies: {"METHOD path": (status, object)}; keeps what was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, body))
        self.server.keys.append((self.path, self.headers.get("Idempotency-Key")))
        reply = self.server.replies.get("%s %s" % (self.command, self.path))
        if callable(reply):
            reply = reply()
        if reply is None:
            self.close_connection = True
            return
        status, content = reply
        kind = "application/json" if status < 300 else "application/problem+json"
        if isinstance(content, str):
            kind, data = "application/jsonl", content.encode()
        elif isinstance(content, bytes):
            data = content
        else:
            data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if data:
            self.wfile.write(data)

    do_GET = do_POST = answer

    def address_string(self):
        return "peer"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.asked, self.keys, self.replies = [], [], {}


def problem(code, status=403, **members):
    return status, {"type": "about:blank", "title": "t", "status": status, "code": code,
                    "retryable": False, **members}


def status_reply(kind):
    return 200, {"version": "0.1.0", "state": "ready", "peer": {"kind": kind, "id": "x"},
                 "tokens": [{"name": "signers", "role": ["signer"], "state": "ready"}],
                 "clock": {"state": "synchronised", "error_ms": 3}, "warnings": ["look here"]}


def health_reply(**states):
    """Checks by name: (state, detail); ready unless one has failed."""
    checks = [{"name": name.replace("_", "-"), "state": state, "detail": detail}
              for name, (state, detail) in states.items()]
    return 200, {"live": True, "ready": all(c["state"] != "fail" for c in checks),
                 "checks": checks}


def signature_reply():
    return {"signature": "G-1", "ticket": "T-1", "state": "signed", "value":
            base64.b64encode(b"DER of a signature").decode(),
            "manifestation": "Signed by  Jane Doe\nMeaning    approved"}


def ticket_reply(content, **members):
    return {"ticket": "T-1", "state": "ready", "nonce": "ab" * 16, "meaning": MEANING,
            "record": {"type": "batch", "id": "B-7", "version": "3", "length": len(content),
                       "media_type": "text/plain", "hash": hashlib.sha256(content).hexdigest()},
            "plan": "single", "application": "mes", "expires": "2026-11-22T13:18:07.123Z",
            **members}


SESSION = "5e551015" * 8


def session_reply(**members):
    return 201, {"session": SESSION, "idle_s": 300, "absolute_s": 28800,
                 "signer": {"user_id": "jdoe", "printed_name": "Jane Doe"},
                 "last_signing": {"count": 12, "signature": "G-0",
                                  "time": "2026-11-21T08:00:00.000Z"}, **members}


class Faked(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="esign-cli-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.socket = os.path.join(self.directory, "sock")
        self.server = Server(self.socket)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.record = os.path.join(self.directory, "record.txt")
        with open(self.record, "wb") as file:
            file.write(b"the record")

    def file(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(self.file(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else json.dumps(content).encode())
        return self.file(name)

    def run_esign(self, *words, passwords=None, environment=None, socket=None):
        argv = [ESIGN, "--socket", socket or self.socket, *words]
        kept = ()
        if passwords is not None:
            reader, writer = os.pipe()
            os.write(writer, "".join(p + "\n" for p in passwords).encode())
            os.close(writer)
            self.addCleanup(os.close, reader)
            kept = (reader,)
            argv += ["--password-fd", str(reader)]
        return subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, pass_fds=kept, timeout=60,
                              start_new_session=True,
                              env={**os.environ, **(environment or {})})

    def bodies(self, path):
        return [json.loads(body) for method, asked, body in self.server.asked
                if method == "POST" and asked == path]

    def keys(self, path):
        return [key for asked, key in self.server.keys if asked == path]


class Typed(Faked):
    """Prompts on a pseudo-terminal."""

    def spawn(self, *words):
        self.screen, self.seen = b"", 0
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(ESIGN, [ESIGN, "--socket", self.socket, *words])
        self.addCleanup(os.close, self.terminal)

    def read_until(self, text, bound_s=30.0):
        """Read until text comes, after what an earlier call waited for."""
        until = time.monotonic() + bound_s
        while text not in self.screen[self.seen:]:
            if time.monotonic() > until:
                self.fail("not on the screen: %r in %r" % (text, self.screen))
            ready, _, _ = select.select([self.terminal], [], [], 0.1)
            if ready:
                try:
                    self.screen += os.read(self.terminal, 4096)
                except OSError:
                    break
        self.assertIn(text, self.screen[self.seen:])
        self.seen = self.screen.index(text, self.seen) + len(text)

    def type(self, *lines):
        """Answer one prompt after the other: (prompt, answer)."""
        for prompt, answer in lines:
            self.read_until(prompt)
            os.write(self.terminal, answer.encode() + b"\n")

    def end(self):
        """Read the rest; the status of the process."""
        while True:
            try:
                data = os.read(self.terminal, 4096)
            except OSError:
                break
            if not data:
                break
            self.screen += data
        return os.waitpid(self.pid, 0)[1]
