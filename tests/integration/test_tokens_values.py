# build: release
"""A token that gives what is not a signature, or no answer at all: what leaves esignd, what its
trail tells, and that the next one is signed. Of the signers' token, of the CA's and of the log's.
"""

import base64
import itertools
import os
import subprocess
import tempfile

import esigntest
from esigntest import Case, Instance, req, wait_for
from faulty import Faulty, return_values

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
RECORD = b"the record that is signed here"
WRONG = ("value=flip", "value=other", "value=digest", "value=previous", "value=short",
         "value=empty", "value=long", "value=zero", "value=ones", "length=100000")
TOKENS = ("signers", "ca", "log")
# one value of each class of pkcs11/ckr.c and those that a module gives most; what esignd says
ANSWERS = {
    "CKR_KEY_FUNCTION_NOT_PERMITTED": "key", "CKR_MECHANISM_INVALID": "key",
    "CKR_DATA_LEN_RANGE": "key", "CKR_FUNCTION_NOT_SUPPORTED": "key",
    "CKR_KEY_HANDLE_INVALID": "key", "CKR_OBJECT_HANDLE_INVALID": "key",
    "CKR_PIN_EXPIRED": "pin", "CKR_USER_TYPE_INVALID": "pin",
    "CKR_DEVICE_ERROR": "unavailable", "CKR_DEVICE_MEMORY": "unavailable",
    "CKR_DEVICE_REMOVED": "unavailable", "CKR_GENERAL_ERROR": "unavailable",
    "CKR_HOST_MEMORY": "unavailable", "CKR_SESSION_HANDLE_INVALID": "unavailable",
    "CKR_TOKEN_NOT_PRESENT": "unavailable", "CKR_USER_NOT_LOGGED_IN": "unavailable",
    "CKR_CRYPTOKI_NOT_INITIALIZED": "unavailable", "CKR_FIPS_SELF_TEST_FAILED": "unavailable",
}


class Site(Case):
    options, policy, group = {}, None, None

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance({**FAST_HASH, "tokens.signers.deadline_ms": "2000", **cls.options},
                              policy=cls.policy)
        cls.addClassCleanup(cls.esignd.close)
        cls.faulty = {name: Faulty.before(cls.esignd, name) for name in TOKENS}
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("jdoe", group=cls.group)
        cls.esignd.enrol("asmith")  # somebody else's key, on the same token
        cls.numbers = itertools.count(1)

    def setUp(self):
        self.addCleanup(self.quiet)
        self.after = self.newest()

    def quiet(self):
        for faulty in self.faulty.values():
            faulty.rules()

    def newest(self):
        return self.esignd.entries()[-1]["seq"]

    def told(self):
        """Actions and results of signatures and keys since this was asked, or the test begun."""
        entries = self.esignd.entries(self.after)
        self.after = self.newest()
        return [(entry["action"], entry["result"]) for entry in entries
                if entry["action"].startswith(("signature.", "key."))]

    def sign(self):
        name = "B-%d" % next(self.numbers)
        return {**self.esignd.sign(self.signer, RECORD, "batch", name, "1"), "name": name}

    def signatures(self):
        return len(self.esignd.get("/v1/signatures?limit=200")["items"])

    def expect_valid(self, signature):
        """By esignd and by OpenSSL, which knows nothing of it."""
        verdict = self.esignd.validate(signature, RECORD, "batch", signature["name"], "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        with tempfile.TemporaryDirectory() as folder:
            path = {name: os.path.join(folder, name) for name in ("p7s", "record", "ca")}
            for name, data in (("p7s", base64.b64decode(signature["value"])), ("record", RECORD),
                               ("ca", self.esignd.get("/v1/ca")["certificate"].encode())):
                with open(path[name], "wb") as file:
                    file.write(data)
            done = subprocess.run(
                ["openssl", "cms", "-verify", "-binary", "-purpose", "any", "-inform", "DER",
                 "-in", path["p7s"], "-content", path["record"], "-CAfile", path["ca"],
                 "-out", os.devnull], check=False, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr)

    def expect_ready(self):
        """The next one is signed, and there are as many workers as there shall be."""
        self.quiet()
        self.expect_valid(self.sign())
        for name in TOKENS:
            wait_for(lambda token=name: len(self.esignd.workers("token-" + token)) == 2,
                     "two workers of " + name)


class Values(Site):
    @req("design 3", "11.70", "11.10(e)")
    def test_signer__each_wrong_value__never_leaves(self):
        for wrong in WRONG:
            with self.subTest(wrong=wrong):
                self.sign()  # "previous" wants one, in each worker
                before, self.after = self.signatures(), self.newest()
                self.faulty["signers"].rules("call=C_Sign " + wrong)
                body = self.refused("E_HSM", self.sign, reason="value")
                self.assertTrue(body["retryable"], body)
                self.assertEqual(self.told(), [
                    ("signature.intent", "OK"), ("signature.retry", "E_HSM(value)"),
                    ("signature.aborted", "E_HSM(value)")])
                self.assertEqual(self.signatures(), before)
                self.expect_ready()

    @req("design 3", "11.70")
    def test_signer__wrong_value_once__second_try_is_right(self):
        for wrong in ("value=flip", "value=digest", "value=short"):
            with self.subTest(wrong=wrong):
                self.after = self.newest()
                self.faulty["signers"].rules("call=C_Sign times=1 " + wrong)
                self.expect_valid(self.sign())
                self.assertEqual(self.told(), [
                    ("signature.intent", "OK"), ("signature.retry", "E_HSM(value)"),
                    ("signature.outcome", "OK")])

    @req("design 3", "11.70")
    def test_signer__high_s__as_right_as_the_other(self):
        self.faulty["signers"].rules("call=C_Sign value=high-s")
        for _ in range(4):
            self.expect_valid(self.sign())

    @req("design 3", "11.100(a)", "11.10(e)")
    def test_ca__each_wrong_value__no_certificate_and_the_secret_is_still_good(self):
        for number, wrong in enumerate(w for w in WRONG if w not in ("value=other",
                                                                    "value=previous")):
            with self.subTest(wrong=wrong):
                user = "new%d" % number
                person = esigntest.Person(user, "Signer " + user, "operator")
                done = self.esignd.two_officers("signer.enroll", {
                    "user_id": user, "printed_name": person.printed_name, "title": "operator",
                    "roles": ["signer"], "evidence": esigntest.evidence("CA%05d" % number)})
                self.after = self.newest()
                self.faulty["ca"].rules("call=C_Sign " + wrong)
                self.refused("E_HSM", self.esignd.activate, person, done, None, reason="value")
                self.assertIn(("key.failed", "E_HSM(value)"), self.told())
                row = self.esignd.get("/v1/signers/" + user)
                self.assertNotEqual(row["state"], "active", row)
                self.quiet()
                self.esignd.activate(person, done)

    @req("design 3", "11.10(e)")
    def test_log__each_wrong_value__no_checkpoint_of_it(self):
        for wrong in (w for w in WRONG if w != "value=other"):
            with self.subTest(wrong=wrong):
                signature = self.sign()
                proof = "/v1/signatures/%s/proof" % signature["signature"]
                before = self.esignd.get("/v1/audit/checkpoint")
                self.faulty["log"].rules("call=C_Sign " + wrong)
                self.refused("E_HSM", self.esignd.get, proof, reason="value")
                self.assertEqual(self.esignd.get("/v1/audit/checkpoint"), before)
                self.quiet()
                self.esignd.get(proof)
                self.assertNotEqual(self.esignd.get("/v1/audit/checkpoint"), before)

    @req("design 3", "11.10(e)")
    def test_signer__each_answer_for_good__code_and_entries_tell_it(self):
        values = return_values()
        for name, reason in ANSWERS.items():
            with self.subTest(value=name):
                before, self.after = self.signatures(), self.newest()
                logins = self.faulty["signers"].counts()["C_Login"].calls
                self.faulty["signers"].rules("call=C_Sign rv=%d" % values[name])
                body = self.refused("E_HSM", self.sign, reason=reason)
                self.assertTrue(body["retryable"], body)
                told = self.told()
                self.assertEqual(told[0], ("signature.intent", "OK"))
                self.assertEqual(told[-1], ("signature.aborted", "E_HSM(%s)" % reason))
                self.assertEqual(self.signatures(), before)
                self.expect_ready()
                sent = self.faulty["signers"].counts()["C_Login"].calls - logins
                self.assertLessEqual(sent, 0 if reason != "unavailable" else 4, "PINs sent")

    @req("design 3", "11.10(e)")
    def test_signer__each_answer_once__signed_all_the_same_where_that_is_safe(self):
        values = return_values()
        for name in ("CKR_DEVICE_ERROR", "CKR_SESSION_HANDLE_INVALID", "CKR_GENERAL_ERROR",
                     "CKR_KEY_HANDLE_INVALID", "CKR_USER_NOT_LOGGED_IN"):
            for late in ("", " late=1"):
                with self.subTest(value=name, late=late):
                    self.after = self.newest()
                    self.faulty["signers"].rules("call=C_Sign times=1 rv=%d%s" % (values[name],
                                                                               late))
                    self.expect_valid(self.sign())
                    self.assertEqual(self.told()[-1], ("signature.outcome", "OK"))

    @req("design 2", "design 3")
    def test_signer__process_ends_in_the_call__signed_by_another(self):
        for end in ("signal=11", "signal=9", "signal=6", "exit=0", "signal=13 rv=0x30"):
            with self.subTest(end=end):
                self.after = self.newest()
                self.faulty["signers"].rules("call=C_Sign times=1 " + end)
                self.expect_valid(self.sign())
                told = self.told()
                self.assertEqual(told[1][0], "signature.retry", told)
                self.assertEqual(told[-1], ("signature.outcome", "OK"))


class Sole(Site):
    """Custody K2: the key is on the token only while it signs."""

    options, group = {"roles.kek": '"signers"'}, "sole"
    policy = {"custody": {"default": "K1", "groups": [{"group": "sole", "custody": "K2"}]}}

    @req("design 3", "design 8", "11.70")
    def test_signer__answers_and_wrong_values__told_as_of_any_key(self):
        values = return_values()
        faults = [("rv=%d" % values[name], ANSWERS[name]) for name in (
            "CKR_MECHANISM_INVALID", "CKR_DATA_LEN_RANGE", "CKR_PIN_EXPIRED", "CKR_DEVICE_ERROR")]
        faults += [("value=flip", "value"), ("value=digest", "value"), ("value=short", "value")]
        for fault, reason in faults:
            with self.subTest(fault=fault):
                before, self.after = self.signatures(), self.newest()
                self.faulty["signers"].rules("call=C_Sign " + fault)
                self.refused("E_HSM", self.sign, reason=reason)
                self.assertEqual(self.told()[-1], ("signature.aborted", "E_HSM(%s)" % reason))
                self.assertEqual(self.signatures(), before)
                self.expect_ready()


class Device(Site):
    @req("design 2", "design 3")
    def test_sessions_dead__signed_all_the_same(self):
        self.faulty["signers"].rules("token session-epoch=1")
        self.expect_valid(self.sign())
        self.assertEqual(self.told(), [
            ("signature.intent", "OK"), ("signature.retry", "E_HSM(lost)"),
            ("signature.outcome", "OK")])

    @req("design 2", "design 3")
    def test_objects_dead__found_again_in_the_same_try(self):
        self.sign()
        self.after = self.newest()
        self.faulty["signers"].rules("token object-epoch=1")
        self.expect_valid(self.sign())
        self.assertEqual(self.told(), [("signature.intent", "OK"), ("signature.outcome", "OK")])

    @req("design 2", "requirements 2.4")
    def test_away_and_back__unavailable_then_signs_without_a_restart(self):
        self.faulty["signers"].rules("token away=1")
        self.refused("E_HSM", self.sign, reason="unavailable")
        self.assertEqual(self.told()[-1], ("signature.aborted", "E_HSM(unavailable)"))
        self.refused("E_HSM", self.sign, reason="unavailable")
        self.faulty["signers"].rules("token session-epoch=1")  # those of before are dead
        wait_for(self.signs, "the token is of use again")
        self.expect_ready()

    def signs(self):
        try:
            return bool(self.sign())
        except esigntest.Refused as refusal:
            self.assertEqual((refusal.code, refusal.reason), ("E_HSM", "unavailable"))
            return False

    @req("design 2", "design 3")
    def test_hang__in_the_call__second_try_by_another(self):
        self.faulty["signers"].rules("call=C_Sign times=1 hang=1")
        self.expect_valid(self.sign())
        self.assertEqual(self.told(), [
            ("signature.intent", "OK"), ("signature.retry", "E_DEADLINE"),
            ("signature.outcome", "OK")])
        self.expect_ready()

    @req("design 2")
    def test_session_cap__below_the_workers__signs_with_those_that_it_allows(self):
        self.faulty["signers"].rules("token sessions=1")
        self.esignd.kill("token-signers")
        wait_for(self.signs, "the token is of use")
        for _ in range(4):
            self.expect_valid(self.sign())
        self.quiet()
        self.esignd.kill("token-signers")
        wait_for(self.signs, "the token is of use")
        self.expect_ready()


if __name__ == "__main__":
    esigntest.main()
