"""Custody K3 at the signer's terminal: `esign sign --card` with a PIV card in a reader of pcscd,
through OpenSC's module in a child of the command."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time

import esigntest
from esigntest import Instance, req
from tokens.card import MODULE, Card, Reader

RECORD = b"<BatchProductionRecord><ID>B-2026-CARD</ID></BatchProductionRecord>\n"
POLICY = {"custody": {"default": "K1", "groups": [{"group": "cards", "custody": "K3"}]},
          "card": {"value_s": 10}}


class AtTheTerminal(esigntest.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="esign-card-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        os.chmod(cls.folder, 0o777)
        cls.reader = Reader().start()
        cls.addClassCleanup(cls.reader.stop)
        cls.esignd = Instance(policy=POLICY)
        cls.addClassCleanup(cls.esignd.close)
        path = os.path.join(cls.esignd.root, "etc", "policy", "policy.json")
        with open(path, encoding="utf-8") as file:
            policy = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(policy.replace('"rsa4096"]', '"rsa4096", "rsa2048"]'))
        cls.esignd.ready()
        cls.record = os.path.join(cls.folder, "record.xml")
        with open(cls.record, "wb") as file:
            file.write(RECORD)
        cls.made = 0
        cls.card = Card(cls.reader).insert()
        cls.addClassCleanup(cls.card.stop)
        cls.signer = cls.card_signer(cls.card, "9c")

    def setUp(self):
        self.put_in(self.card)
        self.addCleanup(self.card.pull)

    # cards and people

    @classmethod
    def put_in(cls, card):
        """In the reader, and seen there by OpenSC."""
        card.pull()
        card.insert()
        esigntest.wait_for(lambda: b"piv_II" in subprocess.run(
            ["pkcs11-tool", "--module", MODULE, "--list-token-slots"], check=False,
            capture_output=True, env=cls.environment()).stdout, "OpenSC sees the card")

    @classmethod
    def environment(cls):
        return {**os.environ, **cls.reader.environment}

    @classmethod
    def person(cls):
        cls.made += 1
        person = esigntest.Person("card%02d" % cls.made, "Carla Card %d" % cls.made, "Operator")
        done = cls.esignd.two_officers("signer.enroll", {
            "user_id": person.user_id, "printed_name": person.printed_name, "title": person.title,
            "roles": ["signer"], "evidence": esigntest.evidence("KC%06d" % cls.made),
            "group": "cards"})
        return cls.esignd.activate(person, done)

    @classmethod
    def card_signer(cls, card, slot):
        """Registered and tested by the command, as people do it."""
        person, officers = cls.person(), cls.esignd.officers
        certificate = os.path.join(cls.folder, person.user_id + ".crt")
        shutil.copy(card.path(slot + ".crt"), certificate)
        os.chmod(certificate, 0o644)
        asked = cls.run_esign("credential", "card", person.user_id, "--certificate", certificate,
                              "--reason", "new card", "--as", officers[0].user_id, "--json",
                              passwords=[officers[0].password])
        cls.expect(asked, 0)
        approval = json.loads(asked.stdout)["approval"]
        cls.expect(cls.run_esign("approvals", "approve", approval, "--as", officers[1].user_id,
                                 passwords=[officers[1].password]), 0)
        tested = cls.run_esign("credential", "test-card", person.user_id, "--module", MODULE,
                               passwords=[person.password], pins=[card.pin])
        cls.expect(tested, 0)
        return person

    @staticmethod
    def expect(done, code, text=b""):
        if done.returncode != code or text not in done.stderr + done.stdout:
            raise AssertionError("exit %d: %s%s" % (done.returncode, done.stdout.decode(),
                                                    done.stderr.decode()))

    # the command

    @classmethod
    def argv(cls, *arguments):
        return [*cls.esignd.terminal.argv(), os.path.join(cls.esignd.prefix, "bin", "esign"),
                "--socket", cls.esignd.socket, *arguments]

    @classmethod
    def run_esign(cls, *arguments, passwords=(), pins=None):
        argv, kept = cls.argv(*arguments), []
        for option, lines in (("--password-fd", passwords), ("--pin-fd", pins)):
            if lines is None:
                continue
            reader, writer = os.pipe()
            os.write(writer, "".join(line + "\n" for line in lines).encode())
            os.close(writer)
            kept.append(reader)
            argv += [option, str(reader)]
        try:
            return subprocess.run(argv, check=False, pass_fds=kept, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90,
                                  start_new_session=True, env=cls.environment())
        finally:
            for descriptor in kept:
                os.close(descriptor)

    def sign(self, record_id, pin=None, person=None):
        person = person or self.signer
        self.out = os.path.join(self.folder, record_id + ".p7s")
        return self.run_esign(
            "sign", self.record, "--record", "batch:%s:1" % record_id, "--meaning", "approved",
            "--card", "--module", MODULE, "--as", person.user_id, "-o", self.out,
            passwords=[person.password], pins=[pin or self.card.pin])

    def verdict(self, record_id):
        with open(self.out, "rb") as file:
            return self.esignd.validate(file.read(), RECORD, "batch", record_id, "1")

    def ended_with(self, words):
        """The newest intent was ended with these words, and nothing of it is left open."""
        entry = [e for e in self.esignd.entries() if e["action"].startswith("signature.")][-1]
        self.assertEqual(entry["action"], "signature.aborted", entry)
        self.assertIn(words, entry["reason"])
        self.assertFalse(os.path.exists(self.out))

    def no_children(self):
        """No child of a command is left."""
        found = subprocess.run(["pgrep", "-f", "esign-token --card"], check=False,
                               capture_output=True).stdout.split()
        return [pid for pid in found if self.esignd.prefix.encode() in
                open("/proc/%s/cmdline" % pid.decode(), "rb").read()]

    def intents(self):
        return sum(e["action"] == "signature.intent" for e in self.esignd.entries())


class Signing(AtTheTerminal):
    @req("11.70", "11.200(a)(1)", "11.300(e)", "design 2", "design 8")
    def test_sign__p256_always_authenticate_and_rsa__valid_for_us_and_openssl(self):
        for slot, person in (("9c", self.signer), ("9a", self.card_signer(self.card, "9a"))):
            name = "B-" + slot
            self.expect(self.sign(name, person=person), 0, b"Carla Card")
            verdict = self.verdict(name)
            self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
            self.assertEqual(verdict["facts"]["envelope"]["custody"], "K3")
            ca = os.path.join(self.folder, "ca.pem")
            with open(ca, "w", encoding="ascii") as file:
                file.write(self.esignd.get("/v1/ca")["certificate"])
            said = subprocess.run(
                ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in",
                 self.out, "-content", self.record, "-CAfile", ca, "-purpose", "any", "-out",
                 "/dev/null"], check=False, capture_output=True, timeout=60)
            self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.no_children(), [])

    @req("3.6", "design 8")
    def test_approve__ticket_of_an_application__signed_by_the_card(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-approve", "1")
        done = self.run_esign("approve", ticket["ticket"], "--card", "--module", MODULE, "--as",
                              self.signer.user_id, passwords=[self.signer.password],
                              pins=[self.card.pin])
        self.expect(done, 0, b"signed: G-")
        self.assertEqual(self.esignd.get("/v1/tickets/" + ticket["ticket"])["state"], "signed")

    @req("11.300(c)", "design 8")
    def test_card__not_there_or_another__told_before_anything_is_begun(self):
        before = self.intents()
        self.card.pull()
        self.expect(self.sign("B-none"), 1, b"E_HSM(no_card)")
        other = Card(self.reader)
        self.addCleanup(other.stop)
        self.put_in(other)
        self.expect(self.sign("B-other"), 1, b"E_HSM(other_card)")
        other.pull()
        self.assertEqual(other.status()["pin_left"], 3)
        ticket = self.esignd.ticket(RECORD, "batch", "B-stays", "1")
        done = self.run_esign("approve", ticket["ticket"], "--card", "--module", MODULE, "--as",
                              self.signer.user_id, passwords=[self.signer.password], pins=["1"])
        self.expect(done, 1, b"the ticket stays")
        self.assertEqual(self.esignd.get("/v1/tickets/" + ticket["ticket"])["state"], "ready")
        self.expect(self.run_esign("sign", self.record, "--record", "batch:B-mod:1", "--meaning",
                                   "approved", "--card", "--module", "/nonexistent.so", "--as",
                                   self.signer.user_id, passwords=[self.signer.password], pins=[]),
                    1, b"E_HSM(no_module)")
        self.assertEqual(self.intents(), before)

    @req("design 8", "11.10(e)")
    def test_card__removed_in_the_middle__clear_code_and_the_cause_in_the_trail(self):
        self.card.at_sign("pull")
        self.expect(self.sign("B-removed"), 1, b"E_HSM(removed)")
        self.ended_with("removed")
        self.assertEqual(self.no_children(), [])
        self.put_in(self.card)
        self.expect(self.sign("B-returned"), 0)

    @req("design 8", "11.300(d)")
    def test_pin__wrong__attempts_told_and_never_sent_twice(self):
        card = Card(self.reader)
        self.addCleanup(card.stop)
        self.card.pull()
        self.put_in(card)
        self.addCleanup(card.pull)
        person = self.card_signer(card, "9c")
        for left, words in ((2, b"E_HSM(pin_wrong)"), (1, b"one try is left"),
                            (0, b"E_HSM(pin_blocked)")):
            self.expect(self.sign("B-pin%d" % left, "999999", person), 1, words)
            self.assertEqual(card.status()["pin_left"], left)
            self.ended_with("pin_")
        before = self.intents()
        self.expect(self.sign("B-blocked", card.pin, person), 1, b"E_HSM(pin_blocked)")
        self.assertEqual(self.intents(), before)

    @req("design 8", "11.10(e)")
    def test_card__hangs__child_killed_in_time_and_nothing_hangs(self):
        self.card.at_sign("hang")
        begun = time.monotonic()
        self.expect(self.sign("B-hang"), 1, b"E_DEADLINE(card)")
        self.assertLess(time.monotonic() - begun, 30)
        self.card.release()
        self.assertEqual(self.no_children(), [])
        entry = [e for e in self.esignd.entries() if e["action"].startswith("signature.")][-1]
        self.assertEqual(entry["action"], "signature.aborted")
        self.put_in(self.card)
        self.expect(self.sign("B-unhung"), 0)


class Typed(AtTheTerminal):
    """What the person at the terminal sees and types."""

    def spawn(self, record_id):
        self.out = os.path.join(self.folder, record_id + ".p7s")
        argv = self.argv("sign", self.record, "--record", "batch:%s:1" % record_id, "--meaning",
                         "approved", "--card", "--module", MODULE, "--as", self.signer.user_id,
                         "-o", self.out)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, self.environment())
        self.addCleanup(os.close, self.terminal)
        self.screen = b""

    def read_until(self, text):
        until = time.monotonic() + 60
        while text not in self.screen and time.monotonic() < until:
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self.terminal, 4096)
                except OSError:
                    break
        self.assertIn(text, self.screen)

    def answer(self, prompt, line):
        self.read_until(prompt)
        self.screen = self.screen[self.screen.index(prompt) + len(prompt):]
        os.write(self.terminal, line.encode() + b"\n")

    def end(self):
        while True:
            try:
                data = os.read(self.terminal, 4096)
            except OSError:
                break
            if not data:
                break
            self.screen += data
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @req("11.300(d)", "design 8")
    def test_pin__typed_wrong_then_right__signed_and_not_shown(self):
        self.spawn("B-typed")
        self.answer(b"Password of", self.signer.password)
        self.answer(b"PIN of the card", "888888")
        self.read_until(b"the PIN is wrong")
        self.answer(b"PIN of the card", self.card.pin)
        self.assertEqual(self.end(), 0, self.screen)
        self.assertNotIn(self.card.pin.encode(), self.screen)
        self.assertEqual(self.verdict("B-typed")["indication"], "TOTAL_PASSED")

    @req("11.10(e)", "design 8")
    def test_interrupt__at_the_pin__intent_ended_at_once(self):
        self.spawn("B-interrupt")
        self.answer(b"Password of", self.signer.password)
        self.read_until(b"PIN of the card")
        os.write(self.terminal, b"\x03")
        self.assertEqual(self.end(), -signal.SIGINT, self.screen)
        entry = [e for e in self.esignd.entries() if e["action"].startswith("signature.")][-1]
        self.assertEqual(entry["action"], "signature.aborted", entry)
        self.assertIn("interrupted", entry["reason"])


if __name__ == "__main__":
    esigntest.main()
