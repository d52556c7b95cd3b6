"""Custody K3 at the signer's terminal: `esign sign --card` with a PIV card in a reader of pcscd,
through OpenSC's module in a child of the command."""

import base64
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
from faulty import Faulty
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


class Faults(AtTheTerminal):
    """A module that does not do what it should, in front of a token of SoftHSM2 that is the card:
    one that has public keys only, no certificates."""

    library = "/usr/lib/softhsm/libsofthsm2.so"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        home = os.path.join(cls.folder, "softcard")
        os.mkdir(home)
        os.chmod(home, 0o777)
        conf = os.path.join(home, "softhsm2.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write("directories.tokendir = %s\n" % home)
        cls.faulty = Faulty(os.path.join(home, "faulty"))
        cls.variables = {"SOFTHSM2_CONF": conf, **dict(
            line.split("=", 1) for line in cls.faulty.environment(cls.library))}
        tool = ["pkcs11-tool", "--module", cls.library]
        for words in (["--init-token", "--slot-index", "0", "--label", "soft", "--so-pin", "5678"],
                      ["--token-label", "soft", "--login", "--login-type", "so", "--so-pin", "5678",
                       "--init-pin", "--pin", "123456"],
                      ["--token-label", "soft", "--login", "--pin", "123456", "--keypairgen",
                       "--key-type", "EC:prime256v1", "--id", "01"]):
            cls.tool(*tool, *words)
        spki = os.path.join(home, "key.der")
        cls.tool(*tool, "--token-label", "soft", "--read-object", "--type", "pubkey", "--id", "01",
                 "-o", spki)
        subprocess.run(["chmod", "-R", "a+rwX", home], check=True)
        cls.soft = cls.soft_signer(spki)

    @classmethod
    def tool(cls, *argv):
        cls.expect(subprocess.run(argv, check=False, capture_output=True, timeout=60,
                                  env={**os.environ, **cls.variables}), 0)

    @classmethod
    def soft_signer(cls, spki):
        """Registered with a certificate that an issuer made for the card's key."""
        person, home = cls.person(), os.path.dirname(spki)
        files = {name: os.path.join(home, name) for name in ("ca.key", "ca.pem", "c.der", "ext",
                                                            "dummy.key", "dummy.csr")}
        with open(files["ext"], "w", encoding="ascii") as file:
            file.write("keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n")
        for words in (["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                       "-nodes", "-keyout", files["ca.key"], "-subj", "/CN=Issuer", "-out",
                       files["ca.pem"]],
                      ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                       "-nodes", "-keyout", files["dummy.key"], "-subj", "/CN=A soft card", "-out",
                       files["dummy.csr"]],
                      ["x509", "-req", "-in", files["dummy.csr"], "-force_pubkey", spki, "-CA",
                       files["ca.pem"], "-CAkey", files["ca.key"], "-days", "30", "-extfile",
                       files["ext"], "-outform", "DER", "-out", files["c.der"]]):
            cls.expect(subprocess.run(["openssl", *words], check=False, capture_output=True,
                                      timeout=60), 0)
        with open(files["c.der"], "rb") as file:
            certificate = file.read()
        cls.esignd.two_officers("card.register", {
            "user_id": person.user_id, "certificate": base64.b64encode(certificate).decode()})
        tested = cls.run_esign("credential", "test-card", person.user_id, "--module",
                               cls.faulty.module, passwords=[person.password], pins=["123456"])
        cls.expect(tested, 0)
        return person

    @classmethod
    def environment(cls):
        return {**super().environment(), **getattr(cls, "variables", {})}

    def setUp(self):
        self.addCleanup(self.faulty.rules)

    def sign_soft(self, record_id, pin="123456"):
        self.out = os.path.join(self.folder, record_id + ".p7s")
        return self.run_esign(
            "sign", self.record, "--record", "batch:%s:1" % record_id, "--meaning", "approved",
            "--card", "--module", self.faulty.module, "--as", self.soft.user_id, "-o", self.out,
            passwords=[self.soft.password], pins=[pin])

    @req("design 8", "11.10(a)", "A8")
    def test_value__wrong__never_leaves(self):
        self.expect(self.sign_soft("B-right"), 0)
        for kind in ("flip", "digest"):
            self.faulty.rules("call=C_Sign value=" + kind)
            self.expect(self.sign_soft("B-" + kind), 1, b"E_HSM(value)")
            entry = [e for e in self.esignd.entries() if e["action"].startswith("signature.")][-1]
            self.assertEqual((entry["action"], entry["result"], entry["alert"]),
                             ("signature.aborted", "E_HSM(value)", "record-swap"))
            self.assertFalse(os.path.exists(self.out))

    @req("design 8", "11.300(d)")
    def test_pin__flags_of_the_card__told_and_obeyed(self):
        before = self.intents()
        self.faulty.rules("token flags=0x%x" % 0x40000)  # CKF_USER_PIN_LOCKED
        self.expect(self.sign_soft("B-locked"), 1, b"E_HSM(pin_blocked)")
        self.assertEqual(self.intents(), before)
        self.faulty.rules("token flags=0x%x" % 0x20000)  # CKF_USER_PIN_FINAL_TRY
        self.expect(self.sign_soft("B-final"), 0, b"one try is left")
        self.faulty.rules("token flags=0x%x" % 0x100)  # CKF_PROTECTED_AUTHENTICATION_PATH
        done = self.sign_soft("B-pad", "not read")
        self.expect(done, 1, b"Enter the PIN on the card reader.")
        self.ended_with("C_Login: CKR_ARGUMENTS_BAD")  # SoftHSM2 has no such reader

    @req("design 8", "design 2")
    def test_module__dies__told_and_ended(self):
        self.faulty.rules("call=C_Sign signal=11")
        self.expect(self.sign_soft("B-dies"), 1, b"E_HSM(worker)")
        self.ended_with("worker")
        self.faulty.rules("")
        self.expect(self.sign_soft("B-lives"), 0)


if __name__ == "__main__":
    esigntest.main()
