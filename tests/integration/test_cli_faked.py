"""The command `esign` against a faked daemon: exit codes, messages, secrets."""

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import esigntest
from clitest import ESIGN, Faked, PASSWORD, health_reply, problem, signature_reply, status_reply, \
    ticket_reply
from esigntest import req


class Children(Faked):
    """Programs that esign starts, with foreign code in them, get no descriptor that has secrets."""

    def program(self):
        """It tells which descriptors it has, and what can be read from its standard input."""
        path = self.write("program", ("""#!%s
import os
found = [str(n) for n in range(256) if os.path.exists("/proc/self/fd/%%d" %% n) and
         not os.readlink("/proc/self/fd/%%d" %% n).endswith("/program")]
with open(%r, "w") as file:
    file.write(" ".join(found + ["stdin"] * bool(os.read(0, 9))))
""" % (sys.executable, self.file("out"))).encode())
        os.chmod(path, 0o755)
        return path

    def got(self):
        with open(self.file("out"), encoding="utf-8") as file:
            return sorted(file.read().split())

    def run_with_secrets(self, *words):
        """--password-fd and --pin-fd on descriptors of their own, a secret on standard input."""
        ends = [os.pipe() for _ in range(3)]
        for reader, writer in ends:
            os.write(writer, (PASSWORD + "\n").encode())
            os.close(writer)
            self.addCleanup(os.close, reader)
        done = subprocess.run(
            [ESIGN, "--socket", self.socket, *words, "--password-fd", str(ends[0][0])] +
            (["--pin-fd", str(ends[1][0])] if "--card" in words else []), check=False,
            stdin=ends[2][0], pass_fds=[ends[0][0], ends[1][0]], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=60, start_new_session=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(os.path.exists(self.file("out")), done.stderr)

    @req("11.300(d)", "design 5")
    def test_token_test__module_gets_no_descriptor_of_the_officer(self):
        config = self.write("conf", b"""separation = "none";
            tokens = ( { name = "signers"; module = "/x"; uri = "pkcs11:token=x"; } );""")
        self.run_with_secrets("token", "test", "signers", "--config", config, "--credentials",
                              self.directory, "--token-program", self.program(), "--store", "--as",
                              "mkeller", "--reason", "r")
        self.assertEqual(self.got(), ["0", "1", "2"])

    @req("11.300(d)")
    def test_token_test__module_moves_the_pin_away__that_one_is_removed_and_no_other(self):
        config = self.write("conf", b"""separation = "none";
            tokens = ( { name = "signers"; module = "/x"; uri = "pkcs11:token=x"; } );""")
        for name in ("credentials", "victim"):
            os.mkdir(self.file(name), 0o700)
        os.chmod(self.write("credentials/signers.pin", b"123456"), 0o400)
        self.write("victim/pin", b"another's")
        program = self.write("program", b"""#!/bin/sh
mv "$CREDENTIALS_DIRECTORY" "%(at)s/moved" && ln -s "%(at)s/victim" "$CREDENTIALS_DIRECTORY"
echo "$CREDENTIALS_DIRECTORY" >"%(at)s/out"
""" % {b"at": self.directory.encode()})
        os.chmod(program, 0o755)
        self.run_esign("token", "test", "signers", "--config", config, "--credentials",
                       self.file("credentials"), "--token-program", program)
        with open(self.file("out"), encoding="utf-8") as file:
            os.unlink(file.read().strip())  # the link
        self.assertEqual(os.listdir(self.file("victim")), ["pin"])
        self.assertEqual(os.listdir(self.file("moved")), [])

    @req("11.300(d)", "design 5")
    def test_card__module_gets_no_descriptor_of_the_signer(self):
        self.server.replies = {
            "GET /v1/status": status_reply("terminal"),
            "GET /v1/signers/jdoe": (200, {"spki": "AAAA", "user_id": "jdoe"}),
            "POST /v1/tickets": (201, ticket_reply(b"the record", signer="jdoe")),
            "POST /v1/tickets/T-1/cancel": (200, ticket_reply(b"the record"))}
        self.run_with_secrets("sign", self.record, "--record", "batch:B-7:3", "--meaning",
                              "approved", "--as", "jdoe", "--card", "--module", "/x",
                              "--token-program", self.program())
        self.assertEqual(self.got(), ["0", "1", "2", "3"])


class Exits(Faked):
    @req("design 5")
    def test_any__no_daemon__exit_3_and_what_to_do(self):
        done = self.run_esign("status", socket=self.file("nothing"))
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"esign: E_BUSY(no_socket): there is no socket", done.stderr)
        self.assertIn(b"systemctl start esignd", done.stderr)

    @req("design 5")
    def test_any__socket_of_a_daemon_that_is_gone__exit_3_and_refused(self):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(self.file("gone"))
        done = self.run_esign("status", socket=self.file("gone"))
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"esign: E_BUSY(refused): ", done.stderr)
        self.assertIn(b"journalctl -u esignd", done.stderr)

    @req("design 5")
    def test_any__socket_of_others__exit_3_and_the_group(self):
        inner = self.file("closed")
        os.mkdir(inner)
        os.chmod(self.directory, 0o755)
        os.chmod(inner, 0o700)
        caller = esigntest.Caller(61001, (61001,)) if esigntest.ROOT else esigntest.Caller()
        if not esigntest.ROOT:
            os.chmod(inner, 0)
        shutil.copy(ESIGN, self.file("esign"))
        done = subprocess.run(
            caller.argv() + [self.file("esign"), "-s", os.path.join(inner, "sock"), "status"],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            env={**os.environ, "LD_LIBRARY_PATH": self.library()})
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(b"esign: E_PEER_DENIED(permission): ", done.stderr)
        self.assertIn(b"usermod -a -G esign", done.stderr)

    def library(self):
        """libesign where every user can read it."""
        for name in os.listdir(os.path.dirname(ESIGN)):
            if name.startswith("libesign.so"):
                shutil.copy(os.path.join(os.path.dirname(ESIGN), name), self.file(name))
        return self.directory

    @req("requirements 0.2", "11.10(d)")
    def test_any__right_or_role_missing__who_can_help(self):
        for reason, hint in (("entry_app", b"esign approve TICKET"), ("digest_only", b"itself"),
                             ("ticket", b"Two officers"), ("read", b"esign application list"),
                             ("secofficer", b"esign signer list"), ("signer", b"this role"),
                             ("", b"esign status")):
            with self.subTest(reason=reason):
                self.server.replies["GET /v1/meanings"] = problem("E_AUTHZ", reason=reason)
                self.assertIn(hint, self.run_esign("meaning", "list").stderr)

    @req("11.10(d)")
    def test_any__refused_for_now__the_way_out_can_be_typed(self):
        for code, reason, hint in (
                ("E_SIGNER_STATE", "locked", b"`esign signer unlock USER_ID --reason TEXT`"),
                ("E_CRED_STATE", "revoked", b"`esign credential set USER_ID`"),
                ("E_CRED_STATE", "used", b"`esign credential reset USER_ID --reason TEXT`"),
                ("E_DUAL_REQUIRED", "last-officers", b"`esign signer enroll`"),
                ("E_DUAL_REQUIRED", "", b"`esign approvals approve`")):
            with self.subTest(code=code, reason=reason):
                self.server.replies["GET /v1/meanings"] = problem(code, reason=reason)
                self.assertIn(hint, self.run_esign("meaning", "list").stderr)

    @req("11.300")
    def test_set_and_activate__wrong_half__no_word_of_user_id_and_lock(self):
        refused = problem("E_AUTH_FAILED", 401)
        for words, path in ((("credential", "set", "jdoe"), "set-password"),
                            (("signer", "activate", "jdoe", "--accept", "a:1"), "activate")):
            with self.subTest(words=words):
                self.server.replies["POST /v1/signers/jdoe/" + path] = refused
                done = self.run_esign(*words, passwords=["R-1", "S-2", PASSWORD])
                self.assertIn(b"E_AUTH_FAILED", done.stderr)
                self.assertNotIn(b"Check user id", done.stderr)

    @req("requirements 3.6")
    def test_ticket_show__declined__says_why(self):
        self.server.replies["GET /v1/tickets/T-1"] = (
            200, ticket_reply(b"x", state="declined", end_reason="wrong lot"))
        self.assertRegex(self.run_esign("ticket", "show", "T-1").stdout,
                         rb"ended because +wrong lot\n")

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
    def test_command_line__first_word_of_commands__they_are_named(self):
        done = self.run_esign("ticket", "list")
        self.assertEqual(done.stderr.decode().splitlines(), [
            'esign: there is no command "ticket list" (esign --help)', "  esign ticket create FILE",
            "  esign ticket show TICKET"])

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
        for words, query in (((), "?state=pending"), (("--all",), "")):
            with self.subTest(words=words):
                self.server.replies = {"GET /v1/approvals" + query: (200, {"items": []})}
                done = self.run_esign("approvals", *words)
                self.assertEqual((done.returncode, done.stdout), (0, b"none\n"))

    @req("11.10(e)")
    def test_audit_list__last__alone(self):
        self.server.replies["GET /v1/audit/entries?last=2"] = (200, {"items": []})
        self.assertEqual(self.run_esign("audit", "list", "--last", "2").stdout, b"none\n")
        for words in (("--limit", "1"), ("--after", "1")):
            with self.subTest(words=words):
                done = self.run_esign("audit", "list", "--last", "2", *words)
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"--last", done.stderr)

    @req("requirements 3.6")
    def test_tickets__ready_ones__unless_all_are_wanted(self):
        for words, query in (((), "?state=ready"), (("--all",), ""),
                             (("--as", "jdoe"), "?signer=jdoe&state=ready"),
                             (("--as", "jdoe", "--all"), "?signer=jdoe")):
            with self.subTest(words=words):
                self.server.replies = {"GET /v1/tickets" + query: (200, {"items": []})}
                done = self.run_esign("tickets", *words)
                self.assertEqual((done.returncode, done.stdout), (0, b"none\n"), done.stderr)

    @req("design 5")
    def test_list__json_and_limit__the_reply_as_it_came(self):
        self.server.replies["GET /v1/tickets?state=ready&limit=1"] = (
            200, b'{"items": [ {} ],"next":"T-1"}')
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

    @req("11.10(j)")
    def test_activate__descriptor_without_accept__statement_and_option_told(self):
        self.server.replies["GET /v1/statements"] = (200, {"items": [
            {"code": "accountability", "version": 2, "text": "I am accountable."}]})
        done = self.run_esign("signer", "activate", "jdoe", passwords=["R-1", "S-2", PASSWORD])
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"I am accountable.\n", done.stderr)
        self.assertIn(b"give --accept accountability:2\n", done.stderr)
        self.assertEqual(self.bodies("/v1/signers/jdoe/activate"), [])

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
        self.assertEqual(self.bodies("/v1/init"), [])

    @req("requirements 5.10")
    def test_init__no_configuration_file__says_which_and_what_to_give(self):
        for name, words in (("nowhere.conf", b"nowhere.conf can't be read: No such file"),
                            (".", b"can't be read: ")):
            with self.subTest(name=name):
                done = self.run_esign("init", "--officers", self.write("o.json", {}), "--config",
                                      self.file(name), passwords=["x"])
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)
                self.assertIn(b"; give --config", done.stderr)
        done = self.run_esign("init", "--officers", self.write("o.json", {}), "--config",
                              self.write("broken.conf", b"\nseparation = ;\n"), passwords=["x"])
        self.assertRegex(done.stderr, rb"broken.conf line 2: ")

    @req("requirements 5.10")
    def test_init__initialised_before__refused_before_anything_is_read_or_asked(self):
        self.server.replies["GET /v1/status"] = status_reply("owner")
        done = self.run_esign("init", "--officers", self.file("nothing.json"), "--config",
                              self.file("nowhere.conf"), passwords=[])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_CONFLICT: this service has been initialised before", done.stderr)

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


if __name__ == "__main__":
    esigntest.main()
