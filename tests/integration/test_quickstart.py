"""packaging/quickstart: a first and a second run, what they leave behind, --stop.

As root it uses /opt/esignd-quickstart, as it does for everybody else.
"""

import os
import pwd
import subprocess
import time
import unittest

import esigntest
from esigntest import req

# build: release

PREFIX = "/opt/esignd-quickstart" if esigntest.ROOT else \
    os.path.expanduser("~/.local/share/esignd-quickstart")
SITE = os.path.join(PREFIX, "site")
BOUND_S = 180  # 2 cores, without the download of packages


def quickstart(*arguments):
    """Exit code, output, seconds."""
    began = time.monotonic()
    done = subprocess.run([os.path.join(esigntest.SOURCE, "packaging", "quickstart"), *arguments],
                          check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600)
    return done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began


class Quickstart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(quickstart, "--stop")
        cls.first = quickstart()
        cls.second = quickstart()

    @req("design 2", "11.3(b)(5)", "11.70", "design 9")
    def test_first_run__clean_machine__signed_and_verified(self):
        code, text, seconds = self.first
        self.assertEqual(code, 0, text)
        self.assertLess(seconds, BOUND_S)
        self.assertIn("TOTAL_PASSED", text)
        self.assertIn("Verification successful", text)
        self.assertIn("Type next", text)

    @req("design 2")
    def test_second_run__after_the_first__works(self):
        code, text, seconds = self.second
        self.assertEqual(code, 0, text)
        self.assertLess(seconds, BOUND_S)
        self.assertIn("TOTAL_PASSED", text)

    @req("style 23", "11.200(a)(2)")
    def test_run__output__shows_no_password(self):
        path = os.path.join(SITE, "passwords")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8") as file:
            words = [line.split()[1] for line in file if not line.startswith("#")]
        self.assertEqual(len(words), 3)
        for word in words:
            self.assertNotIn(word, self.second[1])

    @req("design 2", "11.10(d)")
    def test_run__as_root__every_service_has_its_user(self):
        status = subprocess.run(
            [os.path.join(PREFIX, "libexec", "esignd", "launch"), "--config",
             os.path.join(SITE, "etc", "esignd.conf"), "--prefix", PREFIX, "status"],
            check=False, stdout=subprocess.PIPE).stdout.decode()
        users = [line.split()[-1] for line in status.splitlines()]
        wanted = ["esign-token-signers", "esign-token-ca", "esign-token-log", "esign-hash",
                  "esign-document", "esignd"]
        if not esigntest.ROOT:
            wanted = [pwd.getpwuid(os.geteuid()).pw_name] * 6
        self.assertEqual(users, wanted, status)

    @req("5.41")
    def test_run__envelope__says_test_system(self):
        with open(os.path.join(SITE, "signed", "batch-record.p7s"), "rb") as file:
            self.assertIn(b'"system":"test"', file.read())


class Stop(unittest.TestCase):
    @req("design 2")
    def test_stop__after_a_run__nothing_runs(self):
        code, text, _ = quickstart("--stop")
        self.assertEqual(code, 0, text)
        self.assertFalse(os.path.exists(os.path.join(SITE, "run", "esignd.sock")))
        self.assertIn("not running", quickstart("--stop")[1])


if __name__ == "__main__":
    esigntest.main()
