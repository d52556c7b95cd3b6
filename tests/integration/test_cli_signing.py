"""Signing at a terminal with `esign`, against a faked daemon: what is shown, asked and sent."""

import base64
import hashlib
import json
import os
import signal
import termios

import esigntest
from clitest import Faked, MEANING, PASSWORD, SESSION, Typed, problem, session_reply, \
    signature_reply, status_reply, ticket_reply
from esigntest import req


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
        asked = self.bodies("/v1/tickets")[0]
        self.assertNotIn("components", asked)
        self.assertEqual(asked["signer"], "jdoe")
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [{
            "components": {"user_id": "jdoe", "password": PASSWORD}, "nonce": "ab" * 16,
            "presented_hash": hashlib.sha256(b"the record").hexdigest()}])

    def sign_refused(self, *answer, cancelled=True):
        """`esign sign` at a terminal, whose authorisation fails; what is written to stderr."""
        self.server.asked.clear()
        self.server.replies = {
            "GET /v1/status": status_reply("terminal"),
            "POST /v1/tickets": (201, ticket_reply(b"the record", signer="jdoe")),
            "POST /v1/tickets/T-1/cancel": (200, ticket_reply(b"the record", state="cancelled"))}
        if answer:
            self.server.replies["POST /v1/tickets/T-1/authorise"] = problem(
                *answer[:2], **{"retryable": False, **answer[2]})
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(self.bodies("/v1/tickets/T-1/authorise")), 1 if answer else 2)
        self.assertEqual(len(self.bodies("/v1/tickets/T-1/cancel")), cancelled)
        self.assertFalse(os.path.exists(self.record + ".p7s"))
        return done.stderr

    @req("requirements 3.6")
    def test_sign__refused_for_good__its_ticket_is_cancelled(self):
        for code, reason in (("E_AUTH_FAILED", ""), ("E_SIGNER_STATE", "locked"),
                             ("E_AUTHZ", "signer")):
            with self.subTest(code=code):
                told = self.sign_refused(code, 403, {"reason": reason})
                self.assertIn(b"cancelled is the ticket T-1\n", told)
                self.assertEqual(self.bodies("/v1/tickets/T-1/cancel"), [
                    {"reason": "not signed at the terminal: " + code}])

    @req("requirements 3.6")
    def test_sign__refused_for_now__its_ticket_stays(self):
        told = self.sign_refused("E_HSM", 503, {"retryable": True}, cancelled=False)
        self.assertIn(b"The ticket stays open: esign approve T-1\n", told)

    @req("requirements 3.6")
    def test_sign__no_answer__says_that_it_may_be_signed(self):
        self.assertIn(b"Whether it was signed is not known: esign ticket show T-1\n",
                      self.sign_refused(cancelled=False))

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
    def test_sign__signature_there_already__replaced_only_if_named(self):
        self.write("record.txt.p7s", b"an earlier one")
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/signatures"] = (201, signature_reply())
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is there already; nothing was signed. Use -o FILE", done.stderr)
        self.assertEqual(self.server.asked, [])
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, "-o", self.record + ".p7s",
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.record + ".p7s", "rb") as file:
            self.assertEqual(file.read(), b"DER of a signature")

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

    @req("design 3")
    def test_sign__connection_dies__once_more_under_the_same_key(self):
        answers = [None, (201, signature_reply())]
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/signatures"] = lambda: answers.pop(0)
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"asking once more", done.stderr)
        first, second = self.bodies("/v1/signatures")
        self.assertEqual(first, second)
        first, second = self.keys("/v1/signatures")
        self.assertRegex(first, "^[0-9a-f]{32}$")
        self.assertEqual(first, second)

    @req("design 3")
    def test_approve__connection_dies__once_more_under_the_same_key(self):
        answers = [None, (200, signature_reply())]
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = lambda: answers.pop(0)
        done = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        first, second = self.keys("/v1/tickets/T-1/authorise")
        self.assertRegex(first, "^[0-9a-f]{32}$")
        self.assertEqual(first, second)

    @req("design 3", "11.10(d)")
    def test_sign__connection_dies_twice__given_up(self):
        self.server.replies["GET /v1/status"] = status_reply("application")
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_PEER_DENIED(closed)", done.stderr)
        self.assertEqual(len(self.bodies("/v1/signatures")), 2)
        self.assertFalse(os.path.exists(self.record + ".p7s"))

    @req("design 3")
    def test_sign__terminal_and_connections_die__each_request_under_its_own_key(self):
        tickets = [None, (201, ticket_reply(b"the record"))]
        signatures = [None, (200, signature_reply())]
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["POST /v1/tickets"] = lambda: tickets.pop(0)
        self.server.replies["POST /v1/tickets/T-1/authorise"] = lambda: signatures.pop(0)
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        keys = self.keys("/v1/tickets") + self.keys("/v1/tickets/T-1/authorise")
        self.assertEqual(keys[0::2], keys[1::2])
        self.assertEqual(len(set(keys)), 2, keys)

    @req("design 3")
    def test_sign__daemon_gone_after_the_request__not_known_whether_signed(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["POST /v1/tickets"] = (201, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = lambda: os.unlink(self.socket)
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"E_PEER_DENIED(closed)", done.stderr)
        self.assertIn(b"Whether it was signed is not known", done.stderr)

    @req("design 3")
    def test_sign__refused__asked_once(self):
        self.server.replies["GET /v1/status"] = status_reply("application")
        self.server.replies["POST /v1/signatures"] = problem("E_DEADLINE", 504, retryable=True)
        done = self.run_esign("sign", self.record, *self.ARGUMENTS, passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(self.bodies("/v1/signatures")), 1)
        self.assertNotIn(b"once more", done.stderr)

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

    @req("requirements 3.6", "11.50(a)(3)")
    def test_approve__anything_missing_that_must_be_shown__password_not_asked(self):
        for path in (("record", "id"), ("record", "version"), ("record", "hash"),
                     ("meaning", "text")):
            with self.subTest(path=path):
                ticket = ticket_reply(b"the record", meaning=dict(MEANING))
                del ticket[path[0]][path[1]]
                self.server.replies["GET /v1/tickets/T-1"] = (200, ticket)
                done = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[PASSWORD])
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"E_NOT_PRESENTED", done.stderr)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("requirements 3.6")
    def test_approve__text_that_deceives__shown_as_what_it_is(self):
        forged = "fine" + " " * 83 + "meaning      I reject this record."
        ticket = ticket_reply(b"the record", comment=forged, reason="\x1b[2K\rabc \u202edef\u200b")
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket)
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        done = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        self.assertIn("reason       ?[2K?abc ?def?", text.splitlines())
        shown = text[:text.index("signed: G-1")].splitlines()
        self.assertEqual([line for line in shown if line.startswith("meaning")],
                         ["meaning      I approve this record."])
        self.assertIn(" " * 13 + "meaning      I reject this record.", shown)
        self.assertIn("This request holds characters that can't be shown", text)

    @req("requirements 3.6", "11.10(g)")
    def test_approve_and_decline__for_another_signer__password_not_asked(self):
        self.server.replies["GET /v1/tickets/T-1"] = (
            200, ticket_reply(b"the record", signer="mkeller"))
        for words in (("approve", "T-1"), ("approve", "T-1", "T-1"),
                      ("decline", "T-1", "--reason", "x")):
            with self.subTest(words=words):
                done = self.run_esign(*words, "--as", "jdoe", passwords=[PASSWORD] * 2)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"this ticket is for mkeller, not for jdoe", done.stderr)
        self.assertEqual({method for method, _, _ in self.server.asked}, {"GET"})
        done = self.run_esign("approve", "T-1", "--as", "MKeller", passwords=[PASSWORD])
        self.assertEqual(len(self.bodies("/v1/tickets/T-1/authorise")), 2, done.stderr)

    @req("requirements 3.6")
    def test_approve__longest_texts__nothing_is_cut(self):
        self.server.replies["GET /v1/tickets/T-1"] = (
            200, ticket_reply(b"the record", comment="ä" * 500, reason="日" * 500))
        text = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[]).stdout.decode()
        self.assertEqual((text.count("ä"), text.count("日")), (500, 500))
        self.assertNotIn("can't be shown", text)

    @req("requirements 3.6")
    def test_decline__reason_and_all_components__after_it_was_shown(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/decline"] = (
            200, ticket_reply(b"the record", state="declined"))
        done = self.run_esign("decline", "T-1", "--as", "jdoe", "--reason", "wrong lot",
                              passwords=[PASSWORD])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"I approve this record.", done.stdout)
        self.assertIn(b"declined", done.stdout)
        self.assertEqual(self.bodies("/v1/tickets/T-1/decline"), [
            {"reason": "wrong lot", "components": {"user_id": "jdoe", "password": PASSWORD}}])
        done = self.run_esign("decline", "T-1", "--as", "jdoe", passwords=[PASSWORD])
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"needs --reason", done.stderr)


class Terminal(Typed):
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
    def test_prompt__empty__not_signed_and_the_ticket_stays(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        for words, prompt in ((("--as", "jdoe"), b"Password of jdoe: "), ((), b"User id: ")):
            self.spawn("approve", "T-1", *words)
            self.type((prompt, ""))
            self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1)
            self.assertIn(b"not signed; the ticket stays: esign approve T-1", self.screen)
            self.assertNotIn(b"E_PROTO", self.screen)
        self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("11.300(d)", "requirements 0.2")
    def test_approve__too_early__does_not_use_up_an_entry(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = problem(
            "E_RATE", 429, reason="delay", retry_after=2, retryable=True)
        self.spawn("approve", "T-1", "--as", "jdoe")
        self.type(*[(b"Password of jdoe: ", PASSWORD)] * 4)
        self.read_until(b"Password of jdoe: ")
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        os.write(self.terminal, PASSWORD.encode() + b"\n")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)

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

    @req("requirements 3.6", "11.200(a)(1)")
    def test_decline__typed__reason_user_and_password_asked(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/decline"] = (
            200, ticket_reply(b"the record", state="declined"))
        self.spawn("decline", "T-1")
        self.type((b"Reason: ", "wrong lot"), (b"User id: ", "jdoe"),
                  (b"Password of jdoe: ", PASSWORD))
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)
        self.assertEqual(self.bodies("/v1/tickets/T-1/decline"), [
            {"reason": "wrong lot", "components": {"user_id": "jdoe", "password": PASSWORD}}])

    @req("11.200(a)(1)")
    def test_approve__mistyped__asked_again_a_few_times(self):
        self.server.replies["GET /v1/tickets/T-1"] = (200, ticket_reply(b"the record"))
        self.server.replies["POST /v1/tickets/T-1/authorise"] = problem("E_AUTH_FAILED", 401)
        self.spawn("approve", "T-1")
        for word in ("wrong", "wrong", PASSWORD):
            self.type((b"User id: ", "jdoe"), (b"Password of jdoe: ", word))
            if word == "wrong":
                self.read_until(b"enter them again")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1, self.screen)
        self.assertEqual(len(self.bodies("/v1/tickets/T-1/authorise")), 3)

    def sign(self):
        self.server.replies["GET /v1/status"] = status_reply("terminal")
        self.server.replies["POST /v1/tickets"] = (201, ticket_reply(b"the record", signer="jdoe"))
        self.server.replies["POST /v1/tickets/T-1/cancel"] = (
            200, ticket_reply(b"the record", state="cancelled"))
        self.spawn("sign", self.record, "--record", "batch:B-7:3", "--meaning", "approved")
        self.type((b"User id: ", "jdoe"))
        self.read_until(b"Password of jdoe: ")
        self.assertEqual(self.bodies("/v1/tickets")[0]["signer"], "jdoe")
        self.assertEqual(self.bodies("/v1/tickets/T-1/cancel"), [])

    @req("requirements 3.6", "11.300")
    def test_sign__interrupted__ticket_cancelled_echo_back_and_ended_by_the_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                self.server.asked.clear()
                self.sign()
                os.kill(self.pid, number)
                status = self.end()
                self.assertTrue(os.WIFSIGNALED(status), self.screen)
                self.assertEqual(os.WTERMSIG(status), number)
                self.assertTrue(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
                self.assertEqual(self.bodies("/v1/tickets/T-1/cancel"), [
                    {"reason": "not signed at the terminal: nobody answered"}])
                self.assertEqual(self.bodies("/v1/tickets/T-1/authorise"), [])

    @req("requirements 3.6")
    def test_sign__nothing_entered__ticket_cancelled(self):
        self.sign()
        os.write(self.terminal, b"\n")
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1)
        self.assertEqual(len(self.bodies("/v1/tickets/T-1/cancel")), 1)


class Series(Typed):
    """Several tickets with one command: one session, a password for each signing."""

    TICKETS = ("T-1", "T-2", "T-3")

    def setUp(self):
        super().setUp()
        self.server.replies["POST /v1/sessions"] = session_reply()
        self.server.replies["POST /v1/sessions/close"] = (200, {})
        for ticket in self.TICKETS:
            self.server.replies["GET /v1/tickets/" + ticket] = (
                200, ticket_reply(b"the record", ticket=ticket))
            self.server.replies["POST /v1/tickets/%s/authorise" % ticket] = (200, signature_reply())

    def authorised(self, ticket):
        return self.bodies("/v1/tickets/%s/authorise" % ticket)

    def closed(self):
        return self.bodies("/v1/sessions/close")

    @req("11.200(a)(1)(i)", "S4", "S5", "requirements 3.4")
    def test_approve__several__all_components_once_then_the_password_each(self):
        self.spawn("approve", *self.TICKETS)
        self.read_until(b"ticket       T-1")
        self.type((b"User id: ", "jdoe"), (b"Password of jdoe: ", PASSWORD))
        for shown in (b"last signing     2026-11-21T08", b"If that was not you", b"signed: G-1",
                      b"ticket       T-2"):
            self.read_until(shown)
        self.type((b"Password of jdoe: ", PASSWORD))
        self.read_until(b"ticket       T-3")
        self.type((b"Password of jdoe: ", PASSWORD))
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)
        self.assertIn(b"3 of 3 tickets signed", self.screen)
        self.assertEqual(self.screen.count(b"User id: "), 1)
        self.assertNotIn(SESSION.encode(), self.screen)
        self.assertEqual(len(self.bodies("/v1/sessions")), 1)
        self.assertEqual(self.closed(), [{"session": SESSION}])

    @req("11.300")
    def test_approve__several_by_descriptor__a_line_for_each(self):
        done = self.run_esign("approve", *self.TICKETS, "--as", "jdoe",
                              passwords=[PASSWORD, "two", "three"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"3 of 3 tickets signed\n", done.stdout)
        whole = {"user_id": "jdoe", "password": PASSWORD}
        self.assertEqual(self.bodies("/v1/sessions"),
                         [{"components": whole, "presence": "connection"}])
        self.assertEqual([self.authorised(ticket)[0]["components"] for ticket in self.TICKETS],
                         [whole, {"password": "two"}, {"password": "three"}])
        self.assertEqual({self.authorised(ticket)[0]["session"] for ticket in self.TICKETS},
                         {SESSION})
        self.assertEqual(self.closed(), [{"session": SESSION}])


    @req("S9", "11.200(a)(1)(ii)")
    def test_approve__session_expired__all_components_asked_again(self):
        second = "POST /v1/tickets/T-2/authorise"

        def expired():
            self.server.replies[second] = (200, signature_reply())
            return problem("E_COMPONENTS_REQUIRED", 401, reason="expired",
                           detail="the session has expired")

        self.server.replies[second] = expired
        self.spawn("approve", "T-1", "T-2")
        self.type((b"User id: ", "jdoe"), (b"Password of jdoe: ", PASSWORD))
        self.read_until(b"ticket       T-2")
        self.type((b"Password of jdoe: ", PASSWORD))
        self.read_until(b"the session has expired; enter all components again.")
        self.type((b"User id: ", "jdoe"), (b"Password of jdoe: ", PASSWORD))
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)
        self.assertEqual(len(self.bodies("/v1/sessions")), 2)
        whole = {"user_id": "jdoe", "password": PASSWORD}
        self.assertEqual([body["components"] for body in self.authorised("T-2")],
                         [{"password": PASSWORD}, whole])
        self.assertEqual(len(self.closed()), 2)

    @req("S6", "requirements 3.4")
    def test_approve__policy_wants_all_components__asked_for_each_in_one_session(self):
        for ticket in ("T-2", "T-3"):
            path = "/v1/tickets/%s/authorise" % ticket

            def answer(path=path):
                if "user_id" in self.bodies(path)[-1]["components"]:
                    return 200, signature_reply()
                return problem("E_COMPONENTS_REQUIRED", 401, reason="policy", detail="more")

            self.server.replies["POST " + path] = answer
        self.spawn("approve", *self.TICKETS)
        whole = ((b"User id: ", "jdoe"), (b"Password of jdoe: ", PASSWORD))
        self.type(*whole, (b"Password of jdoe: ", PASSWORD))
        self.read_until(b"more; enter all components again.")
        self.type(*whole, *whole)
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)
        self.assertEqual((len(self.bodies("/v1/sessions")), len(self.closed())), (1, 1))
        self.assertEqual(len(self.authorised("T-3")), 1)

    @req("requirements 3.4")
    def test_approve__interrupted__session_closed_and_ended_by_the_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number):
                self.server.asked.clear()
                self.spawn("approve", *self.TICKETS)
                self.type((b"User id: ", "jdoe"), (b"Password of jdoe: ", PASSWORD))
                self.read_until(b"ticket       T-2")
                self.read_until(b"Password of jdoe: ")
                self.assertEqual(self.closed(), [])
                if number == signal.SIGINT:  # a caller without a connection would lose the session
                    esigntest.wait_for(lambda: any(path == "/v1/live" for _, path, _ in
                                                   self.server.asked), "a sign of life")
                os.kill(self.pid, number)
                status = self.end()
                self.assertTrue(os.WIFSIGNALED(status), self.screen)
                self.assertEqual(os.WTERMSIG(status), number)
                self.assertEqual(self.closed(), [{"session": SESSION}])
                self.assertEqual(self.authorised("T-2") + self.authorised("T-3"), [])

    @req("requirements 3.6")
    def test_approve__empty_line_or_ticket_that_is_gone__the_others_are_signed(self):
        self.server.replies["GET /v1/tickets/T-1"] = (
            200, ticket_reply(b"the record", state="expired"))
        self.spawn("approve", *self.TICKETS, "--as", "jdoe")
        self.read_until(b"it is expired")
        self.type((b"Password of jdoe: ", ""))
        self.read_until(b"ticket       T-3")
        self.type((b"Password of jdoe: ", PASSWORD))
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 1, self.screen)
        self.assertIn(b"1 of 3 tickets signed", self.screen)
        self.assertEqual(self.authorised("T-2"), [])
        self.assertEqual(self.authorised("T-3")[0]["components"]["user_id"], "jdoe")

    @req("11.200(a)(1)(i)")
    def test_approve__first_refused__the_next_needs_all_components(self):
        self.server.replies["POST /v1/tickets/T-1/authorise"] = problem("E_AUTHZ", 403)
        done = self.run_esign("approve", "T-1", "T-2", "--as", "jdoe",
                              passwords=[PASSWORD, PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.authorised("T-2")[0]["components"],
                         {"user_id": "jdoe", "password": PASSWORD})
        self.assertEqual((len(self.bodies("/v1/sessions")), len(self.closed())), (2, 2))

    @req("S8")
    def test_approve__signer_locked__nothing_more_is_asked(self):
        self.server.replies["POST /v1/tickets/T-2/authorise"] = problem(
            "E_SIGNER_STATE", 403, reason="locked")
        done = self.run_esign("approve", *self.TICKETS, "--as", "jdoe",
                              passwords=[PASSWORD] * 3)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"1 of 3 tickets signed\n", done.stdout)
        self.assertEqual(self.authorised("T-3"), [])
        self.assertEqual(self.closed(), [{"session": SESSION}])

    @req("S7")
    def test_approve__wrong_password_in_the_session__asked_again_in_it(self):
        second = "POST /v1/tickets/T-2/authorise"

        def wrong():
            self.server.replies[second] = (200, signature_reply())
            return problem("E_AUTH_FAILED", 401)

        self.server.replies[second] = wrong
        self.spawn("approve", "T-1", "T-2", "--as", "jdoe")
        self.type(*[(b"Password of jdoe: ", PASSWORD)] * 3)
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)
        self.assertEqual([body["components"] for body in self.authorised("T-2")],
                         [{"password": PASSWORD}] * 2)
        self.assertEqual(len(self.bodies("/v1/sessions")), 1)

    @req("S1", "11.200(a)(1)(ii)")
    def test_approve__one_shot__no_session_and_all_components_each_time(self):
        done = self.run_esign("approve", "T-1", "T-2", "--one-shot", "--as", "jdoe",
                              passwords=[PASSWORD] * 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.bodies("/v1/sessions") + self.closed(), [])
        for ticket in ("T-1", "T-2"):
            body = self.authorised(ticket)[0]
            self.assertNotIn("session", body)
            self.assertEqual(body["components"], {"user_id": "jdoe", "password": PASSWORD})

    @req("11.300(d)", "requirements 0.2")
    def test_approve__too_many_tries__says_how_long_to_wait(self):
        self.server.replies["POST /v1/tickets/T-1/authorise"] = problem(
            "E_RATE", 429, reason="delay", retry_after=2, retryable=True)
        done = self.run_esign("approve", "T-1", "--as", "jdoe", passwords=[PASSWORD])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"  Wait 2 s, then the same can be tried again.\n", done.stderr)
        self.spawn("approve", "T-1", "--as", "jdoe")
        self.type((b"Password of jdoe: ", PASSWORD))
        self.read_until(b"too many tries; wait 2 s, then enter them again.")
        self.server.replies["POST /v1/tickets/T-1/authorise"] = (200, signature_reply())
        self.type((b"Password of jdoe: ", PASSWORD))
        self.assertEqual(os.waitstatus_to_exitcode(self.end()), 0, self.screen)

    @req("design 5")
    def test_approve__several_with_a_file__usage(self):
        for option in (("-o", self.file("x")), ("--record-file", self.record)):
            self.assertEqual(self.run_esign("approve", "T-1", "T-2", *option).returncode, 2)
        self.assertEqual(self.server.asked, [])


if __name__ == "__main__":
    esigntest.main()
