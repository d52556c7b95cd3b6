"""Tries of components: how many are evaluated, the delay after failures, the lock, the alerts."""

# tier: quick
# build: release

import json
import re
import threading
import time
import unittest

import esigntest
from esigntest import Instance, Person, Refused, req, wait_for
from hashwatch import HashWatch

RECORD = b"record"
GUESSES = 64
HASH = {"hash.memory_kib": "8192", "hash.iterations": "1", "hash.workers": "4"}
TRIES = ("attempt.reserve", "attempt.failed", "attempt.refused", "signer.lock")


def wrong(person, number=0):
    return Person(person.user_id, "", "", "wrong password number %d" % number)


class Case(unittest.TestCase):
    POLICY = {}

    @classmethod
    def setUpClass(cls):
        cls.watch = HashWatch()
        cls.addClassCleanup(cls.watch.close)
        cls.esignd = Instance(HASH, cls.watch.environment, cls.POLICY)
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.esignd.add_application("lims", esigntest.application_caller(1).uid)

    def attempt(self, person, caller=None):
        """One signing: None if it was done, else the refusal."""
        try:
            self.esignd.post("/v1/signatures", {
                "record": self.esignd.record(RECORD, "batch", "B-1", "1"), "meaning": "approved",
                "components": person.components}, caller=caller or self.esignd.application)
        except Refused as error:
            return error
        return None

    def code(self, person, caller=None):
        refusal = self.attempt(person, caller)
        return "" if refusal is None else "%s(%s)" % (refusal.code, refusal.reason or "")

    def parallel(self, persons):
        """A try of each at the same time; how many ended how."""
        ends, barrier = [], threading.Barrier(len(persons))

        def one(person):
            barrier.wait()
            ends.append(self.code(person))

        threads = [threading.Thread(target=one, args=(person,)) for person in persons]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {end: ends.count(end) for end in set(ends)}

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    def tries(self, person, after):
        """Entries about tries of a person since `after`: action -> how many, alerts in order."""
        found = [e for e in self.esignd.entries(after=after - 1)
                 if e["action"] in TRIES and e["object"] == "signer/" + person.signer_id]
        return ({a: sum(e["action"] == a for e in found) for a in TRIES},
                [e["alert"] for e in found if "alert" in e])

    def metric(self, name):
        connection = self.esignd.connection(self.esignd.terminal)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return int(next(line.split()[1] for line in text.splitlines()
                        if line.startswith("esignd_%s " % name)))

    def unlock(self, person, officer=1):
        self.esignd.post("/v1/signers/%s/unlock" % person.user_id, {
            "components": self.esignd.officers[officer].components,
            "reason": "identified in person"})


class NoDelay(Case):
    POLICY = {"auth": {"delay_s": [0]}}

    @req("11.300(d)", "S8", "0.3", "5.10")
    def test_lock__64_parallel_guesses__five_are_evaluated(self):
        signer = self.esignd.enrol("guessed")
        after, checked = self.size(), self.watch.checked()
        failures, locks = self.metric("authentication_failures_total"), \
            self.metric("signer_locks_total")
        ends = self.parallel([wrong(signer, i) for i in range(GUESSES)])
        self.assertEqual(ends, {"E_AUTH_FAILED()": 5, "E_SIGNER_STATE(locked)": GUESSES - 5})
        self.assertEqual(self.watch.checked() - checked, 5)
        counts, alerts = self.tries(signer, after)
        self.assertEqual(counts, {"attempt.reserve": 5, "attempt.failed": 4, "signer.lock": 1,
                                  "attempt.refused": GUESSES - 5})
        self.assertEqual(alerts, ["failures", "lockout"])
        self.assertEqual((self.metric("authentication_failures_total") - failures,
                          self.metric("signer_locks_total") - locks), (5, 1))
        log = self.esignd.logs(last=None)
        for trigger in ("failures", "lockout"):
            line = r"alert trigger=%s .* object=signer/%s " % (trigger, signer.signer_id)
            self.assertEqual(len(re.findall(line, log)), 1)
        # the right password is not even looked at, until an officer has unlocked
        self.assertEqual(self.code(signer), "E_SIGNER_STATE(locked)")
        self.assertEqual(self.esignd.get("/v1/signers/guessed")["state"], "locked")
        self.assertEqual(self.watch.checked() - checked, 5)
        self.unlock(signer)
        self.assertEqual(self.code(signer), "")
        self.assertEqual(self.watch.checked() - checked, 5 + 2)  # the officer's and the signer's

    @req("11.300(d)", "S8")
    def test_counter__over_applications_terminal_and_kills__one(self):
        signer = self.esignd.enrol("everywhere")
        lims = esigntest.application_caller(1)
        self.assertEqual(self.code(wrong(signer)), "E_AUTH_FAILED()")
        self.assertEqual(self.code(wrong(signer), lims), "E_AUTH_FAILED()")
        ticket = self.esignd.ticket(RECORD, "batch", "E-1", "1")
        with self.assertRaises(Refused) as caught:
            self.esignd.authorise(ticket, wrong(signer))
        self.assertEqual(caught.exception.code, "E_AUTH_FAILED")
        for caller in (self.esignd.application, lims):
            self.esignd.kill("esignd")
            self.assertEqual(self.code(wrong(signer), caller), "E_AUTH_FAILED()")
        self.assertEqual(self.code(signer), "E_SIGNER_STATE(locked)")
        self.esignd.kill("esignd")
        self.assertEqual(self.code(signer, lims), "E_SIGNER_STATE(locked)")
        self.unlock(signer)
        self.assertEqual(self.code(signer, lims), "")

    @req("11.300(d)", "11.200(a)(1)")
    def test_slots__parallel_right_passwords__all_sign_and_none_waits_in_vain(self):
        signer = self.esignd.enrol("busy")
        self.assertEqual(self.parallel([signer] * 24), {"": 24})

    def lock_officer(self, officer):
        for _ in range(5):
            with self.assertRaises(Refused) as caught:
                self.esignd.post("/v1/signers/nobody/revoke", {
                    "components": wrong(officer).components, "reason": "guessing"})
            self.assertEqual(caught.exception.code, "E_AUTH_FAILED")

    @req("5.10", "5.26", "11.300(d)")
    def test_lock__of_every_officer__root_unlocks_and_nobody_else(self):
        path = "/v1/signers/%s/unlock-officer" % self.esignd.officers[0].user_id
        reason = {"reason": "all officers are locked"}
        self.lock_officer(self.esignd.officers[0])
        with self.assertRaises(Refused) as caught:  # the other one can
            self.esignd.post(path, reason, caller=esigntest.ROOT_CALLER)
        self.assertEqual((caught.exception.code, caught.exception.reason),
                         ("E_POLICY", "officer-left"))
        self.assertEqual(self.esignd.entries()[-1]["result"], "E_POLICY(officer-left)")
        self.lock_officer(self.esignd.officers[1])
        with self.assertRaises(Refused) as caught:
            self.esignd.post(path, reason)
        self.assertEqual(caught.exception.code, "E_AUTHZ")
        done = self.esignd.esign("signer", "unlock-officer", self.esignd.officers[0].user_id,
                                 "--reason", reason["reason"], caller=esigntest.ROOT_CALLER)
        self.assertIn(b"active", done.stdout)
        with self.assertRaises(Refused) as caught:
            self.esignd.post(path, reason, caller=esigntest.ROOT_CALLER)
        self.assertEqual(caught.exception.code, "E_CONFLICT")
        self.unlock(self.esignd.officers[1], officer=0)
        entry = next(e for e in self.esignd.entries()
                     if e["action"] == "officer.unlock" and e["result"] == "OK")
        self.assertEqual((entry["actor"], entry["reason"]),
                         ({"role": "peer", "uid": 0}, reason["reason"]))


class Delays(Case):
    """The policy as it is shipped: 0, 0, 2 s, 5 s, then the lock."""

    def guess(self, person, times):
        for number in range(times):
            self.assertEqual(self.code(wrong(person, number)), "E_AUTH_FAILED()")

    def after_delay(self, person):
        """The first answer that is not "wait"."""
        answers = []

        def asked():
            answers.append(self.code(person))
            return answers[-1] != "E_RATE(delay)"

        wait_for(asked, "the delay ends", 15)
        return answers[-1]

    @req("11.300(d)", "0.3", "S8")
    def test_delay__tries_inside__neither_evaluated_nor_counted(self):
        signer = self.esignd.enrol("hasty")
        self.guess(signer, 3)
        began, after, checked = time.monotonic(), self.size(), self.watch.checked()
        ends = self.parallel([signer] * 8 + [wrong(signer)] * 8)
        self.assertLess(time.monotonic() - began, 2, "this machine is too slow to tell")
        self.assertEqual(ends, {"E_RATE(delay)": 16})
        self.assertEqual(self.watch.checked(), checked)
        counts, alerts = self.tries(signer, after)
        self.assertEqual(counts, {"attempt.reserve": 0, "attempt.failed": 0, "signer.lock": 0,
                                  "attempt.refused": 16})
        self.assertEqual(alerts, [])
        # the fourth failure is counted once the delay is over, and survives kill -9
        self.assertEqual(self.after_delay(wrong(signer)), "E_AUTH_FAILED()")
        self.esignd.kill("esignd")
        self.assertEqual(self.code(signer), "E_RATE(delay)")
        self.assertEqual(self.watch.checked(), checked + 1)
        # 16 and more tries have not locked; the fifth failure does
        self.assertEqual(self.after_delay(wrong(signer)), "E_AUTH_FAILED()")
        self.assertEqual(self.code(signer), "E_SIGNER_STATE(locked)")
        self.unlock(signer)
        self.assertEqual(self.code(signer), "")

    @req("11.300(d)", "0.3")
    def test_delay__reply__says_how_long(self):
        signer = self.esignd.enrol("patient")
        self.guess(signer, 3)
        connection = self.esignd.connection(self.esignd.application)
        try:
            connection.request("POST", "/v1/signatures", json.dumps({
                "record": self.esignd.record(RECORD, "batch", "B-1", "1"), "meaning": "approved",
                "components": signer.components}), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            problem = json.loads(reply.read())
        finally:
            connection.close()
        self.assertEqual((reply.status, problem["code"], problem["reason"]),
                         (429, "E_RATE", "delay"))
        self.assertIn(problem["retry_after"], (1, 2))
        self.assertEqual(reply.getheader("Retry-After"), str(problem["retry_after"]))
        self.assertEqual(self.after_delay(signer), "")
        self.guess(signer, 3)  # a right password ends the row of failures

    @req("11.300(d)", "0.3")
    def test_delay__64_parallel_guesses__three_are_evaluated(self):
        signer = self.esignd.enrol("slowed")
        checked = self.watch.checked()
        ends = self.parallel([wrong(signer, i) for i in range(GUESSES)])
        self.assertEqual(ends, {"E_AUTH_FAILED()": 3, "E_RATE(delay)": GUESSES - 3})
        self.assertEqual(self.watch.checked() - checked, 3)

    @req("11.300(d)", "5.24", "11.300(c)")
    def test_revoked__right_components__alert_and_wrong_ones_none(self):
        signer = self.esignd.enrol("gone")
        self.esignd.post("/v1/signers/gone/revoke", {
            "components": self.esignd.officers[1].components, "reason": "left the company"})
        after = self.size()
        self.assertEqual(self.code(wrong(signer)), "E_AUTH_FAILED()")
        self.assertEqual(self.tries(signer, after)[1], [])
        self.assertEqual(self.code(signer), "E_SIGNER_STATE(revoked)")
        self.assertEqual(self.tries(signer, after)[1], ["unusable-credential"])


if __name__ == "__main__":
    esigntest.main()
