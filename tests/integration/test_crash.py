"""kill -9 under load: what was acknowledged is there and valid, what was begun is ended."""

import hashlib
import http.client
import os
import random
import signal
import threading
import unittest

import esigntest
from esigntest import Instance, req

VICTIMS = ["esignd", "token-signers", "worker"] * 10 + ["hash", "document"] * 3
CLIENTS = 4
FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}


class Crash(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH).ready()
        cls.addClassCleanup(cls.esignd.close)
        # one person a client, so that nobody waits for another's counter of failures
        cls.signers = [cls.esignd.enrol("signer%d" % i) for i in range(CLIENTS)]

    def client(self, number, stop, acknowledged, refused):
        signer, count = self.signers[number], 0
        while not stop.is_set():
            count += 1
            name, content = "C-%d-%d" % (number, count), os.urandom(64)
            try:
                done = self.esignd.sign(signer, content, "batch", name, "1")
                acknowledged.append((done, name, content))
            except esigntest.Refused as error:
                refused.append((error.status, error.code, error.reason))
                if error.reason == "locked":  # tries that a kill cut off were counted, as they must
                    self.esignd.post("/v1/signers/%s/unlock" % signer.user_id, {
                        "components": self.esignd.officers[0].components,
                        "reason": "cut off by the test"})
            except (OSError, http.client.HTTPException):
                pass  # the connection died with the service: nothing was acknowledged

    def token_files(self):
        """Hash of every token.object."""
        found = {}
        for folder, _, names in os.walk(os.path.join(self.esignd.root, "lib")):
            if "token.object" in names:
                with open(os.path.join(folder, "token.object"), "rb") as file:
                    found[folder] = hashlib.sha256(file.read()).hexdigest()
        return found

    def strike(self, victim):
        """Kill one process; services are waited for."""
        if victim == "worker":
            self.esignd.kill_worker("token-signers")
        else:
            self.esignd.kill(victim)

    @req("11.10(e)", "design 3", "3.6", "design 8", "A5")
    def test_kill_under_load__nothing_acknowledged_is_lost_and_every_intent_ends(self):
        seed = random.SystemRandom().getrandbits(32)
        victims, before = list(VICTIMS), self.token_files()
        random.Random(seed).shuffle(victims)
        self.assertEqual(len(before), 3)
        stop, acknowledged, refused = threading.Event(), [], []
        clients = [threading.Thread(target=self.client, args=(n, stop, acknowledged, refused))
                   for n in range(CLIENTS)]
        for thread in clients:
            thread.start()
        try:
            for victim in victims:
                count = len(acknowledged)
                esigntest.wait_for(lambda: len(acknowledged) >= count + 3, "signatures go on")
                self.strike(victim)
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        print("seed %d: %d acknowledged, %d refused" % (seed, len(acknowledged), len(refused)))
        for status, code, reason in refused:
            self.assertIn(code, ("E_HSM", "E_DEADLINE", "E_SIGNER_STATE", "E_CONFLICT"), reason)
        self.esignd.kill("esignd")  # whatever is open is closed at this start
        for done, name, content in acknowledged:
            verdict = self.esignd.validate(done, content, "batch", name, "1")
            self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        self.check_intents({done["signature"] for done, _, _ in acknowledged})
        self.assertEqual(self.token_files(), before)
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")
        self.esignd.sign(self.signers[0], b"afterwards", "batch", "C-after", "1")

    def check_intents(self, acknowledged):
        ends = {}
        for entry in self.esignd.entries():
            if entry["action"] == "signature.intent":
                self.assertNotIn(entry["object"], ends)
                ends[entry["object"]] = None
            elif entry["action"] in ("signature.outcome", "signature.aborted"):
                self.assertIsNone(ends[entry["object"]], "an intent ends once")
                ends[entry["object"]] = entry["action"]
        self.assertNotIn(None, ends.values())
        done = {name.split("/")[1] for name, end in ends.items() if end == "signature.outcome"}
        self.assertLessEqual(acknowledged, done)


class Report(unittest.TestCase):
    """What a start tells of the stop before it."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signers = [cls.esignd.enrol("reported%d" % i) for i in range(2)]

    def starts(self):
        return [e for e in self.esignd.entries() if e["action"] == "service.start"]

    def begin(self, number):
        """A signing in a thread that nobody answers; returns the thread."""

        def work():
            try:
                self.esignd.sign(self.signers[number], b"record", "batch", "R-%d" % number, "1")
            except (OSError, http.client.HTTPException, esigntest.Refused):
                pass  # cut off by the kill

        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    def wait_for_entry(self, action, after):
        esigntest.wait_for(lambda: action in [e["action"] for e in self.esignd.entries()[after:]],
                           action + " is entered")

    @req("11.10(e)", "2.4", "design 3")
    def test_start__after_nothing_a_stop_and_a_crash__told_in_the_trail(self):
        nothing = {"intents": 0, "tries": 0, "keys": 0}
        self.assertEqual(self.starts()[0]["new"]["recovery"],
                         {"stop": "none", "from": 0, **nothing})
        size = self.size()
        self.esignd.kill("esignd", signal.SIGTERM)
        self.assertEqual(self.starts()[-1]["new"]["recovery"],
                         {"stop": "clean", "from": size + 1, **nothing})
        self.assertEqual(self.esignd.get("/v1/status")["start"]["stop"], "clean")
        size = self.size()
        self.esignd.launch("stop", "token-signers")
        self.begin(0)
        self.wait_for_entry("signature.intent", size)
        self.esignd.launch("stop", "hash")
        size = self.size()
        self.begin(1)
        esigntest.wait_for(lambda: self.size() > size, "the try is entered")
        size = self.size()
        self.esignd.kill("esignd")
        for name in ("hash", "token-signers"):
            self.esignd.launch("start", name)
        entries = self.esignd.entries()
        start = self.starts()[-1]
        self.assertEqual(start["new"]["recovery"],
                         {"stop": "unclean", "from": size, "intents": 1, "tries": 1, "keys": 0})
        ended = entries[size:start["seq"]]
        self.assertEqual(len(ended), 2, ended)
        self.assertIn("signature.aborted", [e["action"] for e in ended])
        self.assert_shown(start)
        self.esignd.kill("esignd")
        self.assertEqual(self.starts()[-1]["new"]["recovery"],
                         {"stop": "unclean", "from": start["seq"] + 1, **nothing})
        for signer in self.signers:
            self.esignd.sign(signer, b"record", "batch", "R-after", "1")

    def assert_shown(self, start):
        """By the command, the status, the checks and the measurements."""
        shown = self.esignd.esign("audit", "show", str(start["seq"])).stdout.decode()
        for word in ("service.start", "unclean"):
            self.assertIn(word, shown)
        self.assertIn("unclean", self.esignd.esign("status").stdout.decode())
        health = self.esignd.get("/v1/health")
        self.assertEqual([c["state"] for c in health["checks"] if c["name"] == "start"], ["warn"])
        text = self.esignd.get("/metrics").decode()
        self.assertIn("\nesignd_start_unclean 1\n", text)
        self.assertIn('\nesignd_recovered{what="intents"} 1\n', text)


if __name__ == "__main__":
    esigntest.main()
