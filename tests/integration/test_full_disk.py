"""A full disk under the running service: refused, told, nothing half done, and on with room."""

import atexit
import http.client
import os
import shutil
import signal
import subprocess
import threading
import unittest

import esigntest
from esigntest import Instance, Refused, req, wait_for

DISK_MIB = 64
DEADLINE_MS = 3000
OPTIONS = {"hash.memory_kib": "8192", "hash.iterations": "1",
           "request.deadline_ms": str(DEADLINE_MS)}


class FullDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(OPTIONS)
        cls.folder = os.path.join(cls.esignd.root, "lib", "esignd")
        os.makedirs(cls.folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", cls.folder],
                       check=True)
        atexit.register(cls.unmount)
        cls.addClassCleanup(cls.unmount)
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.signers = [cls.esignd.enrol("signer%d" % i) for i in range(2)]

    @classmethod
    def unmount(cls):
        atexit.unregister(cls.unmount)
        cls.esignd.close()
        subprocess.run(["umount", cls.folder], check=True)
        shutil.rmtree(cls.esignd.root, ignore_errors=True)

    def fill(self):
        """Leave not one page."""
        path = os.path.join(self.folder, "filler")
        with open(path, "wb", buffering=0) as file:
            for length in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(length)) == length:
                        pass
                except OSError:
                    pass  # full
        return path

    def sign(self, number, name):
        return self.esignd.sign(self.signers[number], b"record", "batch", name, "1")

    def begin(self, failed):
        """A signing that waits for its token, in a thread."""

        def work():
            try:
                self.sign(1, "F-caught")
            except (Refused, OSError, http.client.HTTPException) as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def actions(self, after=0):
        return [e["action"] for e in self.esignd.entries()[after:]]

    def reserve(self):
        path = os.path.join(self.folder, "store.db.reserve")
        return os.path.getsize(path) if os.path.exists(path) else 0

    def check(self, name):
        return [(c["state"], c["detail"]) for c in self.esignd.get("/v1/health")["checks"]
                if c["name"] == name][0]

    @req("11.10(e)", "2.4", "design 7")
    def test_full_disk__signing_refused_and_told__goes_on_with_room(self):
        signed = self.sign(0, "F-before")
        pid, size = self.esignd.pid("esignd"), len(self.esignd.entries())
        self.assertGreater(self.reserve(), 0)
        self.esignd.launch("stop", "token-signers")
        failed = []
        caught = self.begin(failed)
        wait_for(lambda: "signature.intent" in self.actions(size), "the intent is entered")
        filler = self.fill()
        self.assert_refused()
        caught.join()
        self.assertEqual(len(failed), 1)
        self.assertIsInstance(failed[0], Refused)
        self.esignd.launch("start", "token-signers")
        self.assert_told(signed)
        full = len(self.esignd.entries())
        os.unlink(filler)
        wait_for(lambda: self.check("audit")[0] == "ok", "it writes again, unasked")
        self.assertEqual(self.actions(full)[0], "store.room")
        self.assertGreater(self.reserve(), 0)
        self.sign(0, "F-after")
        wait_for(lambda: "signature.aborted" in self.actions(full), "the caught signing is ended")
        self.assert_whole()
        self.sign(1, "F-again")  # nobody's tries are used up
        self.assertEqual(self.esignd.pid("esignd"), pid)

    @req("11.10(e)", "design 7")
    def test_full_disk__killed_meanwhile__starts_when_there_is_room(self):
        self.sign(0, "F-before")
        filler = self.fill()
        self.assert_refused()
        starts = self.esignd.status()["esignd"]["starts"]
        os.kill(self.esignd.pid("esignd"), signal.SIGKILL)
        wait_for(lambda: self.esignd.status()["esignd"]["starts"] > starts + 1,
                 "it can't enter its start")
        os.unlink(filler)
        wait_for(lambda: self.esignd.status()["esignd"]["state"] == "ready", "it starts with room")
        self.assertEqual(self.esignd.get("/v1/status")["start"]["stop"], "unclean")
        self.assertGreater(self.reserve(), 0)
        self.sign(0, "F-after")
        self.assert_whole()

    def assert_refused(self):
        """Each signing, and nothing is written for it but that the disk is full."""
        with self.assertRaises(Refused) as caught:
            self.sign(0, "F-full")
        self.assertEqual((caught.exception.status, caught.exception.code, caught.exception.reason),
                         (503, "E_AUDIT_UNAVAILABLE", "full"))
        wait_for(lambda: self.actions()[-1] == "store.full", "the full disk is entered")
        size = len(self.esignd.entries())
        for _ in range(3):
            with self.assertRaises(Refused) as caught:
                self.sign(0, "F-full")
            self.assertEqual(caught.exception.code, "E_AUDIT_UNAVAILABLE")
        self.assertEqual(len(self.esignd.entries()), size)
        self.assertEqual(self.reserve(), 0)

    def assert_told(self, signed):
        """Health is red; what was signed before can be read and verified."""
        self.assertEqual(self.check("audit"),
                         ("fail", "the disk is full; nothing is signed until it has room"))
        self.assertEqual(self.check("disk")[0], "fail")
        done = self.esignd.esign("status", "--health", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"audit: the disk is full", done.stdout)
        text = self.esignd.get("/metrics").decode()
        self.assertIn("\nesignd_store_reserve 0\n", text)
        self.assertIn("\nesignd_ready 0\n", text)
        verdict = self.esignd.validate(signed, b"record", "batch", "F-before", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)

    def assert_whole(self):
        """Every intent has ended once, and what was refused left nothing."""
        entries = self.esignd.entries()
        begun = [e["object"] for e in entries if e["action"] == "signature.intent"]
        ended = [e["object"] for e in entries
                 if e["action"] in ("signature.outcome", "signature.aborted")]
        self.assertEqual(sorted(begun), sorted(ended))
        records = [e["new"]["record"]["id"] for e in entries if e["action"] == "signature.outcome"]
        self.assertIn("F-before", records)
        self.assertNotIn("F-full", records)
        self.assertNotIn("F-caught", records)
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")


if __name__ == "__main__":
    esigntest.main()
