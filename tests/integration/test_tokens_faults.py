# build: release
"""Every return value of PKCS#11 at every call that esign-token makes: what it answers, that it is
of use again at once, that nobody is left over, and how often the PIN was sent.

Half of the values at the calls that open a token, and all values that stand for good instead of
coming once, are in tests/long/token_faults.
"""

import os
import re
import secrets
import threading

import esigntest
from esigntest import Case, req
import tokenservice
from faulty import return_values
from tokenservice import TokenService

E_HSM, E_UNSUPPORTED = 401, 108
TABLE = os.path.join(esigntest.SOURCE, "pkcs11", "ckr.c")
SERVICES = 4  # at once: most of their time they wait
# the calls, as far as esign-token makes them
OPENING = ("C_Initialize", "C_GetSlotList", "C_GetTokenInfo", "C_OpenSession", "C_Login",
           "C_GetSessionInfo", "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal")
FINDING = ("C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_GetAttributeValue")
SIGNING = ("C_SignInit", "C_Sign")
VENDOR = {"CKR_VENDOR_DEFINED": 0x80000000, "CKR_VENDOR_OWN": 0x80000abc}
# lengths and counts that are not: beyond what was asked for, CK_UNAVAILABLE_INFORMATION
LIES = (100000, 0x7fffffff, 0xffffffffffffffff)
# how a process ends in a module: SIGSEGV, SIGABRT, SIGKILL, exit()
ENDS = [end + late for end in ("signal=11", "signal=6", "signal=9", "exit=0", "exit=1")
        for late in ("", " late=1")]
# answers of C_Initialize after which the module is initialised in another way
OTHER_WAY = ("CKR_ARGUMENTS_BAD", "CKR_CANT_LOCK", "CKR_NEED_TO_CREATE_THREADS")
# values that an answer does not name: unknown ones; those after which another call fails
UNNAMED = (*VENDOR, "CKR_USER_ALREADY_LOGGED_IN")
# answers of C_GenerateKeyPair that mean: not an algorithm of this token
NO_ALGORITHM = ("CKR_MECHANISM_INVALID", "CKR_KEY_SIZE_RANGE", "CKR_CURVE_NOT_SUPPORTED",
                "CKR_DOMAIN_PARAMS_INVALID")


def classes():
    """{name: class} as in the table of pkcs11/ckr.c."""
    with open(TABLE, encoding="utf-8") as file:
        return dict(re.findall(r"CKR_ROW\((CKR_\w+), (\w+)\)", file.read()))


VALUES = {**return_values(), **VENDOR}
CLASSES = {**dict.fromkeys(VENDOR, "GONE"), **classes()}
REASONS = {"REQUEST": "key", "STALE": "key", "PIN": "pin", "GONE": "lost"}


def opening_reason(call, name):
    """What is answered while the token can't be opened; None: it was opened another way."""
    if call == "C_Initialize" and name in OTHER_WAY:
        return None
    if call == "C_Login" and CLASSES[name] != "GONE":
        return "unavailable" if name == "CKR_USER_ALREADY_LOGGED_IN" else "pin"
    return "unavailable"


def finding_reason(call, name):
    return "lost" if call == "C_FindObjectsFinal" else REASONS[CLASSES[name]]


def run_at_once(jobs, work):
    """work(index of the worker, job) for all jobs, SERVICES at a time; what went wrong."""
    todo, wrong, lock = list(jobs), [], threading.Lock()

    def run(index):
        while True:
            with lock:
                if not todo:
                    return
                job = todo.pop()
            try:
                work(index, job)
            except Exception as error:  # pylint: disable=broad-except
                with lock:
                    wrong.append("%s: %s" % (job, error))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(SERVICES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


class Matrix(Case):
    """Services and what is asked of each; the larger part of tests/long/token_faults too."""

    @classmethod
    def setUpClass(cls):
        cls.services = [TokenService(cls) for _ in range(SERVICES)]
        cls.epochs = [0] * SERVICES

    def work(self, jobs, work):
        jobs = list(jobs)
        wrong = run_at_once(jobs, work)
        self.assertFalse(wrong, "%d of %d:\n%s" % (len(wrong), len(jobs), "\n".join(wrong[:10])))
        return len(jobs)

    def expect(self, reply, status, reason, name):
        self.assertEqual((reply.status, reply.reason), (status, reason), reply)
        if name not in UNNAMED and reason != "pin":
            self.assertIn(name, reply.detail)

    def expect_ready(self, service, at_once=True):
        """Without a fault it signs at once: no request is lost to the fault before it. at_once:
        else a worker may have begun to open the token under the fault, and tells so for a time."""
        service.faulty.rules()
        if not at_once:
            esigntest.wait_for(lambda: service.sign().status == 0, "the token is of use again")
        reply = service.sign()
        self.assertEqual(reply.status, 0, reply)
        self.assertLessEqual(len(service.workers()), 1)

    # opening: the service is started under the fault

    def open_under(self, index, job):
        call, name, rest = job
        service = self.services[index]
        before = service.faulty.counts()
        service.faulty.rules("call=%s rv=%d %s" % (call, VALUES[name], rest))
        service.start()
        try:
            reason = opening_reason(call, name)
            if not reason and "times=1" not in rest:
                reason = "unavailable"
            reply = service.sign()
            if reason:
                self.expect(reply, E_HSM, reason, name)
            else:
                self.assertEqual(reply.status, 0, reply)
            after = service.faulty.counts()
            self.assertGreater(after[call].hit, before[call].hit)
            self.assertLessEqual(after["C_Login"].calls - before["C_Login"].calls, 1)
            self.assertLessEqual(len(service.workers()), 1)
        finally:
            self.assertEqual(service.stop(), 0)
            service.faulty.rules()

    # in a worker that has the token open

    def with_open(self, index, work):
        service = self.services[index]
        if not service.process:
            service.start()
            self.expect_ready(service)
        logins = service.faulty.counts()["C_Login"].calls
        lost, at_once = work(service)
        self.expect_ready(service, at_once)
        sent = service.faulty.counts()["C_Login"].calls - logins
        self.assertLessEqual(sent, 1 + lost + (not at_once), "how often the PIN was sent")

    def sign_under(self, index, job):
        call, name, rest = job

        def work(service):
            service.faulty.rules("call=%s rv=%d %s" % (call, VALUES[name], rest))
            kind, reply = CLASSES[name], service.sign()
            if kind == "STALE" and "times=1" in rest.split():
                self.assertEqual(reply.status, 0, reply)
            else:
                self.expect(reply, E_HSM, REASONS[kind], name)
            return kind == "GONE", True

        self.with_open(index, work)

    def find_under(self, index, job):
        """The handle that the worker has is made stale, so that it looks for the key."""
        call, name, rest = job

        def work(service):
            service.faulty.rules()
            self.assertEqual(service.sign().status, 0)
            service.faulty.rules("token object-epoch=1",
                                 "call=%s rv=%d %s" % (call, VALUES[name], rest))
            reason = finding_reason(call, name)
            self.expect(service.sign(), E_HSM, reason, name)
            return reason == "lost", "times=1" in rest

        self.with_open(index, work)

    def end_under(self, index, job):
        """The worker's process ends in the call."""
        call, end = job

        def work(service):
            service.faulty.rules("token object-epoch=%d" % (call in FINDING),
                                 "call=%s times=1 %s" % (call, end))
            reply = service.sign()
            self.assertEqual((reply.status, reply.reason), (E_HSM, "worker"), reply)
            return True, True

        self.with_open(index, work)

    def make_under(self, index, job):
        name, rest = job

        def work(service):
            service.faulty.rules("call=C_GenerateKeyPair rv=%d %s" % (VALUES[name], rest))
            key = secrets.token_bytes(16)
            status = E_UNSUPPORTED if name in NO_ALGORITHM else E_HSM
            reason = "" if status == E_UNSUPPORTED else REASONS[CLASSES[name]]
            self.expect(service.generate(key), status, reason, name)
            return True, True  # keys are made in a session of their own

        self.with_open(index, work)


class Faults(Matrix):
    @req("design 2")
    def test_table__names_of_pkcs11__each_has_its_row(self):
        self.assertEqual(sorted(set(return_values()) - set(classes())), [])
        self.assertGreater(len(return_values()), 90)

    @req("design 2", "design 3")
    def test_signing__each_value_once_at_each_call__told_and_ready_again(self):
        done = self.work(((call, name, "times=1") for call in SIGNING for name in VALUES),
                         self.sign_under)
        self.assertGreater(done, 180)

    @req("design 2", "design 3")
    def test_signing__each_value_after_the_call__told_and_ready_again(self):
        self.work((("C_Sign", name, "times=1 late=1") for name in VALUES), self.sign_under)

    @req("design 2", "design 3")
    def test_finding__each_value_once_at_each_call__told_and_ready_again(self):
        done = self.work(((call, name, "times=1") for call in FINDING for name in VALUES),
                         self.find_under)
        self.assertGreater(done, 360)
        self.work((("C_FindObjectsInit", name, "times=1 late=1") for name in VALUES),
                  self.find_under)

    @req("design 2", "11.100(a)")
    def test_making_keys__each_value_once__told_and_ready_again(self):
        self.work(((name, "times=1") for name in VALUES), self.make_under)

    @req("design 2", "design 3")
    def test_ends__each_kind_at_each_call__told_and_replaced(self):
        self.work(((call, end) for call in (*FINDING, *SIGNING) for end in ENDS), self.end_under)

    @req("design 2", "design 3")
    def test_lengths__each_lie__refused_and_nothing_read_beyond(self):
        service = self.services[0]
        if not service.process:
            service.start()
        for call, reason in (("C_Sign", "value"), ("C_GetAttributeValue", "key"),
                             ("C_FindObjects", "lost")):
            for length in LIES:
                with self.subTest(call=call, length=length):
                    service.faulty.rules("token object-epoch=1",
                                         "call=%s length=%d" % (call, length))
                    reply = service.sign()
                    self.assertEqual((reply.status, reply.reason), (E_HSM, reason), reply)
                    self.expect_ready(service)
        for length in LIES:
            with self.subTest(public_key=length):
                service.faulty.rules("call=C_GetAttributeValue length=%d" % length)
                reply = service.generate(secrets.token_bytes(16), tokenservice.RSA3072)
                self.assertEqual((reply.status, reply.reason), (E_HSM, "key"), reply)
                self.expect_ready(service)

    @req("design 2")
    def test_opening__another_slot_fails__the_token_is_of_use(self):
        """SoftHSM has a second slot, whose token was never initialised."""
        service = self.services[0]
        if service.process:
            service.stop()
        before = service.faulty.counts()["C_GetTokenInfo"].hit
        service.faulty.rules("call=C_GetTokenInfo skip=1 times=1 rv=%d"
                             % VALUES["CKR_DEVICE_ERROR"])
        service.start()
        self.assertEqual(service.sign().status, 0)
        self.assertGreater(service.faulty.counts()["C_GetTokenInfo"].hit, before)

    @req("design 2", "11.300(d)")
    def test_opening__values_at_each_call__told_and_pin_sent_once(self):
        for service in self.services:
            if service.process:
                service.stop()
        jobs = [(call, name, "times=1") for call in OPENING for name in VALUES]
        self.work((job for i, job in enumerate(jobs) if job[0] == "C_Login" or i % 2),
                  self.open_under)


if __name__ == "__main__":
    esigntest.main()
