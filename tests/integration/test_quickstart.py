"""packaging/quickstart: a first and a second run, what they leave behind, --stop.

As root it uses /opt/esignd-quickstart, as it does for everybody else.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import unittest

import esigntest
from esigntest import req

# build: release

PREFIX = "/opt/esignd-quickstart" if esigntest.ROOT else \
    os.path.expanduser("~/.local/share/esignd-quickstart")
SITE = os.path.join(PREFIX, "site")
BOUND_S = 180  # 2 cores, without the download of packages


def quickstart(*arguments, source=esigntest.SOURCE, prefix=(), environment=None):
    """Exit code, output, seconds. prefix: of the command, to run it as another user."""
    began = time.monotonic()
    done = subprocess.run([*prefix, os.path.join(source, "packaging", "quickstart"), *arguments],
                          check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, cwd=source,
                          env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began


def copy_of_checkout(folder, user):
    """The checkout's files for a user who may not be able to read the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=esigntest.SOURCE, check=True, stdout=subprocess.PIPE).stdout
    names = [name for name in listed.decode().split("\0")
             if name and os.path.isfile(os.path.join(esigntest.SOURCE, name))]
    for name in names:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        shutil.copy2(os.path.join(esigntest.SOURCE, name), os.path.join(folder, name))
    subprocess.run(["chown", "-R", user, folder], check=True)


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
        self.assertEqual("separation=none" in text, not esigntest.ROOT)

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


class OrdinaryUser(unittest.TestCase):
    @req("design 2", "5.41", "11.3(b)(5)")
    def test_run__as_an_ordinary_user__says_what_that_means_and_signs(self):
        with tempfile.TemporaryDirectory(prefix="esign-user-") as folder:
            copy_of_checkout(os.path.join(folder, "src"), "nobody")
            os.chmod(folder, 0o755)
            data = os.path.join(folder, "src", "data")
            run = {"source": os.path.join(folder, "src"),
                   "prefix": ("runuser", "-u", "nobody", "--"),
                   "environment": {"XDG_DATA_HOME": data, "HOME": data}}
            try:
                code, text, _ = quickstart(**run)
            finally:
                stopped = quickstart("--stop", **run)[0]
            self.assertEqual((code, stopped), (0, 0), text)
            self.assertIn("separation=none", text)
            self.assertIn("TOTAL_PASSED", text)
            self.assertIn("Verification successful", text)
            signature = os.path.join(data, "esignd-quickstart", "site", "signed",
                                     "batch-record.p7s")
            with open(signature, "rb") as file:
                self.assertIn(b'"system":"test"', file.read())


if not esigntest.ROOT:
    del OrdinaryUser  # the class above was an ordinary user's


class Stop(unittest.TestCase):
    @req("design 2")
    def test_stop__after_a_run__nothing_runs(self):
        code, text, _ = quickstart("--stop")
        self.assertEqual(code, 0, text)
        self.assertFalse(os.path.exists(os.path.join(SITE, "run", "esignd.sock")))
        self.assertIn("not running", quickstart("--stop")[1])


if __name__ == "__main__":
    esigntest.main()
