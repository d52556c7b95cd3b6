"""`esign verify --offline`: no daemon, the CA's certificate, and a proof from the audit trail."""

import json
import os
import unittest

import esigntest
from esigntest import Instance, req


class Offline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe")
        cls.directory = os.path.join(cls.esignd.root, "out")
        os.mkdir(cls.directory)
        os.chmod(cls.directory, 0o777)
        cls.record = cls.path("record")
        with open(cls.record, "wb") as file:
            file.write(b"the record")
        for number in ("1", "2"):
            cls.esignd.esign("sign", cls.record, "--record", "batch:B-7:" + number, "--meaning",
                             "approved", "--as", "jdoe", "-o", cls.path(number + ".p7s"),
                             passwords=[cls.signer.password])
            listed = cls.esignd.esign("signature", "list", "--record", "batch:B-7:1", "--json")
            name = [item["signature"] for item in json.loads(listed.stdout)["items"]
                    if item["record"]["version"] == number][0]
            cls.esignd.esign("signature", "proof", name, "-o", cls.path(number + ".proof"))
        cls.esignd.esign("ca", "-o", cls.path("ca.pem"))
        trust = json.loads(cls.esignd.esign("ca", "--json").stdout)
        cls.log_key = trust["log_spki"]
        cls.esignd.launch("stop")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def verify(self, signature, *words, record=None):
        done = self.esignd.esign("verify", self.path(signature), "--record-file",
                                 record or self.record, "--offline", "--trust",
                                 self.path("ca.pem"), *words, check=False)
        return done.returncode, done.stdout.decode().split(":")[0]

    def proof(self, name):
        return ("--proof", self.path(name), "--log-key", self.log_key)

    @req("11.10(a)", "11.10(e)", "11.70")
    def test_offline__proof__valid(self):
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:1", *self.proof("1.proof")),
                         (0, "TOTAL_PASSED"))

    @req("11.10(e)", "design 2")
    def test_offline__no_proof__indeterminate(self):
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:1"),
                         (4, "INDETERMINATE(NOT_IN_AUDIT)"))

    @req("11.10(e)")
    def test_offline__proof_of_another_signature__indeterminate(self):
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:1", *self.proof("2.proof")),
                         (4, "INDETERMINATE(NOT_IN_AUDIT)"))

    @req("11.10(e)")
    def test_offline__damaged_proof_or_other_key__indeterminate(self):
        with open(self.path("1.proof"), encoding="utf-8") as file:
            proof = json.load(file)
        proof["entry"] = proof["entry"].replace("jdoe", "jdoX")
        with open(self.path("damaged"), "w", encoding="utf-8") as file:
            json.dump(proof, file)
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:1", *self.proof("damaged")),
                         (4, "INDETERMINATE(NOT_IN_AUDIT)"))
        other = self.log_key[:60] + ("A" if self.log_key[60] != "A" else "B") + self.log_key[61:]
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:1", "--proof",
                                     self.path("1.proof"), "--log-key", other),
                         (4, "INDETERMINATE(NOT_IN_AUDIT)"))

    @req("11.10(a)", "11.70")
    def test_offline__altered_record__not_valid(self):
        with open(self.path("altered"), "wb") as file:
            file.write(b"the recorD")
        self.assertEqual(self.verify("1.p7s", *self.proof("1.proof"), record=self.path("altered")),
                         (1, "TOTAL_FAILED(RECORD_ALTERED)"))

    @req("11.70")
    def test_offline__another_record__not_valid(self):
        self.assertEqual(self.verify("1.p7s", "--record", "batch:B-7:2", *self.proof("1.proof")),
                         (1, "TOTAL_FAILED(WRONG_RECORD)"))

    @req("11.70", "5.31")
    def test_offline__record_not_named__indeterminate(self):
        self.assertEqual(self.verify("1.p7s", *self.proof("1.proof")),
                         (4, "INDETERMINATE(WRONG_RECORD)"))

    @req("11.10(a)")
    def test_offline__garbage__not_valid(self):
        with open(self.path("garbage.p7s"), "wb") as file:
            file.write(b"\x30\x03\x02\x01")
        self.assertEqual(self.verify("garbage.p7s"), (1, "TOTAL_FAILED(SIG_INVALID)"))

    @req("design 2")
    def test_offline__trust_without_a_certificate__refused(self):
        done = self.esignd.esign("verify", self.path("1.p7s"), "--record-file", self.record,
                                 "--offline", "--trust", self.record, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--trust names a file without a certificate", done.stderr)


if __name__ == "__main__":
    esigntest.main()
