"""Smart cards: a PIV card in a reader of pcscd, used through OpenSC's module."""

import os
import select
import shutil
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import req, wait_for
from tokens.card import MODULE, Card, Reader, end

DIGEST = bytes(range(32))
LABEL = "Card%20key%209a"  # of the token: OpenSC takes it from the first certificate


class TheCard(esigntest.Case):
    """The card of the tests does what a card does, asked by OpenSC's own tool."""

    @classmethod
    def setUpClass(cls):
        cls.reader = Reader().start()
        cls.addClassCleanup(cls.reader.stop)

    def setUp(self):
        self.card = Card(self.reader).insert()
        self.addCleanup(self.card.stop)

    def tool(self, *arguments, pin=Card.pin, stdin=b""):
        """pkcs11-tool at the first slot: exit code and what it said."""
        done = subprocess.run(
            ["pkcs11-tool", "--module", MODULE, "--slot", "0", "--login", "--pin", pin, *arguments],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=esigntest.WAIT_S, env={**os.environ, **self.reader.environment})
        return done.returncode, done.stdout

    def sign(self, number, mechanism):
        with tempfile.NamedTemporaryFile() as value:
            code, said = self.tool("--sign", "--id", number, "--mechanism", mechanism,
                                   "--output-file", value.name, "--signature-format", "openssl",
                                   stdin=DIGEST)
            self.assertEqual(code, 0, said)
            return value.read()

    @req("design 8")
    def test_sign__each_key__value_is_of_its_certificate(self):
        for number, name, mechanism in (("01", "9a", "RSA-PKCS"), ("02", "9c", "ECDSA"),
                                        ("04", "9e", "ECDSA")):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                for file, content in (("value", self.sign(number, mechanism)), ("digest", DIGEST)):
                    with open(os.path.join(folder, file), "wb") as out:
                        out.write(content)
                done = subprocess.run(
                    ["openssl", "pkeyutl", "-verify", "-certin", "-keyform", "DER", "-inkey",
                     self.card.path(name + ".crt"), "-in", "digest", "-sigfile", "value"],
                    cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
                self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.card.status()["signatures"], 3)

    @req("design 8")
    def test_wrong_pin__as_often_as_allowed__blocked_for_the_right_one(self):
        for left in (2, 1, 0):
            self.assertNotEqual(self.tool("--list-objects", pin="999999")[0], 0)
            self.assertEqual(self.card.status()["pin_left"], left)
        code, said = self.tool("--list-objects")
        self.assertNotEqual(code, 0)
        self.assertIn(b"CKR_PIN_LOCKED", said)
        done = subprocess.run(
            ["pkcs15-tool", "--reader", "0", "--unblock-pin", "--auth-id", "01", "--puk",
             self.card.puk, "--new-pin", "654321"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, env={**os.environ, **self.reader.environment})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.tool("--list-objects", pin="654321")[0], 0)

    @req("design 8")
    def test_pull__and_return__is_gone_and_back(self):
        self.card.pull()
        wait_for(lambda: self.tool("--list-objects")[0] != 0, "the card is out")
        self.card.insert()
        wait_for(lambda: self.tool("--list-objects")[0] == 0, "the card is back")


class Use:
    """tests/card/use: the folder pkcs11 with OpenSC and a card, one step at a time."""

    def __init__(self, reader, folder, pin=Card.pin):
        self.config = os.path.join(folder, "esignd.conf")
        self.pin = os.path.join(folder, "pin")
        with open(os.open(self.pin, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "w",
                  encoding="ascii") as file:
            file.write(pin)
        environment = ", ".join('"%s=%s"' % pair for pair in reader.environment.items())
        with open(self.config, "w", encoding="ascii") as file:
            file.write('system_class = "closed"; system = "test"; separation = "none";\n'
                       'roles: { signer = "card"; ca = "card"; log = "card"; };\n'
                       'tokens = ( { name = "card"; module = "%s"; uri = "pkcs11:token=%s";\n'
                       'socket = "%s/socket"; pin_file = "%s"; environment = ( %s ); } );\n'
                       % (MODULE, LABEL, folder, self.pin, environment))
        self.process = None
        self.begin()

    def begin(self):
        """A new process, in the place of one that hangs."""
        self.end()
        self.process = subprocess.Popen(
            [os.path.join(esigntest.BUILD, "card", "use"), self.config, "card"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            bufsize=1)

    def end(self):
        if self.process:
            end(self.process)
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def tell(self, line):
        self.process.stdin.write(line + "\n")

    def answer(self, bound_s=esigntest.WAIT_S):
        """The line that it says, within a time; else None."""
        ready, _, _ = select.select([self.process.stdout], [], [], bound_s)
        return self.process.stdout.readline().strip() if ready else None

    def ask(self, line):
        self.tell(line)
        said = self.answer()
        if said is None:
            raise AssertionError(line + ": no answer")
        return said


class Faults(esigntest.Case):
    """What happens to a card while its keys are used."""

    @classmethod
    def setUpClass(cls):
        cls.reader = Reader().start()
        cls.addClassCleanup(cls.reader.stop)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="esign-use-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(self.bring_back)
        self.card = Card(self.reader).insert()
        self.addCleanup(self.card.stop)

    def bring_back(self):
        """A test that failed may have left the reader dead."""
        if not self.reader.lives():
            self.reader.start()

    def use(self, pin=Card.pin):
        use = Use(self.reader, self.folder, pin)
        self.addCleanup(use.end)
        return use

    def opened(self, use):
        return use.ask("open") == "OK"

    @req("design 8")
    def test_sign__key_that_wants_the_pin_each_time__gets_it(self):
        use = self.use()
        self.assertTrue(self.opened(use))
        before = self.card.status()["verified"]
        for _ in range(3):
            self.assertRegex(use.ask("sign 02"), "^OK 30")
        self.assertEqual(self.card.status()["verified"], before + 3)
        self.assertRegex(use.ask("sign 01"), "^OK [0-9a-f]{512}$")  # this one wants it once
        self.assertEqual(self.card.status()["verified"], before + 3)

    @req("design 8")
    def test_sign__without_the_pin_that_the_key_wants__refused_by_the_card(self):
        use = self.use()
        self.assertTrue(self.opened(use))
        before = self.card.status()["signatures"]
        self.assertIn("CKR_USER_NOT_LOGGED_IN", use.ask("bare 02"))
        self.assertEqual(self.card.status()["signatures"], before)

    def pull_and_return(self, use, key, pull):
        wait_for(lambda: self.opened(use), "the card is opened")
        self.assertRegex(use.ask("sign " + key), "^OK ")
        pull()
        self.assertRegex(use.ask("sign " + key), "^E_HSM unavailable: ")
        self.card.insert()
        use.ask("close")
        wait_for(lambda: self.opened(use), "the card is opened")
        self.assertRegex(use.ask("sign " + key), "^OK ")
        use.ask("close")

    @req("design 8", "5.21")
    def test_pull__before_a_signature__told_and_back(self):
        """With locks allowed OpenSC waits for itself for ever."""
        self.pull_and_return(self.use(), "01", self.card.pull)

    @req("design 8", "5.21")
    def test_pull__in_the_middle_of_a_signature__told_and_back(self):
        use = self.use()
        for key in ("01", "02"):
            self.pull_and_return(use, key, lambda: self.card.at_sign("pull"))

    @req("design 8", "style 26")
    def test_hang__in_the_middle_of_a_signature__process_replaced(self):
        use = self.use()
        self.assertTrue(self.opened(use))
        self.card.at_sign("hang")
        use.tell("sign 02")
        self.assertIsNone(use.answer(1.0))
        use.begin()  # what the supervisor does at the deadline
        self.card.release()
        wait_for(lambda: self.opened(use), "the card is opened")
        self.assertRegex(use.ask("sign 02"), "^OK ")

    @req("design 8", "5.21")
    def test_pcscd__killed_and_back__told_then_signs(self):
        use = self.use()
        self.assertTrue(self.opened(use))
        self.reader.kill()
        self.assertRegex(use.ask("sign 01"), "^E_HSM unavailable: ")
        use.ask("close")
        self.reader.start()
        self.card.insert()
        wait_for(lambda: self.opened(use), "the card is opened")
        self.assertRegex(use.ask("sign 01"), "^OK ")

    @req("style 22", "11.300(d)")
    def test_pcscd__killed_before_the_pin__taken_for_refused_and_not_sent_again(self):
        """OpenSC says the same of a PIN that is wrong and of a reader that has gone."""
        use = self.use()
        self.assertTrue(self.opened(use))
        sent = self.card.status()["verified"]
        self.reader.kill()
        self.assertRegex(use.ask("sign 02"), "^E_HSM pin: .*CKR_GENERAL_ERROR")
        self.reader.start()
        self.card.insert()
        self.assertRegex(use.ask("sign 02"), "^E_HSM ")
        self.assertEqual(self.card.status()["verified"], sent)
        use.ask("close")
        wait_for(lambda: self.opened(use), "the card is opened")
        self.assertRegex(use.ask("sign 02"), "^OK ")

    @req("style 22", "11.300(d)")
    def test_wrong_pin__final_try_is_left_alone__blocked_is_told(self):
        use = self.use(pin="999999")
        for left in (2, 1):
            self.assertRegex(use.ask("open"), "^E_HSM pin: .*CKR_PIN_INCORRECT")
            self.assertEqual(self.card.status()["pin_left"], left)
        self.assertRegex(use.ask("open"), "^E_HSM pin: one try is left")
        self.assertEqual(self.card.status()["pin_left"], 1)
        self.card.stop(keep=True)
        self.card = Card(self.reader, folder=self.card.folder, tries=0).insert()
        self.addCleanup(self.card.stop)
        self.assertRegex(use.ask("open"), "^E_HSM pin: the token's PIN is locked")
        self.assertEqual(self.card.status()["refused"], 0)


if __name__ == "__main__":
    esigntest.main()
