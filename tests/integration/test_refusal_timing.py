"""Who is known can't be learnt from how long a refusal takes: unknown code, wrong password, no
password yet.

Tries of the three cases follow each other in random order, so that drift of the machine meets all
of them alike; tests/long/refusal_timing does the same with 500 tries over 500 codes.
"""

# build: release

import base64
import json
import random
import statistics
import time
import unittest

import esigntest
from esigntest import Instance, req
from hashwatch import HashWatch

ARGON2ID = {"hash.memory_kib": "19456", "hash.iterations": "2"}
MANY_TRIES = {"auth": {"delay_s": [], "lock_after": 100, "alert_after": 100}}
LIMIT_S = 0.001
PLANTED_MS = 5
TRIES, ROUNDS = 60, 6
CASES = ("unknown", "wrong", "no password")


class Site:
    """A service with count known codes that have a password, and count that have none."""

    def __init__(self, count, policy=None, seed=None):
        self.random = random.Random(seed)
        self.watch = HashWatch()
        self.esignd = Instance(ARGON2ID, self.watch.environment, policy)
        self.codes = {case: [] for case in CASES}
        self.count = count
        self.answers = set()
        self.connection = None

    def ready(self):
        self.esignd.ready()
        for number in range(self.count):
            self.codes["unknown"].append("nobody-%05d" % number)
            self.codes["wrong"].append(self.esignd.enrol("person-%05d" % number).user_id)
            self.esignd.two_officers("signer.enroll", {
                "user_id": "drafts-%05d" % number, "printed_name": "Draft", "title": "Operator",
                "evidence": esigntest.evidence("DRF%06d" % number)})
            self.codes["no password"].append("drafts-%05d" % number)
        self.connection = self.esignd.connection(self.esignd.application)
        return self

    def close(self):
        if self.connection:
            self.connection.close()
        self.esignd.close()
        self.watch.close()

    def refusal_s(self, user_id):
        """How long one refusal takes, from the first byte of the request to the last of the reply;
        what it says is kept."""
        record = {"type": "batch", "id": "B-1", "version": "1", "media_type": "text/plain",
                  "content": base64.b64encode(b"record").decode()}
        body = json.dumps({"record": record, "meaning": "approved", "components": {
            "user_id": user_id, "password": "not the password of anybody"}})
        began = time.perf_counter()
        self.connection.request("POST", "/v1/signatures", body,
                                {"Content-Type": "application/json"})
        reply = self.connection.getresponse()
        text = reply.read()
        took = time.perf_counter() - began
        heads = tuple((k, v) for k, v in reply.getheaders() if k.lower() != "date")
        self.answers.add((reply.status, heads, text))
        return took

    def measure(self, tries):
        """Seconds of so many tries a case, over all codes in turn."""
        order = [(case, self.codes[case][i % self.count]) for case in CASES for i in range(tries)]
        self.random.shuffle(order)
        times = {case: [] for case in CASES}
        for case, user_id in order:
            times[case].append(self.refusal_s(user_id))
        return times


def spread(times):
    """The largest difference of two medians, and about how exactly it is known."""
    medians = {case: statistics.median(values) for case, values in times.items()}
    low, high = min(medians, key=medians.get), max(medians, key=medians.get)
    variance = 0.0
    for case in (low, high):
        quarters = statistics.quantiles(times[case], n=4)
        variance += (1.25 * (quarters[2] - quarters[0]) / 1.35) ** 2 / len(times[case])
    return medians[high] - medians[low], variance ** 0.5


def tell(times):
    return ", ".join("%s %.2f ms" % (case, 1000 * statistics.median(values))
                     for case, values in times.items()) + \
        "; %d tries each" % len(times[CASES[0]])


def judge(site, tries, rounds):
    """Whether the medians differ by more than the limit, and the times.  Further rounds are made
    only while a busy machine leaves it open."""
    times = {case: [] for case in CASES}
    for _ in range(rounds):
        for case, values in site.measure(tries).items():
            times[case] += values
        difference, error = spread(times)
        if difference <= LIMIT_S or difference - 4 * error > LIMIT_S:
            break
    return difference > LIMIT_S, times


class RefusalTiming(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(12, MANY_TRIES)
        cls.addClassCleanup(cls.site.close)
        cls.site.ready()

    def setUp(self):
        self.site.watch.plant(0)

    @req("5.25", "11.300(d)", "11.200(a)(1)")
    def test_refusals__three_cases__one_answer_in_the_same_time(self):
        checked = self.site.watch.checked()
        leaks, times = judge(self.site, TRIES, ROUNDS)
        print(tell(times))
        self.assertFalse(leaks, tell(times))
        self.assertEqual(len(self.site.answers), 1, self.site.answers)
        self.assertEqual(self.site.watch.checked() - checked, sum(map(len, times.values())))

    @req("5.25")
    def test_refusals__planted_leak__found(self):
        self.site.watch.plant(PLANTED_MS)
        leaks, times = judge(self.site, TRIES, ROUNDS)
        print(tell(times))
        self.assertTrue(leaks, tell(times))


if __name__ == "__main__":
    esigntest.main()
