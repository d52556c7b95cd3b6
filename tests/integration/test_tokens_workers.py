# build: release
"""Workers of a token: one that hangs or dies costs nobody a signature, a token that has fewer
sessions than there are workers has fewer workers, and none of it restarts a service.
"""

import itertools
import os
import signal
import threading
import time

import esigntest
from esigntest import Case, Instance, req, wait_for
from faulty import Faulty

SERVICE = "token-signers"
FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
DEADLINE_MS = 2000
WORKERS = 4


class Workers(Case):
    """A site with four workers for its signers' token, whose module can be told to fail."""

    token_rules = ()

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance({**FAST_HASH, "tokens.signers.workers": str(WORKERS),
                               "tokens.signers.deadline_ms": str(DEADLINE_MS)})
        cls.addClassCleanup(cls.esignd.close)
        cls.faulty = Faulty.before(cls.esignd, "signers")
        cls.faulty.rules(*cls.token_rules)
        cls.esignd.ready()
        cls.signers = [cls.esignd.enrol("signer%d" % i) for i in range(WORKERS)]
        cls.numbers = itertools.count(1)

    def setUp(self):
        self.addCleanup(self.faulty.rules, *self.token_rules)

    def sign(self, signer=0):
        reply = self.esignd.sign(self.signers[signer], b"record", "batch",
                                 "B-%d" % next(self.numbers), "1")
        self.assertEqual(reply["state"], "signed")
        return reply

    def at_once(self, count):
        """Each signer signs so often, all at once; what went wrong."""
        failed = []

        def run(signer):
            try:
                for _ in range(count):
                    self.sign(signer)
            except Exception as error:  # pylint: disable=broad-except  # told below
                failed.append(str(error))

        threads = [threading.Thread(target=run, args=(i,)) for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return failed

    def all_workers(self):
        found = self.esignd.workers(SERVICE)
        return found if len(found) == WORKERS else None

    def log(self):
        path = os.path.join(self.esignd.root, "run", "launch", SERVICE + ".log")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def retries(self, after):
        return [entry for entry in self.esignd.entries(after)
                if entry["action"] == "signature.retry"]

    def newest(self):
        return self.esignd.entries()[-1]["seq"]

    def token(self):
        return next(t for t in self.esignd.get("/v1/status")["tokens"] if t["name"] == "signers")


class Life(Workers):
    @req("design 2", "design 3", "style 31")
    def test_hang__one_worker__signed_by_another_in_time(self):
        before, after = set(wait_for(self.all_workers, "all workers")), self.newest()
        self.faulty.rules("call=C_Sign times=1 hang=1")
        began = time.monotonic()
        self.assertEqual(self.at_once(3), [])  # nobody sees it
        self.assertGreaterEqual(time.monotonic() - began, DEADLINE_MS / 1000)
        retries = self.retries(after)
        self.assertEqual([entry["result"] for entry in retries], ["E_DEADLINE"])
        wait_for(lambda: len(before - set(self.esignd.workers(SERVICE))) == 1 and
                 len(self.esignd.workers(SERVICE)) == WORKERS, "the one that hung is replaced")

    @req("design 2", "design 3")
    def test_lost_sessions__all_at_once__each_signed_after_one_retry(self):
        after = self.newest()
        self.faulty.rules("token session-epoch=1")  # the token was restarted
        self.assertEqual(self.at_once(3), [])
        retries = self.retries(after)
        self.assertTrue(1 <= len(retries) <= WORKERS, retries)
        self.assertEqual({entry["result"] for entry in retries}, {"E_HSM(lost)"})

    @req("design 2", "design 3")
    def test_kill__ready_workers_one_by_one__nobody_sees_it(self):
        starts = self.esignd.status()[SERVICE]["starts"]
        stop = threading.Event()
        kills = []

        def kill():
            while not stop.is_set():
                workers = self.esignd.workers(SERVICE)
                if len(workers) == WORKERS:
                    kills.append(self.esignd.kill_worker(SERVICE))
                stop.wait(0.1)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            self.assertEqual(self.at_once(15), [])
        finally:
            stop.set()
            killer.join()
        self.assertGreater(len(kills), 1)
        self.assertEqual(self.esignd.status()[SERVICE]["starts"], starts)

    @req("design 2")
    def test_sigpipe__of_a_module__does_not_end_a_worker(self):
        self.esignd.kill(SERVICE)
        before = wait_for(self.all_workers, "all workers")
        for worker in before:
            with open("/proc/%d/status" % worker, encoding="utf-8") as file:
                line = next(text for text in file if text.startswith("SigIgn:"))
            self.assertTrue(int(line.split()[1], 16) >> (signal.SIGPIPE - 1) & 1, line)
        os.kill(before[0], signal.SIGPIPE)
        self.assertEqual(self.at_once(1), [])
        self.assertIn(before[0], self.esignd.workers(SERVICE))

class WrongPin(Workers):
    """A token that counts what it is sent."""

    def give_pin(self, pin):
        self.esignd.launch("stop", SERVICE)
        path = os.path.join(self.esignd.root, "etc", "credentials", "signers.pin")
        with open(path, "r+", encoding="utf-8") as file:
            before = file.read()
            file.seek(0)
            file.write(pin)
            file.truncate()
        self.esignd.launch("start", SERVICE)
        return before

    @req("11.300(d)", "style 22", "design 8")
    def test_wrong_pin__services_and_workers_restarted__sent_once(self):
        failed = self.faulty.counts()["C_Login"].failed
        right = self.give_pin("not the PIN")
        wait_for(lambda: "C_Login: CKR_PIN_INCORRECT" in self.log(), "it is refused")
        for _ in range(2):
            self.give_pin("not the PIN")
            wait_for(lambda: "has refused this PIN" in self.token()["detail"], "what to do is told")
            self.refused("E_HSM", self.sign, reason="pin")
            self.esignd.kill_workers(SERVICE)
            self.refused("E_HSM", self.sign, reason="pin")
        self.assertIn("correct the credential", self.token()["detail"])
        self.assertEqual(self.faulty.counts()["C_Login"].failed, failed + 1)
        self.give_pin(right)
        wait_for(lambda: self.token()["state"] == "ready", "the right one is taken")
        self.sign()


    @req("11.300(d)", "design 8")
    def test_module_fails_in_login__again_and_again__pin_sent_twice(self):
        for rule in ("signal=11", "late=1 signal=11", "rv=0x5", "late=1 rv=0x6"):
            with self.subTest(rule=rule):
                self.esignd.launch("stop", SERVICE)
                self.faulty.rules("call=C_Login " + rule)
                sent = self.faulty.counts()["C_Login"].calls
                self.esignd.launch("start", SERVICE, check=False)
                wait_for(lambda: "died or failed 2 times" in self.log(), "what happened is told")
                wait_for(lambda: "until the service is restarted" in self.token()["detail"],
                         "and what helps")
                self.refused("E_HSM", self.sign, reason="pin")
                self.assertEqual(self.faulty.counts()["C_Login"].calls, sent + 2)
                self.faulty.rules()
                self.esignd.kill_workers(SERVICE)  # only an operator's restart helps
                self.refused("E_HSM", self.sign, reason="pin")
                self.esignd.launch("stop", SERVICE)
                self.esignd.launch("start", SERVICE)
                wait_for(lambda: self.token()["state"] == "ready", "the restart helps")
                self.sign()

    @req("11.300(d)", "design 2")
    def test_module_dies_in_login__pin_was_accepted__tried_on(self):
        for rule in ("signal=11", "rv=0x5"):
            with self.subTest(rule=rule):
                hit = self.faulty.counts()["C_Login"].hit
                self.faulty.rules("call=C_Login times=5 " + rule)
                self.esignd.kill_workers(SERVICE)
                wait_for(lambda: self.faulty.counts()["C_Login"].hit >= hit + 5, "workers fail")
                wait_for(lambda: self.token()["state"] == "ready", "it comes back by itself")
                self.sign()


class FewSessions(Workers):
    """A token that says how few sessions it has."""

    token_rules = ("token sessions=2",)

    @req("design 2", "design 8")
    def test_sessions__fewer_than_workers__so_many_workers_and_told(self):
        workers = wait_for(lambda: self.esignd.workers(SERVICE)[1:2] and
                           self.esignd.workers(SERVICE), "two workers")
        self.assertEqual(len(workers), 2)
        self.assertEqual(self.at_once(4), [])
        self.assertEqual(self.esignd.workers(SERVICE), workers)  # none came or went
        token = self.token()
        self.assertEqual((token["state"], token["detail"]),
                         ("ready", "the token has room for 2 of 4 workers"))
        self.assertEqual(self.log().count("the token has room for 2 of 4 workers"), 1, self.log())
        self.assertIn("room for 2 of 4", self.esignd.esign("status", check=False).stdout.decode())
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: len(self.esignd.workers(SERVICE)) == 2 and
                 workers[0] not in self.esignd.workers(SERVICE), "two again")
        self.assertEqual(self.at_once(1), [])


class NoSession(Workers):
    """A token whose other sessions somebody else has."""

    @req("design 2", "design 8")
    def test_session_count__of_two_workers__two_run_and_no_loop(self):
        self.esignd.kill(SERVICE)  # new workers see all keys: none opens the token again for one
        workers = wait_for(self.all_workers, "all workers")
        self.assertEqual(self.at_once(1), [])
        self.faulty.rules("call=C_OpenSession rv=0xb1")
        for worker in workers[:2]:
            os.kill(worker, signal.SIGKILL)
        wait_for(lambda: self.log().count("no room for another worker") == 2, "both are spare")
        self.assertEqual(self.esignd.workers(SERVICE), workers[2:])
        self.assertEqual(self.token()["detail"], "the token has room for 2 of 4 workers")
        self.assertEqual(self.at_once(4), [])
        self.assertLessEqual(self.faulty.counts()["C_OpenSession"].failed, 4)
        self.faulty.rules()  # the others have gone
        wait_for(lambda: len(self.esignd.workers(SERVICE)) == WORKERS, "all workers run")
        wait_for(lambda: self.token()["detail"] == "", "nothing to tell")


if __name__ == "__main__":
    esigntest.main()
