"""Smart cards: a PIV card in a reader of pcscd, used through OpenSC's module."""

import os
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import req
from tokens.card import MODULE, Card, Reader

DIGEST = bytes(range(32))


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
        esigntest.wait_for(lambda: self.tool("--list-objects")[0] != 0, "the card is out")
        self.card.insert()
        esigntest.wait_for(lambda: self.tool("--list-objects")[0] == 0, "the card is back")


if __name__ == "__main__":
    esigntest.main()
