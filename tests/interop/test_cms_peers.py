"""Other people's software accepts our signatures, and refuses them after a change of the record."""
# tier: quick

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import esigntest  # noqa: E402  pylint: disable=wrong-import-position
from esigntest import req  # noqa: E402  pylint: disable=wrong-import-position

MAKE_SIGNATURE = os.path.join(esigntest.BUILD, "interop", "make_signature")
ALGORITHMS = ("p256", "p384", "rsa3072")


def run(argv, **more):
    return subprocess.run(argv, check=False, timeout=60, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


class Peers(unittest.TestCase):
    """One folder an algorithm: record, changed, signature.der, ca.der, ca.pem."""

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="esign-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        record = b"<batch id='B-2026-0042'>\r\n\x00\xff binary, CR LF and no final newline</batch>"
        for algorithm in ALGORITHMS:
            folder = os.path.join(cls.top, algorithm)
            os.mkdir(folder)
            for name, content in (("record", record), ("changed", record.replace(b"42", b"43"))):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            subprocess.run([MAKE_SIGNATURE, algorithm, folder, os.path.join(folder, "record")],
                           check=True, timeout=60)
            subprocess.run(["openssl", "x509", "-inform", "DER", "-in", folder + "/ca.der",
                            "-out", folder + "/ca.pem"], check=True, timeout=60)

    def judge(self, verify, algorithms=ALGORITHMS):
        """verify(folder, record) -> CompletedProcess; 0 must mean accepted."""
        for algorithm in algorithms:
            folder = os.path.join(self.top, algorithm)
            with self.subTest(algorithm=algorithm):
                done = verify(folder, os.path.join(folder, "record"))
                self.assertEqual(done.returncode, 0, done.stdout.decode("utf-8", "replace"))
                done = verify(folder, os.path.join(folder, "changed"))
                self.assertNotEqual(done.returncode, 0, done.stdout.decode("utf-8", "replace"))

    @req("11.70", "design 6")
    def test_openssl__record_and_changed__accepted_and_refused(self):
        self.judge(lambda folder, record: run(
            ["openssl", "cms", "-verify", "-cades", "-binary", "-purpose", "any", "-inform", "DER",
             "-in", folder + "/signature.der", "-content", record, "-CAfile", folder + "/ca.pem",
             "-out", os.devnull]))

    @req("11.70", "design 6")
    def test_certtool__record_and_changed__accepted_and_refused(self):
        self.judge(lambda folder, record: run(
            ["certtool", "--p7-verify", "--inder", "--infile", folder + "/signature.der",
             "--load-data", record, "--load-ca-certificate", folder + "/ca.pem"]))

    @req("11.70", "design 6")
    def test_gpgsm__record_and_changed__accepted_and_refused(self):
        self.judge(self.gpgsm, ("p256", "rsa3072"))

    @req("design 6")
    def test_gpgsm__p384__value_good_but_hash_too_short_for_it(self):
        """FORMAT.md, section 4: gpgsm wants SHA-384 with P-384, and records have SHA-256."""
        folder = os.path.join(self.top, "p384")
        done = self.gpgsm(folder, folder + "/record")
        self.assertIn(b"Good signature", done.stdout)
        self.assertIn(b"a 256 bit hash is not valid for a 384 bit ECC key", done.stdout)
        self.assertNotIn(b"Good signature", self.gpgsm(folder, folder + "/changed").stdout)

    def gpgsm(self, folder, record):
        """gpgsm trusts a root whose fingerprint stands in trustlist.txt; nothing here has a CRL."""
        home = os.path.join(folder, "gnupg")
        if not os.path.isdir(home):
            os.mkdir(home, 0o700)
            self.addCleanup(run, ["gpgconf", "--homedir", home, "--kill", "all"])
            fingerprint = run(["openssl", "x509", "-in", folder + "/ca.pem", "-noout",
                               "-fingerprint", "-sha1"]).stdout.decode().split("=")[1].strip()
            with open(os.path.join(home, "trustlist.txt"), "w", encoding="ascii") as file:
                file.write(fingerprint + " S relax\n")
            done = run(["gpgsm", "--homedir", home, "--batch", "--import", folder + "/ca.der"])
            self.assertEqual(done.returncode, 0, done.stdout.decode("utf-8", "replace"))
        return run(["gpgsm", "--homedir", home, "--batch", "--disable-crl-checks", "--verify",
                    folder + "/signature.der", record])


if __name__ == "__main__":
    esigntest.main()
