"""What is particular to a TPM 2.0 as a token, beyond what every module must live through."""
# build: release

import concurrent.futures
import os
import pwd
import signal
import threading

import esigntest
from esigntest import Case, Refused, req, send_signal, wait_for
from tokens import zoo

SERVICE = "token-signers"
WORKERS = 3
KILLS = 3
DEADLINE_MS = 2000


class Tpm(Case):
    """A site whose signers' keys are in a TPM that several workers use at once."""

    @classmethod
    def setUpClass(cls):
        cls.tpm = zoo.make("tpm2")
        cls.esignd = zoo.site(cls, cls.tpm, {"signer": "p256"}, {
            "tokens.signers.workers": str(WORKERS),
            "tokens.signers.deadline_ms": str(DEADLINE_MS)}).ready()
        cls.signer = cls.esignd.enrol("jdoe")
        cls.number = 0

    def setUp(self):
        self.tpm.forgive()

    def sign(self, signer=None):
        type(self).number += 1
        number = "B-%d" % self.number
        return self.esignd.sign(signer or self.signer, b"record", "batch", number, "1")

    def refusal(self):
        """Why the token doesn't sign now; None where it does."""
        try:
            self.assertEqual(self.sign()["state"], "signed")
        except Refused as refusal:
            self.assertIn(refusal.code, ("E_HSM", "E_DEADLINE"), refusal.body)
            return refusal.reason or refusal.code
        return None

    def signs(self):
        return self.refusal() is None

    def signs_without_restart(self, starts):
        wait_for(self.signs, "the token signs again")
        self.assertEqual(self.esignd.status()[SERVICE]["starts"], starts)

    def starts(self):
        return self.esignd.status()[SERVICE]["starts"]

    @req("design 8")
    def test_new_key__made_by_one_worker__signs_with_each(self):
        """tpm2-pkcs11 shows a running process no key that another has made."""
        signer = self.esignd.enrol("newkey")
        workers = wait_for(lambda: len(self.esignd.workers(SERVICE)) == WORKERS and
                           self.esignd.workers(SERVICE), "all workers are there")
        for alone in workers:
            others = [pid for pid in workers if pid != alone]
            for pid in others:
                send_signal(pid, signal.SIGSTOP)
            try:
                self.assertEqual(self.sign(signer)["state"], "signed")
            finally:
                for pid in others:
                    send_signal(pid, signal.SIGCONT)
        self.assertEqual(self.esignd.workers(SERVICE), workers)

    @req("design 8")
    def test_new_keys__made_at_once__all_sign(self):
        people = [esigntest.Person("atonce%d" % i, "Signer %d" % i, "Operator")
                  for i in range(WORKERS)]
        asked = [self.esignd.two_officers("signer.enroll", {
            "user_id": person.user_id, "printed_name": person.printed_name, "title": person.title,
            "roles": ["signer"], "evidence": esigntest.evidence("ONCE%d" % i)})
            for i, person in enumerate(people)]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            signers = list(pool.map(self.esignd.activate, people, asked))
            done = list(pool.map(self.sign, signers * 2))
        self.assertEqual({each["state"] for each in done}, {"signed"})

    @req("style 22", "11.300(d)")
    def test_wrong_pin__costs_the_tpm_one_try(self):
        """Three would lock the whole TPM, for everybody who uses it."""
        self.give_pin(zoo.wrong_pin())
        wait_for(lambda: self.refusal() == "pin", "the PIN is refused")
        for _ in range(2):
            for pid in self.esignd.workers(SERVICE):
                send_signal(pid, signal.SIGKILL)
            wait_for(lambda: self.refusal() == "pin", "new workers answer")
        self.assertEqual(self.tpm.failures(), 1)
        self.give_pin(self.tpm.pin)
        wait_for(self.signs, "the right PIN is taken")
        self.assertEqual(self.tpm.failures(), 1)

    @req("design 8", "style 22")
    def test_workers_killed__in_the_middle_of_signatures__cost_the_tpm_nothing(self):
        refusals, over = [], threading.Event()

        def work():
            while not over.is_set():
                refusals.append(self.refusal())

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for _ in range(KILLS):
                pids = set(wait_for(lambda: self.esignd.workers(SERVICE), "there is a worker"))
                for pid in pids:
                    send_signal(pid, signal.SIGKILL)
                wait_for(lambda gone=pids: not gone & set(self.esignd.workers(SERVICE)),
                         "they have gone")
                before = len(refusals)
                wait_for(lambda number=before: len(refusals) > number, "a signature was tried")
        finally:
            over.set()
            thread.join()
        self.assertIsNone(self.refusal())
        self.assertEqual(self.tpm.failures(), 0)

    def give_pin(self, pin):
        self.esignd.launch("stop", SERVICE)
        zoo.set_pin(self.esignd, "signers", pin)
        self.esignd.launch("start", SERVICE)

    @req("design 8", "style 26")
    def test_chip_hangs__refused_in_time__signs_afterwards(self):
        starts = self.starts()
        self.tpm.hang_backend()
        try:
            self.assertIsNotNone(self.refusal())
        finally:
            self.tpm.release_backend()
        self.signs_without_restart(starts)

    @req("design 8", "5.21")
    def test_resource_manager_killed__signs_once_it_is_back(self):
        starts = self.starts()
        self.tpm.kill_manager()
        self.assertIsNotNone(self.refusal())
        self.tpm.start_manager()
        self.signs_without_restart(starts)

    @req("design 8", "5.21")
    def test_chip_killed__signs_once_it_is_back(self):
        starts = self.starts()
        self.tpm.kill_backend()
        self.assertIsNotNone(self.refusal())
        self.tpm.restart_backend()
        self.signs_without_restart(starts)
        self.assertEqual(self.tpm.failures(), 1)  # of the TPM's own, for the power that it lost

    @req("design 8")
    def test_store__of_the_token_s_user_only(self):
        store = self.tpm.environment["TPM2_PKCS11_STORE"]
        self.assertEqual(os.stat(store).st_mode & 0o777, 0o700)
        if not esigntest.ROOT:
            return
        user = pwd.getpwnam("esign-token-signers").pw_uid
        self.assertEqual(os.stat(store).st_uid, user)
        for pid in [self.esignd.pid(SERVICE), *self.esignd.workers(SERVICE)]:
            self.assertEqual(os.stat("/proc/%d" % pid).st_uid, user)


if __name__ == "__main__":
    esigntest.main()
