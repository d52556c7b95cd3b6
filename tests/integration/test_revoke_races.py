"""Revoking a signer while that signer signs: refused, or complete before the revocation.

tests/long/revoke_races does the same with 1,000 signers.
"""

# build: release

import random
import threading
import time
import unittest

import esigntest
from esigntest import Instance, Refused, req

RECORD = b"record"
HASH = {"hash.memory_kib": "8192", "hash.iterations": "1", "hash.workers": "4"}
POLICY = {"auth": {"delay_s": []}}
RACES, SIGNINGS = 100, 3  # signings against one revocation


class Races:
    """ends: how the signings ended, and how often."""

    def __init__(self, esignd, seed=None):
        self.esignd = esignd
        self.random = random.Random(seed)
        self.ends = {"signed": 0, "refused": 0, "refused after the intent": 0}
        self.span_s = 0.05  # how long signings take, roughly; learnt
        self.count = 0

    def sign(self, signer, ticket, barrier, ends):
        barrier.wait()
        began = time.monotonic()
        try:
            ends[ticket["ticket"]] = self.esignd.authorise(ticket, signer)
            self.span_s += (time.monotonic() - began - self.span_s) / 8
        except Refused as error:
            ends[ticket["ticket"]] = error

    def revoke(self, signer, barrier):
        body = {"components": self.esignd.officers[1].components, "reason": "a race"}
        wait_s = self.random.uniform(0, self.span_s)
        barrier.wait()
        time.sleep(wait_s)  # so that all moments of a signing are met
        self.esignd.post("/v1/signers/%s/revoke" % signer.user_id, body)

    def race(self):
        """One signer, several signings, one revocation: what was answered, and the entries."""
        signer = self.esignd.enrol("racer-%05d" % self.count)
        self.count += 1
        tickets = [self.esignd.ticket(RECORD, "batch", "%s-%d" % (signer.user_id, i), "1")
                   for i in range(SIGNINGS)]
        after = self.esignd.get("/v1/status")["audit"]["size"] - 1
        ends, barrier = {}, threading.Barrier(SIGNINGS + 1)
        threads = [threading.Thread(target=self.sign, args=(signer, ticket, barrier, ends))
                   for ticket in tickets]
        for thread in threads:
            thread.start()
        self.revoke(signer, barrier)
        for thread in threads:
            thread.join()
        self.judge(signer, ends, self.esignd.entries(after=after))

    def judge(self, signer, ends, entries):
        """AssertionError: an end is not the one that its entries tell."""
        revoked = [e["seq"] for e in entries if e["action"] == "signer.revoke"]
        intents = {e["object"]: e for e in entries if e["action"] == "signature.intent"}
        done = {e["object"]: e for e in entries if e["action"] == "signature.outcome"}
        aborted = {e["object"]: e for e in entries if e["action"] == "signature.aborted"}
        assert len(ends) == SIGNINGS and len(revoked) == 1, (ends, entries)
        assert set(done) | set(aborted) == set(intents), entries
        assert not set(done) & set(aborted), entries
        for entry in done.values():
            assert entry["actor"]["signer_id"] == signer.signer_id, entry
            assert intents[entry["object"]]["seq"] < entry["seq"] < revoked[0], entries
        signed = {"signature/" + end["signature"] for end in ends.values()
                  if not isinstance(end, Refused)}
        assert signed == set(done), (ends, entries)
        for ticket, end in ends.items():
            shown = self.esignd.get("/v1/tickets/" + ticket)
            if isinstance(end, Refused):
                assert (end.code, end.reason) == ("E_SIGNER_STATE", "revoked"), end.body
                assert shown["state"] != "signed", shown
            else:
                verdict = self.esignd.validate(end, RECORD, "batch", shown["record"]["id"], "1")
                assert verdict["indication"] == "TOTAL_PASSED", verdict
        self.ends["signed"] += len(done)
        self.ends["refused after the intent"] += len(aborted)
        self.ends["refused"] += SIGNINGS - len(done) - len(aborted)

    def tell(self):
        return "%d revocations against %d signings each: %s" % (self.count, SIGNINGS, ", ".join(
            "%d %s" % (n, end) for end, n in self.ends.items()))


class RevokeRaces(unittest.TestCase):
    @req("5.23", "5.24", "11.10(g)")
    def test_revoke__while_signing__refused_or_complete_before(self):
        esignd = Instance(HASH, policy=POLICY)
        self.addCleanup(esignd.close)
        races = Races(esignd.ready())
        for _ in range(RACES):
            races.race()
        print(races.tell())
        for end in ("signed", "refused"):
            self.assertGreater(races.ends[end], 0, "no race was one: " + races.tell())


if __name__ == "__main__":
    esigntest.main()
