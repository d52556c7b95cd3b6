"""The command `esign` against a daemon that is faked here: exit codes, messages, secrets."""

import base64
import hashlib
import http.server
import json
import os
import pty
import select
import shutil
import signal
import socketserver
import subprocess
import tempfile
import termios
import threading
import time
import unittest

import esigntest
from esigntest import req

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
        self.asked, self.replies = [], {}


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


class Exits(Faked):
    @req("design 5")
    def test_any__no_daemon__exit_3_and_what_to_do(self):
        done = self.run_esign("status", socket=self.file("nothing"))
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"esign: E_BUSY(unreachable): nothing answers at", done.stderr)
        self.assertIn(b"systemctl start esignd", done.stderr)

    @req("design 5")
    def test_any__connection_closed__peer_denied(self):
        done = self.run_esign("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_PEER_DENIED(closed)", done.stderr)

    @req("design 5")
    def test_any__html_instead_of_json__proto(self):
        self.server.replies["GET /v1/status"] = (200, b"<html>")
        done = self.run_esign("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_PROTO(reply)", done.stderr)

    @req("design 5", "requirements 0.2")
    def test_any__problem__one_line_with_code_reason_detail_field(self):
        self.server.replies["POST /v1/tickets/T-1/cancel"] = problem(
            "E_SIGNER_STATE", reason="locked", detail="signer jdoe is locked",
            field="components.user_id")
        done = self.run_esign("cancel", "T-1", "--reason", "no")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(done.stderr.decode().splitlines()[0],
                         "esign: E_SIGNER_STATE(locked): signer jdoe is locked "
                         "(field: components.user_id)")
        self.assertIn(b"esign signer unlock", done.stderr)

    @req("design 5")
    def test_any__control_characters_in_a_message__not_printed(self):
        self.server.replies["GET /v1/status"] = problem("E_HSM", 503, detail="a\x1b[2Jb\r\nc")
        done = self.run_esign("status")
        self.assertIn(b"esign: E_HSM: a?[2Jb??c\n", done.stderr)
        self.assertNotIn(b"\x1b", done.stderr)

    @req("design 5")
    def test_command_line__unusable__exit_2_and_nothing_asked(self):
        for words in ((), ("nonsense",), ("status", "extra"), ("status", "--record", "a:b:c"),
                      ("sign", self.record, "--meaning", "approved"),
                      ("sign", self.record, "--meaning", "m", "--record", "a:b"),
                      ("approve",), ("approve", "a b/c"), ("cancel", "T-1"),
                      ("verify", self.record, "--trust", "x"), ("--nonsense",),
                      ("verify", self.record, "--offline"), ("audit", "show", "x"),
                      ("verify", self.record, "--report", "long"),
                      ("decline", "T-1", "--reason", "no", "--password-fd", "77", "--as", "a"),
                      ("terminal", "add", "t", "--reason", "r", "--location", "l")):
            with self.subTest(words=words):
                done = self.run_esign(*words)
                # an id that is no id is refused by the library before anything is sent
                self.assertEqual(done.returncode, 1 if "a b/c" in words else 2, done.stderr)
                self.assertTrue(done.stderr.startswith(b"esign: "))
        self.assertEqual(self.server.asked, [])

    @req("design 5")
    def test_help_and_version__no_daemon_needed(self):
        for words in (("--help",), ("--version",), ("sign", "--help"), ("audit", "list", "-h")):
            done = self.run_esign(*words, socket=self.file("nothing"))
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stderr, b"")
            self.assertGreater(len(done.stdout), 10)

    @req("design 5")
    def test_socket__environment__used(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["GET /v1/health"] = health_reply()
        done = subprocess.run([ESIGN, "status"], check=False, stdout=subprocess.PIPE, timeout=60,
                              env={**os.environ, "ESIGN_SOCKET": self.socket})
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"warning: look here\n", done.stdout)

    @req("requirements 2.4", "design 5")
    def test_status__health__one_line_and_exit_code(self):
        for reply, line, code in (
                (health_reply(disk=("ok", "much")), b"ok\n", 0),
                (health_reply(clock=("warn", "off"), disk=("ok", "much")),
                 b"warn: clock: off\n", 0),
                (health_reply(clock=("warn", "off"), token_ca=("fail", "gone\x1b[2J"),
                              hash=("fail", "dead")),
                 b"fail: token-ca: gone?[2J; hash: dead\n", 1)):
            with self.subTest(line=line):
                self.server.replies["GET /v1/health"] = reply
                done = self.run_esign("status", "--health")
                self.assertEqual((done.stdout, done.returncode), (line, code), done.stderr)
                done = self.run_esign("status", "--health", "--json")
                self.assertEqual(json.loads(done.stdout), reply[1])
                self.assertEqual(done.returncode, code)
        self.assertEqual(self.run_esign("status", "--health",
                                        socket=self.file("nothing")).returncode, 3)

    @req("requirements 2.4", "design 5")
    def test_status__not_ready__shown_with_the_check_and_exit_1(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["GET /v1/health"] = health_reply(hash=("fail", "dead"))
        done = self.run_esign("status")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, rb"NOT READY to sign\n  fail  *hash  *dead\n")
        self.assertIn(b"warning: look here\n", done.stdout)

    @req("design 5")
    def test_output__full_disk__exit_1(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["GET /v1/health"] = health_reply()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([ESIGN, "-s", self.socket, "status"], check=False, stdout=full,
                                  stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)


class Lists(Faked):
    @req("design 5")
    def test_list__parts__one_aligned_table(self):
        self.server.replies["GET /v1/meanings"] = (
            200, {"items": [{"code": "approved", "version": 1, "text": "I approve."}],
                  "next": "approved"})
        self.server.replies["GET /v1/meanings?after=approved"] = (
            200, {"items": [{"code": "ü", "version": 12, "text": "Ich prüfe."}]})
        done = self.run_esign("meaning", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.decode().splitlines(), [
            "CODE      VERSION  TEXT", "approved  1        I approve.",
            "ü         12       Ich prüfe."])

    @req("design 5")
    def test_list__empty__says_none(self):
        self.server.replies["GET /v1/tickets?signer=jdoe"] = (200, {"items": []})
        done = self.run_esign("tickets", "--as", "jdoe")
        self.assertEqual((done.returncode, done.stdout), (0, b"none\n"))

    @req("design 5")
    def test_list__json_and_limit__the_reply_as_it_came(self):
        self.server.replies["GET /v1/tickets?limit=1"] = (200, b'{"items": [ {} ],"next":"T-1"}')
        done = self.run_esign("tickets", "--limit", "1", "--json")
        self.assertEqual(done.stdout, b'{"items": [ {} ],"next":"T-1"}\n')

    @req("11.10(e)")
    def test_export__parts__bytes_unchanged(self):
        self.server.replies["GET /v1/audit/export?limit=500"] = (200, '{"seq":0}\n{"seq": 1}\n')
        self.server.replies["GET /v1/audit/export?limit=500&after=1"] = (200, '{"seq":2}\n')
        self.server.replies["GET /v1/audit/export?limit=500&after=2"] = (200, "")
        done = self.run_esign("audit", "export", "-o", self.file("out"))
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.file("out"), "rb") as file:
            self.assertEqual(file.read(), b'{"seq":0}\n{"seq": 1}\n{"seq":2}\n')

    @req("11.10(e)")
    def test_audit_verify__broken__exit_1(self):
        for result, code in (("ok", 0), ("broken", 1)):
            self.server.replies["GET /v1/audit/verification"] = (
                200, {"size": 9, "bad_seq": 4 if code else -1, "checkpoint_size": 9,
                      "result": result, "detail": ""})
            self.assertEqual(self.run_esign("audit", "verify").returncode, code)


class Signing(Faked):
    ARGUMENTS = ("--record", "batch:B-7:3", "--meaning", "approved", "--as", "jdoe")

    @req("11.200(a)(1)", "11.70")
    def test_sign__application__one_request_and_file(self):
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/signatures"] = (201, signature_reply())
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"Signed by  Jane Doe\n", done.stdout)
        with open(self.record + ".p7s", "rb") as file:
            self.assertEqual(file.read(), b"DER of a signature")
        self.assertEqual(self.bodies("/v1/signatures"), [{
            "components": {"user_id": "jdoe", "password": PASSWORD}, "meaning": "approved",
            "record": {"type": "batch", "id": "B-7", "version": "3",
                       "media_type": "application/octet-stream",
                       "content": base64.b64encode(b"the record").decode()}}])

    @req("11.200(a)(1)", "11.70")
    def test_sign__terminal__ticket_is_shown_and_authorised(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["POST /v1/tickets"] = (201, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, "-o", self.file("o"),
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"I approve this record.", done.stdout)
        self.assertNotIn("components", self.bodies("/v1/tickets")[0])
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [{
            "components": {"user_id": "jdoe", "password": PASSWORD}, "nonce": "ab" * 16,
            "presented_hash": hashlib.sha256(b"the record").hexdigest()}])

    @req("11.10(d)")
    def test_sign_and_approve__output_not_writable__nothing_asked(self):
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        for words in (("sign", self.record, *self.ARGUMENTS), ("approve", "T-1", "--as", "jdoe")):
            for out in (os.path.join(self.directory, "missing", "o"), self.directory):
                with self.subTest(words=words, out=out):
                    done = self.run_esign(*words, "-o", out, passwords=[PASSWORD])
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(b"can't be written: ", done.stderr)
                    self.assertIn(b"; nothing was signed. Use -o FILE", done.stderr)
        self.assertEqual(self.server.asked, [])
        self.assertEqual(sorted(os.listdir(self.directory)), ["record.txt", "sock"])

    @req("11.10(d)", "11.70")
    def test_sign__output_lost_meanwhile__told_not_to_sign_again(self):
        gone = self.file("gone")
        os.mkdir(gone)

        def sign():
            os.rmdir(gone)
            return 201, signature_reply()
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/signatures"] = sign
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, "-o",
                              os.path.join(gone, "o"), passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rb"signed: G-1, but .* can't be written: No such file")
        self.assertIn(b"The signature is valid; do not sign again: "
                      b"esign signature show G-1 -o FILE\n", done.stderr)
        self.assertNotIn(b"E_INTERNAL", done.stderr)

    @req("design 5")
    def test_sign__large_record__password_in_a_small_body_only(self):
        content = os.urandom(100_000)
        self.write("large", content)
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/tickets"] = (201, ticket_reply(content))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        done = self.run_esign("sign", self.file("large"), *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        for _, path, body in self.server.asked:
            self.assertTrue(len(body) < 65536 or PASSWORD.encode() not in body, path)

    @req("11.70")
    def test_sign__digest_only__no_bytes_sent(self):
        self.server.replies["POST /v1/tickets"] = (201, ticket_reply(b"the record"))
        done = self.run_esign("ticket", "create", self.record, "--record", "batch:B-7:3",
                              "--meaning", "approved", "--digest-only", "--signer", "jdoe")
        self.assertEqual(done.returncode, 0, done.stderr)
        body = self.bodies("/v1/tickets")[0]
        self.assertEqual(body["signer"], "jdoe")
        self.assertEqual(body["record"]["sha256"], hashlib.sha256(b"the record").hexdigest())
        self.assertEqual(body["record"]["length"], 10)
        self.assertNotIn("content", body["record"])

    @req("11.10(d)")
    def test_sign__post__sent_once_even_if_the_connection_dies(self):
        self.server.replies["GET /v1/status"] = status_reply("application")
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(self.bodies("/v1/signatures")), 1)
        self.assertFalse(os.path.exists(self.record + ".p7s"))

    @req("11.200(a)(1)")
    def test_approve__ready__what_was_shown_is_returned(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        done = self.run_esign("approve", "T-1", "--as", "jdoe", "--record-file", self.record,
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        for shown in ("B-7", "3", "I approve this record.", "mes",
                      hashlib.sha256(b"the record").hexdigest()[:16]):
            self.assertIn(shown, text)
        self.assertIn("not written to a file: esign signature show G-1 -o FILE\n", text)
        body = self.bodies("/v1/tickets/T-1/authorise")[0]
        self.assertEqual(body["nonce"], "ab" * 16)

    @req("11.70")
    def test_approve__another_record_on_the_screen__nothing_sent(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"something else"))
        done = self.run_esign("approve", "T-1", "--as", "jdoe", "--record-file", self.record,
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_RECORD_MISMATCH", done.stderr)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("requirements 3.6")
    def test_approve__not_ready__password_not_asked(self):
        self.server.replies["GET /v1/tickets/T-1"] = (
            200, ticket_reply(b"the record", state="signed"))
        done = self.run_esign("approve", "T-1", "--as", "jdoe")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_CONFLICT", done.stderr)
        self.assertIn(b"signed", done.stderr)


class Verifying(Faked):
    def verify(self, indication, reason="", *words):
        self.server.replies["POST /v1/validations"] = (200, {
            "indication": indication, "reason": reason, "detail": "Because.", "checks": [
                {"name": "record", "result": "pass", "detail": ""},
                {"name": "chain", "result": "unknown", "detail": "No trust."}],
            "signer": {"printed_name": "Jane Doe", "user_id": "jdoe"}, "facts": {}})
        self.write("record.txt.p7s", b"CMS")
        return self.run_esign("verify", self.record + ".p7s", *words)

    @req("11.10(a)", "11.70")
    def test_verify__each_indication__its_exit(self):
        for indication, reason, code in (("TOTAL_PASSED", "", 0),
                                         ("TOTAL_FAILED", "RECORD_ALTERED", 1),
                                         ("INDETERMINATE", "NO_TRUST_ANCHOR", 4)):
            done = self.verify(indication, reason)
            self.assertEqual(done.returncode, code)
            first = done.stdout.decode().splitlines()[0]
            self.assertEqual(first, indication + (f"({reason})" if reason else "") + ": Because.")

    @req("11.70")
    def test_verify__record_beside_the_signature__its_digest_is_sent(self):
        self.verify("TOTAL_PASSED", "", "--record", "batch:B-7:3")
        self.assertEqual(self.bodies("/v1/validations"), [{
            "signature": base64.b64encode(b"CMS").decode(),
            "record": {"type": "batch", "id": "B-7", "version": "3",
                       "sha256": hashlib.sha256(b"the record").hexdigest()}}])

    @req("design 5")
    def test_verify__detailed__all_checks(self):
        text = self.verify("INDETERMINATE", "NO_TRUST_ANCHOR", "--report",
                           "detailed").stdout.decode()
        self.assertIn("pass     record\n", text)
        self.assertIn("unknown  chain: No trust.\n", text)
        self.assertIn("printed name  Jane Doe\n", text)

    @req("design 5")
    def test_verify__json__verdict_and_exit(self):
        done = self.verify("TOTAL_FAILED", "SIG_INVALID", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["reason"], "SIG_INVALID")

    @req("design 5")
    def test_verify__reply_without_verdict__refused(self):
        self.write("s.p7s", b"CMS")
        self.server.replies["POST /v1/validations"] = (200, {})
        self.assertEqual(self.run_esign("verify", self.file("s.p7s")).returncode, 1)


class Officers(Faked):
    @req("11.200(a)(3)")
    def test_approve__what_is_asked_for__is_shown_first(self):
        self.server.replies["GET /v1/approvals/A-1"] = (200, {
            "approval": "A-1", "state": "pending", "action": "signer.enroll", "user_id": "jdoe",
            "requested_by_user": "mkeller", "reason": "new"})
        self.server.replies["GET /v1/signers/jdoe"] = (200, {
            "user_id": "jdoe", "printed_name": "Jane Doe",
            "evidence": {"method": "in-person", "document_type": "passport"}})
        self.server.replies["POST /v1/approvals/A-1/approve"] = (200, {
            "approval": "A-1", "state": "approved", "object": "signer/jdoe", "secret": "HALF-2"})
        done = self.run_esign("approvals", "approve", "A-1", "--as", "psato",
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        for shown in (b"Jane Doe", b"in-person", b"passport", b"mkeller", b"HALF-2"):
            self.assertIn(shown, done.stdout)

    @req("11.300")
    def test_activate__descriptor__receipt_secret_password_in_order(self):
        self.server.replies["POST /v1/signers/jdoe/activate"] = (
            200, {"signer": {"user_id": "jdoe", "state": "active"}})
        done = self.run_esign("signer", "activate", "jdoe", "--accept", "accountability:1",
                              passwords=["R-1", "S-2", PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.bodies("/v1/signers/jdoe/activate"), [{
            "receipt": "R-1", "secret": "S-2", "password": PASSWORD,
            "accept_statement": {"code": "accountability", "version": 1}}])

    @req("requirements 5.10")
    def test_init__officers__a_password_each(self):
        officers = {"organisation": "O", "ca_name": "C", "terminal": {"id": "t"}, "officers": [
            {"user_id": "a", "printed_name": "A"}, {"user_id": "b", "printed_name": "B"}]}
        config = self.write("esignd.conf", b'separation = "none"; tokens = ();')
        self.server.replies["POST /v1/init"] = (201, {"origin": "o", "officers": [
            {"user_id": "a", "signer_id": "S-1"}]})
        done = self.run_esign("init", "--officers", self.write("o.json", officers), "--config",
                              config, passwords=["first one", "second one"])
        self.assertEqual(done.returncode, 0, done.stderr)
        sent = self.bodies("/v1/init")[0]
        self.assertEqual([o["password"] for o in sent["officers"]], ["first one", "second one"])
        self.assertIn(b"S-1", done.stdout)

    @req("11.300")
    def test_init__password_in_the_file__refused(self):
        officers = {"officers": [{"user_id": "a", "password": "x"}]}
        config = self.write("esignd.conf", b'separation = "none"; tokens = ();')
        done = self.run_esign("init", "--officers", self.write("o.json", officers), "--config",
                              config, passwords=["x"])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.server.asked, [])

    @req("11.10(d)")
    def test_application_add__user_by_name__uid_and_rights(self):
        self.server.replies["POST /v1/approvals"] = (
            201, {"approval": "A-2", "state": "pending", "action": "application.add"})
        done = self.run_esign("application", "add", "mes", "--name", "MES", "--uid", "root",
                              "--rights", "ticket,read", "--reason", "needed", "--as", "mkeller",
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        body = self.bodies("/v1/approvals")[0]
        self.assertEqual(body["params"],
                         {"id": "mes", "name": "MES", "uid": 0, "rights": ["ticket", "read"]})
        self.assertIn(b"esign approvals approve A-2", done.stdout)


class Tokens(Faked):
    """`esign token init` with a program that stands for esign-token."""

    def setUp(self):
        super().setUp()
        self.config = self.write("esignd.conf", b'separation = "none";\n'
                                 b'tokens = ( { name = "signers"; } );\n')
        self.credentials = self.file("credentials")
        os.mkdir(self.credentials, 0o700)
        self.program = self.file("esign-token")

    def make(self, script, name="signers"):
        with open(self.program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(self.program, 0o755)
        return self.run_esign("token", "init", name, "--config", self.config, "--credentials",
                              self.credentials, "--token-program", self.program)

    @req("11.300", "design 2")
    def test_token_init__new__pins_made_and_passed_as_credentials(self):
        out = self.file("seen")
        done = self.make('echo "$@" >%s; cat $CREDENTIALS_DIRECTORY/pin '
                         "$CREDENTIALS_DIRECTORY/so-pin >>%s; echo >>%s; "
                         "stat -c %%a $CREDENTIALS_DIRECTORY $CREDENTIALS_DIRECTORY/pin >>%s\n"
                         % (out, out, out, out))
        self.assertEqual(done.returncode, 0, done.stderr)
        files = {}
        for kind in ("pin", "so-pin"):
            path = os.path.join(self.credentials, "signers." + kind)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o400)
            with open(path, encoding="ascii") as file:
                files[kind] = file.read().strip()
            self.assertEqual(len(files[kind]), 32)
        self.assertNotEqual(files["pin"], files["so-pin"])
        with open(out, encoding="ascii") as file:
            seen = file.read()
        self.assertEqual(seen.splitlines()[0], "--config %s --token signers --init" % self.config)
        self.assertIn(files["pin"] + files["so-pin"], seen)
        self.assertEqual(seen.split()[-2:], ["700", "400"])
        self.assertEqual(sorted(os.listdir(self.credentials)), ["signers.pin", "signers.so-pin"])

    @req("design 2")
    def test_token_init__program_fails__no_pin_file_and_can_be_repeated(self):
        self.assertEqual(self.make("exit 1\n").returncode, 1)
        self.assertFalse(os.path.exists(os.path.join(self.credentials, "signers.pin")))
        self.assertEqual(self.make("exit 0\n").returncode, 0)
        self.assertEqual(sorted(os.listdir(self.credentials)), ["signers.pin", "signers.so-pin"])

    @req("design 2")
    def test_token_init__pins_there__kept(self):
        for kind in ("pin", "so-pin"):
            path = os.path.join(self.credentials, "signers." + kind)
            with open(path, "w", encoding="ascii") as file:
                file.write("12345678")
            os.chmod(path, 0o400)
        out = self.file("seen")
        self.assertEqual(self.make("cat $CREDENTIALS_DIRECTORY/pin >%s\n" % out).returncode, 0)
        with open(out, encoding="ascii") as file:
            self.assertEqual(file.read(), "12345678")

    @req("design 2")
    def test_token_init__not_in_the_configuration__usage(self):
        self.assertEqual(self.make("exit 0\n", "other").returncode, 2)


class Secrets(Faked):
    @req("11.300")
    def test_secret__while_it_runs__not_in_argv_or_environment(self):
        # the daemon's answer is held back until the process was looked at from outside
        look, go_on = threading.Event(), threading.Event()

        def held():
            look.set()
            go_on.wait(30)
            return 200, signature_reply()

        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = held
        reader, writer = os.pipe()
        os.write(writer, PASSWORD.encode() + b"\n")
        os.close(writer)
        with subprocess.Popen([ESIGN, "-s", self.socket, "approve", "T-1", "--as", "jdoe",
                               "--password-fd", str(reader)], pass_fds=(reader,),
                              stdout=subprocess.PIPE) as process:
            os.close(reader)
            self.assertTrue(look.wait(30))
            for name in ("cmdline", "environ"):
                try:
                    with open("/proc/%d/%s" % (process.pid, name), "rb") as file:
                        self.assertNotIn(PASSWORD.encode(), file.read())
                except PermissionError:
                    pass  # not dumpable: nobody but root can look
            go_on.set()
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0)

    @req("11.300")
    def test_secret__no_terminal_and_no_descriptor__refused(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        done = self.run_esign("approve", "T-1", "--as", "jdoe")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--password-fd", done.stderr)

    @req("11.300")
    def test_secret__descriptor_without_a_line__refused(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        done = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])


class Terminal(Faked):
    """Prompts on a pseudo-terminal."""

    def spawn(self, *words):
        self.screen = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(ESIGN, [ESIGN, "--socket", self.socket, *words])
        self.addCleanup(os.close, self.terminal)

    def read_until(self, text, bound_s=30.0):
        until = time.monotonic() + bound_s
        while text not in self.screen:
            if time.monotonic() > until:
                self.fail("not on the screen: %r in %r" % (text, self.screen))
            ready, _, _ = select.select([self.terminal], [], [], 0.1)
            if ready:
                try:
                    self.screen += os.read(self.terminal, 4096)
                except OSError:
                    break
        self.assertIn(text, self.screen)

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

    def approve(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        self.spawn("approve", "T-1", "--as", "jdoe")
        self.read_until(b"Password of jdoe: ")

    @req("11.300")
    def test_prompt__typed__not_echoed_and_sent(self):
        self.approve()
        os.write(self.terminal, PASSWORD.encode() + b"\n")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0)
        self.assertNotIn(PASSWORD.encode(), self.screen)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise")[0]["components"]["password"],
                         PASSWORD)

    @req("11.300")
    def test_prompt__interrupted__echo_is_back_and_nothing_sent(self):
        self.approve()
        self.assertFalse(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        os.write(self.terminal, b"half a pass")
        os.kill(self.pid, signal.SIGINT)
        status = os.waitpid(self.pid, 0)[1]
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertEqual(os.WTERMSIG(status), signal.SIGINT)
        self.assertTrue(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("11.300")
    def test_prompt__empty__refused(self):
        self.approve()
        os.write(self.terminal, b"\n")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("11.300", "requirements 3.1")
    def test_activate__typed__statement_shown_and_password_twice(self):
        self.server.replies["GET /v1/statements"] = (200, {"items": [
            {"code": "accountability", "version": 1, "text": "I am accountable."}]})
        self.server.replies["POST /v1/signers/jdoe/activate"] = (
            200, {"signer": {"user_id": "jdoe", "state": "active"}})
        for again, code in ((PASSWORD + "x", 1), (PASSWORD, 0)):
            self.spawn("signer", "activate", "jdoe")
            for prompt, answer in ((b"accept this statement: ", "yes"), (b"who asked: ", "R-1"),
                                   (b"approved: ", "S-2"), (b"New password: ", PASSWORD),
                                   (b"the same again: ", again)):
                self.read_until(prompt)
                os.write(self.terminal, answer.encode() + b"\n")
            self.assertEqual(os.waitstatus_to_exitcode(self.end()), code, self.screen)
            self.assertIn(b"I am accountable.", self.screen)
            self.assertEqual(len(self.bodies("/v1/signers/jdoe/activate")), 1 - code)

    @req("11.10(j)")
    def test_activate__statement_not_accepted__nothing_sent(self):
        self.server.replies["GET /v1/statements"] = (200, {"items": [
            {"code": "accountability", "version": 1, "text": "I am accountable."}]})
        self.spawn("signer", "activate", "jdoe")
        self.read_until(b"accept this statement: ")
        os.write(self.terminal, b"no\n")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1)
        self.assertEqual(self.bodies("/v1/signers/jdoe/activate"), [])


if __name__ == "__main__":
    esigntest.main()
