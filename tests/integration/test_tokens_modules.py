"""What every real PKCS#11 module must live through: a worker killed in flight, what is behind it
hanging, the token taken away and given back, a wrong PIN, the service killed."""
# build: release

import os
import threading
import unittest

import esigntest
from esigntest import Case, Refused, req, wait_for
from tokens import zoo

SERVICE = "token-signers"
DEADLINE_MS = 3000
SIGNATURES = 12  # in flight around a kill
# kinds of keys, where p256 is not what the module can do; the signer's is small: quickly made
KEYS = {"opencryptoki": ("rsa3072", "rsa2048")}
POLICY = {"signer_algorithms": ["p256", "rsa2048", "rsa3072"]}


class Module(Case):
    """The tests; below, a class of each module inherits them."""

    name = None
    workers = "2"

    @classmethod
    def setUpClass(cls):
        cls.module = zoo.make(cls.name)
        cls.esignd = zoo.site(cls, cls.module, {"signer": cls.kinds()[0]},
                              {"tokens.signers.deadline_ms": str(DEADLINE_MS),
                               "tokens.signers.workers": cls.workers}, POLICY)
        cls.prepare()

    @classmethod
    def kinds(cls):
        """Of the token's keys by its configuration, of the signer's."""
        return KEYS.get(cls.name, ("p256", "p256"))

    @classmethod
    def prepare(cls):
        cls.signer = cls.esignd.ready().enrol("jdoe", algorithm=cls.kinds()[1])
        cls.number = 0

    def sign(self):
        type(self).number += 1
        return self.esignd.sign(self.signer, b"record", "batch", "B-%d" % self.number, "1")

    def refusal(self):
        """Why the token can't be used now; None where it can."""
        try:
            self.assertEqual(self.sign()["state"], "signed")
        except Refused as refusal:
            self.assertIn(refusal.code, ("E_HSM", "E_DEADLINE"), refusal.body)
            return refusal.reason or "deadline"
        return None

    def works(self):
        return self.refusal() is None

    def kill_workers(self):
        self.esignd.kill_workers(SERVICE)

    def log(self):
        path = os.path.join(self.esignd.root, "run", "launch", SERVICE + ".log")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    @req("design 8", "5.21")
    def test_remove__and_put_back__unavailable_then_there_without_a_restart(self):
        starts = self.esignd.status()[SERVICE]["starts"]
        self.module.remove()
        try:
            self.kill_workers()  # what a process has open it may keep
            wait_for(lambda: self.refusal() == "unavailable", "the token is unavailable")
        finally:
            self.module.put_back()
        wait_for(self.works, "the token is there again")
        self.assertEqual(self.esignd.status()[SERVICE]["starts"], starts)

    @req("style 22", "design 8")
    def test_wrong_pin__sent_once_and_never_again(self):
        sent = self.log().count("C_Login")
        self.give_pin(zoo.wrong_pin())
        wait_for(lambda: self.refusal() == "pin", "the PIN is refused")
        for _ in range(2):  # neither another worker nor a new one sends it
            before = set(self.esignd.workers(SERVICE))
            self.kill_workers()
            wait_for(lambda: set(self.esignd.workers(SERVICE)) - before, "new workers")
            self.assertEqual(self.refusal(), "pin")
        self.assertEqual(self.log().count("C_Login"), sent + 1, self.log())
        self.give_pin(self.module.pin)
        wait_for(self.works, "the right PIN is taken")

    def give_pin(self, pin):
        self.esignd.launch("stop", SERVICE)
        zoo.set_pin(self.esignd, "signers", pin)
        self.esignd.launch("start", SERVICE)

    @req("design 8")
    def test_restart__service_killed__there_again(self):
        self.esignd.kill(SERVICE)
        wait_for(self.works, "the token is there again")


class Signing:
    """Of a module that makes keys: a site's signers have them there."""

    @req("design 8", "5.21")
    def test_kill__workers_in_flight__nobody_sees_it(self):
        outcomes, half = [], threading.Event()

        def work():
            for i in range(SIGNATURES):
                try:
                    outcomes.append(self.sign()["state"])
                except Refused as refusal:
                    outcomes.append(refusal.body)
                if i >= 2:
                    half.set()

        thread = threading.Thread(target=work)
        thread.start()
        self.assertTrue(half.wait(esigntest.WAIT_S))
        self.kill_workers()
        thread.join()
        self.assertEqual(outcomes, ["signed"] * SIGNATURES)


class Behind:
    """Of a module that has a process behind it."""

    @req("design 8", "style 26")
    def test_hang__what_is_behind__refused_in_time_then_as_before(self):
        self.module.hang_backend()
        try:
            if not self.module.calls_backend:
                self.kill_workers()
            self.assertIn(self.refusal(), ("unavailable", "worker", "deadline"))
        finally:
            self.module.release_backend()
        wait_for(self.works, "the token is there again")

    @req("design 8")
    def test_restart__what_is_behind__there_again(self):
        self.module.kill_backend()
        self.module.restart_backend()
        wait_for(self.works, "the token is there again")


class Watching:
    """Of a module whose token can't have a site's keys: what esign status says of it."""

    @classmethod
    def prepare(cls):
        cls.esignd.launch("tokens")
        cls.esignd.start()

    def setUp(self):
        self.module.settle()
        wait_for(self.works, "the token is there")

    def refusal(self):
        rows = self.esignd.get("/v1/status")["tokens"]
        row = next(row for row in rows if row["name"] == "signers")
        if row["state"] == "ready":
            return None
        return "pin" if "PIN" in row["detail"] else "unavailable"

    @req("design 8")
    def test_kill__workers__there_again(self):
        self.kill_workers()
        wait_for(self.works, "the token is there again")


def load_tests(loader, _tests, _pattern):
    """A class a module, none for what they share."""
    suite = unittest.TestSuite()
    for name in zoo.MODULES:
        module = zoo.kind(name)
        kinds = (Signing if module.makes_keys else Watching,) + \
            ((Behind,) if module.has_backend else ()) + (Module,)
        kind = type(name, kinds, {"name": name})
        suite.addTests(loader.loadTestsFromTestCase(kind))
    return suite


if __name__ == "__main__":
    esigntest.main()
