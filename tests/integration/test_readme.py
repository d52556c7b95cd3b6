"""README's curl lines, as printed, by a registered system user that is neither root nor esignd."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Instance, req

# tier: quick


def block():
    """The shell block of README.md that is marked for this test."""
    with open(os.path.join(esigntest.SOURCE, "README.md"), encoding="utf-8") as file:
        text = file.read()
    return re.search(r"<!-- test_readme\.py[^>]*-->\n```bash\n(.*?)```", text, re.S).group(1)


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("lbrunner", "Lena Brunner")

    @req("11.3(b)(5)", "11.70", "design 5", "11.10(d)")
    def test_curl_lines__as_printed__sign_and_verify(self):
        caller = self.esignd.application
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            done = subprocess.run(
                caller.argv() + ["bash", "-euc", block()], cwd=folder, check=False,
                input=(self.signer.password + "\n").encode(),
                env={"PATH": os.environ["PATH"], "ESIGN_SOCKET": self.esignd.socket},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            with open(os.path.join(folder, "signature.json"), encoding="utf-8") as file:
                signature = json.load(file)
        self.assertEqual(signature["state"], "signed", signature)
        verdict = json.loads(done.stdout)
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        if esigntest.ROOT:
            self.assertNotIn(caller.uid, (0, os.stat(self.esignd.root + "/lib/esignd").st_uid))

    @req("11.10(d)")
    def test_connect__not_in_the_group__refused_by_the_socket(self):
        stranger = esigntest.Caller(61999, (61999,))
        with self.assertRaises(PermissionError):
            esigntest.connect(self.esignd.socket, stranger)


if __name__ == "__main__":
    esigntest.main()
