"""Verdicts: altered, transplanted, forged with the right key, made before a revocation, offline."""

# tier: quick

import base64
import hashlib
import json
import os
import random
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Instance, req

RECORD = (b"<BatchProductionRecord>" + b"step 1 performed; " * 120)[:2048]
FLIPS = 500


def der_integer(value):
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(body)]) + body


P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


def ecdsa_der(raw):
    """As esignd writes it: the smaller one of the two equivalent values of s."""
    half = len(raw) // 2
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    body = der_integer(r) + der_integer(min(s, P256_ORDER - s))
    return b"\x30" + bytes([len(body)]) + body


def length_of(data, at):
    """Header length and content length of the DER value at a position."""
    first = data[at + 1]
    if first < 0x80:
        return 2, first
    count = first & 0x7F
    return 2 + count, int.from_bytes(data[at + 2:at + 2 + count], "big")


class Verdicts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe")
        cls.signature = cls.esignd.sign(cls.signer, RECORD, "batch", "V-1", "1")
        cls.cms = base64.b64decode(cls.signature["value"])

    def verdict(self, signature, content, *name):
        reply = self.esignd.validate(signature, content, *name)
        return reply["indication"], reply["reason"]

    @req("11.10(a)", "11.70", "11.3(b)(5)")
    def test_untouched__passed_with_every_check(self):
        reply = self.esignd.validate(self.signature, RECORD, "batch", "V-1", "1")
        self.assertEqual((reply["indication"], reply["reason"]), ("TOTAL_PASSED", ""))
        self.assertEqual({c["result"] for c in reply["checks"]}, {"pass"}, reply["checks"])
        self.assertEqual(reply["signature"], self.signature["signature"])
        self.assertIn("TOTAL_PASSED", reply["manifestation"])

    @req("11.10(a)", "11.70")
    def test_record_altered__failed(self):
        for content in (RECORD + b" ", RECORD[:-1], b"", RECORD.replace(b"step 1", b"step 2", 1)):
            self.assertEqual(self.verdict(self.signature, content, "batch", "V-1", "1"),
                             ("TOTAL_FAILED", "RECORD_ALTERED"))

    @req("11.70", "5.31")
    def test_same_bytes_under_another_name__wrong_record(self):
        for name in (("batch", "V-2", "1"), ("batch", "V-1", "2"), ("deviation", "V-1", "1")):
            self.assertEqual(self.verdict(self.signature, RECORD, *name),
                             ("TOTAL_FAILED", "WRONG_RECORD"))

    @req("11.70", "5.31")
    def test_record_not_named__indeterminate(self):
        for name in ((), ("batch",), ("batch", "V-1"), (None, "V-1", "1"), ("batch", None, "1")):
            self.assertEqual(self.verdict(self.signature, RECORD, *name),
                             ("INDETERMINATE", "WRONG_RECORD"))

    @req("11.3(b)(5)", "11.70", "7 decision 11")
    def test_any_bit_flipped__failed(self):
        """500 random bits of signature and record through the socket; the seed is printed."""
        seed = random.SystemRandom().getrandbits(32)
        print("seed %d" % seed)
        choice = random.Random(seed)
        connection = self.esignd.connection(self.esignd.application)
        for _ in range(FLIPS):
            cms, record = bytearray(self.cms), bytearray(RECORD)
            target = choice.choice((cms, cms, record))
            bit = choice.randrange(len(target) * 8)
            target[bit // 8] ^= 1 << (bit % 8)
            status, reply = connection.send_json("POST", "/v1/validations", {
                "signature": base64.b64encode(bytes(cms)).decode(),
                "record": {"content": base64.b64encode(bytes(record)).decode(), "type": "batch",
                           "id": "V-1", "version": "1"}})
            self.assertEqual(status, 200, reply)
            self.assertNotEqual(reply["indication"], "TOTAL_PASSED", (seed, bit, reply["detail"]))
        connection.close()

    def token_signs(self, digest, key):
        """What somebody with the PIN can do: sign with the signer's key outside of esignd."""
        root = self.esignd.root
        with open(os.path.join(root, "etc", "credentials", "signers.pin"), encoding="ascii") as f:
            pin = f.read().strip()
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("in", "out")]
            with open(paths[0], "wb") as file:
                file.write(digest)
            environment = dict(os.environ, PKCS11_PIN=pin)
            environment["SOFTHSM2_CONF"] = os.path.join(root, "etc", "softhsm-signers.conf")
            subprocess.run(
                ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label",
                 "signers", "--login", "--pin", "env:PKCS11_PIN", "--sign", "--mechanism", "ECDSA",
                 "--id", key, "--input-file", paths[0], "--output-file", paths[1]],
                check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(paths[1], "rb") as file:
                return file.read()

    def forge(self, cms, key):
        """Sign the attributes of cms again outside; the value must keep its length."""
        start = cms.index(bytes.fromhex("06092a864886f70d010903"))  # contentType attribute
        while True:  # back to the [0] of the signed attributes
            start -= 1
            if cms[start] == 0xA0:
                header, length = length_of(cms, start)
                after = start + header + length
                if after < len(cms) and cms[after] == 0x30:
                    break
        attributes = b"\x31" + cms[start + 1:after]
        algorithm, size = length_of(cms, after)
        value = after + algorithm + size
        self.assertEqual(cms[value], 0x04)
        header, length = length_of(cms, value)
        for _ in range(200):
            raw = self.token_signs(hashlib.sha256(attributes).digest(), key)
            made = ecdsa_der(raw)
            if len(made) == length:
                return cms[:value + header] + made + cms[value + header + length:]
        self.fail("no value of the same length in 200 tries")

    @req("11.10(a)", "A5", "design 1")
    def test_made_with_key_and_pin_outside__not_in_audit(self):
        envelope = self.esignd.validate(self.signature, RECORD)["facts"]["envelope"]
        other = b"yield 100 %".ljust(len(RECORD))
        old, new = hashlib.sha256(RECORD).digest(), hashlib.sha256(other).digest()
        cms = self.cms.replace(old, new).replace(old.hex().encode(), new.hex().encode())
        self.assertNotEqual(cms, self.cms)
        forged = self.forge(cms, envelope["key"])
        reply = self.esignd.validate(forged, other, "batch", "V-1", "1")
        self.assertEqual((reply["facts"]["value"], reply["facts"]["chain"]), ("ok", "ok"), reply)
        self.assertEqual((reply["indication"], reply["reason"]),
                         ("TOTAL_FAILED", "NOT_IN_AUDIT"), reply)
        unknown = cms.replace(self.signature["signature"].encode(), b"G-" + b"a" * 26)
        reply = self.esignd.validate(self.forge(unknown, envelope["key"]), other)
        self.assertEqual((reply["indication"], reply["reason"]),
                         ("TOTAL_FAILED", "NOT_IN_AUDIT"), reply)

    @req("11.10(a)")
    def test_not_a_signature__a_verdict_and_no_error(self):
        for data in (b"", b"\x30\x00", b"not a signature", os.urandom(1000), self.cms[:-1],
                     self.cms + b"\0"):
            indication, _ = self.verdict(data, RECORD)
            self.assertNotEqual(indication, "TOTAL_PASSED")

    @req("11.10(a)", "11.30")
    def test_other_peoples_tools__accept_and_refuse_an_altered_record(self):
        with tempfile.TemporaryDirectory() as folder:
            path = {n: os.path.join(folder, n) for n in ("record", "altered", "p7s", "ca.pem")}
            contents = {"record": RECORD, "altered": RECORD + b"x", "p7s": self.cms,
                        "ca.pem": self.esignd.get("/v1/ca")["certificate"].encode()}
            for name, data in contents.items():
                with open(path[name], "wb") as file:
                    file.write(data)
            for name, accepted in (("record", True), ("altered", False)):
                done = subprocess.run(
                    ["openssl", "cms", "-verify", "-cades", "-binary", "-purpose", "any", "-inform",
                     "DER", "-in", path["p7s"], "-content", path[name], "-CAfile", path["ca.pem"],
                     "-out", "/dev/null"], check=False, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode == 0, accepted, done.stderr)
                done = subprocess.run(
                    ["certtool", "--p7-verify", "--inder", "--infile", path["p7s"], "--load-data",
                     path[name], "--load-ca-certificate", path["ca.pem"]],
                    check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode == 0, accepted, done.stdout + done.stderr)

    def offline(self, folder, *arguments):
        done = self.esignd.esign("verify", os.path.join(folder, "p7s"), "--record-file",
                                 os.path.join(folder, "record"), "--offline", "--trust",
                                 os.path.join(folder, "ca.pem"), *arguments, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    @req("11.10 opening", "11.10(a)", "design 5")
    def test_offline__without_a_proof_indeterminate_with_it_passed(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            trust = self.esignd.get("/v1/ca")
            proof = self.esignd.get("/v1/signatures/%s/proof" % self.signature["signature"])
            files = {"record": RECORD, "p7s": self.cms, "ca.pem": trust["certificate"].encode(),
                     "proof": json.dumps(proof).encode(), "log.b64": trust["log_spki"].encode(),
                     "altered.p7s": self.cms[:-1] + bytes([self.cms[-1] ^ 1])}
            for name, data in files.items():
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(data)
                os.chmod(os.path.join(folder, name), 0o644)
            code, text = self.offline(folder)
            self.assertEqual(code, 4, text)
            self.assertIn("INDETERMINATE", text)
            code, text = self.offline(folder, "--proof", os.path.join(folder, "proof"),
                                      "--log-key", trust["log_spki"], "--record", "batch:V-1:1")
            self.assertEqual(code, 0, text)
            self.assertIn("TOTAL_PASSED", text)
            os.replace(os.path.join(folder, "altered.p7s"), os.path.join(folder, "p7s"))
            code, text = self.offline(folder)
            self.assertEqual(code, 1, text)


if __name__ == "__main__":
    esigntest.main()
