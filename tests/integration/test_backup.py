"""Backups: what is put back is known as such, and nothing is lost without a word."""

import os
import shutil
import unittest

import esigntest
from esigntest import Instance, req

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}


def store_of(esignd):
    return os.path.join(esignd.root, "lib", "esignd", "store.db")


def anchor_of(esignd):
    return os.path.join(esignd.root, "lib", "esignd", "anchor")


def copy_store(esignd):
    """The files of the store of a stopped service, by name."""
    folder = os.path.dirname(store_of(esignd))
    content = {}
    for name in os.listdir(folder):
        if name.startswith("store.db") and os.path.isfile(os.path.join(folder, name)):
            with open(os.path.join(folder, name), "rb") as file:
                content[name] = file.read()
    return content


def put_store(esignd, content):
    folder = os.path.dirname(store_of(esignd))
    owner = os.stat(folder)
    for name in os.listdir(folder):
        if name.startswith("store.db") and os.path.isfile(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    for name, data in content.items():
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o600)
        os.chown(path, owner.st_uid, owner.st_gid)


class OlderStore(esigntest.Case):
    """Requirements 1.6 A6: yesterday's store put back by whoever can write the disk."""

    def setUp(self):
        self.esignd = Instance(FAST_HASH).ready()
        self.addCleanup(self.esignd.close)
        self.signer = self.esignd.enrol("jdoe")
        self.esignd.sign(self.signer, b"record", "batch", "B-1", "1")
        self.esignd.stop()
        self.yesterday = copy_store(self.esignd)
        self.esignd.start()
        self.esignd.post("/v1/signers/jdoe/revoke", {
            "components": self.esignd.officers[0].components, "reason": "left the company"})
        self.size = self.esignd.get("/v1/status")["audit"]["size"]
        self.esignd.stop()

    def accept(self):
        asked = self.esignd.request_approval("restore.accept", {}, "the disk was lost")
        self.refused("E_DUAL_SELF", self.esignd.approve, asked["approval"], officer=0)
        self.refused("E_STOPPED", self.esignd.request_approval, "signer.enroll", {})
        return self.esignd.approve(asked["approval"])

    @req("11.10(e)", "A6", "5.34")
    def test_start__yesterdays_store__nobody_signs_until_two_officers_accept_the_loss(self):
        put_store(self.esignd, self.yesterday)
        self.esignd.start()
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "restored")
        self.assertGreaterEqual(status["restored"]["lost"]["size"], self.size)
        self.refused("E_STOPPED", self.esignd.sign, self.signer, b"r", "batch", "B-2", "1",
                     reason="restored")
        self.refused("E_STOPPED", self.esignd.get, "/v1/signers/jdoe", reason="restored")
        self.refused("E_STOPPED", self.esignd.init, reason="restored")
        self.assertIn("alert trigger=rollback", self.esignd.logs(last=None))
        with open(anchor_of(self.esignd), "rb") as file:
            anchor = file.read()
        # a second start is no way around it, and tells the same loss
        self.esignd.stop().start()
        again = self.esignd.get("/v1/status")["restored"]
        self.assertEqual(again["from"], status["restored"]["from"])
        self.assertEqual(again["lost"], status["restored"]["lost"])
        with open(anchor_of(self.esignd), "rb") as file:
            self.assertEqual(file.read(), anchor, "a branch nobody accepted was anchored")
        self.accept()
        self.check_accepted(status["restored"], anchor)

    def check_accepted(self, lost, anchor):
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "ready")
        self.assertEqual(status["restored"]["lost"], lost["lost"])
        self.assertEqual(status["restored"]["by"], ["mkeller", "psato"])
        entry = [e for e in self.esignd.entries() if e["action"] == "restore.accepted"][-1]
        self.assertEqual(entry["new"]["params"]["lost"], lost["lost"])
        self.assertEqual(entry["new"]["params"]["from"], lost["from"])
        with open(anchor_of(self.esignd), "rb") as file:
            self.assertTrue(file.read().startswith(anchor), "the anchor was rolled back")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")
        self.esignd.stop().start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")

    @req("A6")
    def test_start__the_right_store_put_back_again__goes_on(self):
        today = copy_store(self.esignd)
        put_store(self.esignd, self.yesterday)
        self.esignd.start()
        self.esignd.stop()
        put_store(self.esignd, today)
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")
        self.assertEqual(self.esignd.get("/v1/signers/jdoe")["state"], "revoked")

    @req("A6")
    def test_start__yesterdays_store_and_no_anchor__not_believed(self):
        put_store(self.esignd, self.yesterday)
        os.rename(anchor_of(self.esignd), anchor_of(self.esignd) + ".away")
        self.esignd.start()
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "restored")
        self.assertIn("missing", status["restored"]["detail"])

    @req("A6")
    def test_start__an_empty_store_beside_an_anchor__is_not_initialised(self):
        put_store(self.esignd, {})
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status", esigntest.ROOT_CALLER)["state"],
                         "restored")
        self.refused("E_STOPPED", self.esignd.init, reason="restored")


if __name__ == "__main__":
    esigntest.main()
