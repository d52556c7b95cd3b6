"""esign token test: what it says of real modules and of one that fails, what it leaves behind, and
the test record that an officer has the service keep."""

import glob
import hashlib
import json
import os
import signal
import subprocess

import esigntest
from esigntest import Instance, req, wait_for
from clitest import Faked
from faulty import Faulty
from probing import argv_of, probe, public_objects, report_of, token_files
from tokens import zoo

ROWS = ["module", "token", "login-rules", "mechanisms", "sizes", "sessions", "before-login",
        "login", "left-over", "info-after-login", "key-p256", "attributes-p256", "unreadable-p256",
        "sign-p256", "key-p384", "sign-p384", "key-rsa3072", "attributes-rsa3072",
        "unreadable-rsa3072", "sign-rsa3072", "sign-pss", "sign-length", "unchangeable", "wrap-key",
        "wrap-2109", "wrap-210a", "wrap-210b", "wrap-cbc-pad", "unwrap-template",
        "wrap-with-trusted", "data-object", "other-process", "session-end", "login-again",
        "always-authenticate", "removal", "clean"]
# What does not pass, by module; the zoo's uri has no serial=.
SOFTHSM = {"token": "warn", "info-after-login": "warn", "sign-length": "warn",
           "wrap-210b": "absent", "wrap-cbc-pad": "absent", "other-process": "warn",
           "login-again": "warn", "always-authenticate": "warn", "removal": "untried"}
NSS = {"token": "warn", "attributes-p256": "warn", "attributes-rsa3072": "warn",
       "sign-length": "warn", "wrap-2109": "absent", "unwrap-template": "warn",
       "wrap-with-trusted": "warn", "data-object": "absent", "always-authenticate": "warn",
       "removal": "untried"}
TPM2 = {"token": "warn", "unchangeable": "warn", "wrap-key": "absent", "wrap-2109": "untried",
        "wrap-210a": "untried", "wrap-210b": "untried", "wrap-cbc-pad": "untried",
        "unwrap-template": "untried", "wrap-with-trusted": "untried", "other-process": "warn",
        "removal": "untried"}
OPENCRYPTOKI = {"token": "warn", "key-p256": "absent", "attributes-p256": "untried",
                "unreadable-p256": "untried", "sign-p256": "untried", "key-p384": "absent",
                "sign-p384": "untried", "wrap-2109": "absent", "wrap-210a": "absent",
                "wrap-210b": "absent", "unwrap-template": "absent", "wrap-with-trusted": "absent",
                "always-authenticate": "warn", "removal": "untried"}
ROLES = ["signer-p256", "signer-p384", "signer-rsa3072", "ca", "log", "kek"]


def verdicts(report):
    return {row["name"]: row["verdict"] for row in report["checks"]}


def detail(report, name):
    return next(row["detail"] for row in report["checks"] if row["name"] == name)


def roles(report):
    return {row["role"]: row for row in report["roles"]}


class Case(esigntest.Case):
    def assert_verdicts(self, report, differing):
        self.assertEqual([row["name"] for row in report["checks"]], ROWS)
        expected = {name: "pass" for name in ROWS}
        expected.update(differing)
        found = verdicts(report)
        self.assertEqual({n: (v, detail(report, n)) for n, v in found.items() if v != expected[n]},
                         {})

    def assert_structure(self, report):
        self.assertEqual(report["format"], 1)
        self.assertEqual(report["kind"], "token-test")
        self.assertEqual([row["role"] for row in report["roles"]], ROLES)
        for row in report["checks"]:
            for member in ("done", "meaning", "advice", "detail"):
                self.assertTrue(row[member], "%s of %s" % (member, row["name"]))
        for member in ("name", "label", "serial", "manufacturer", "model", "firmware", "module",
                       "module_sha256", "library", "cryptoki", "uri"):
            self.assertTrue(report["token"][member], member)


class Modules(Case):
    """Real modules, while nobody uses them."""

    def report(self, module, algorithm, code=0):
        esignd = zoo.site(self, zoo.make(module), {"signer": algorithm})
        done = probe(esignd, "--json")
        report = report_of(done)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assert_structure(report)
        self.assertEqual(report["objects"], "token")
        return report

    @req("11.10(a)", "design 8")
    def test_softhsm2__every_row_as_known(self):
        report = self.report("softhsm2", "p256")
        self.assert_verdicts(report, SOFTHSM)
        self.assertEqual({row["verdict"] for row in report["roles"]}, {"usable"})
        self.assertIn("RFC 5649", detail(report, "wrap-210a"))
        self.assertIn("CKR_TEMPLATE_INCONSISTENT", detail(report, "unwrap-template"))
        self.assertEqual(report["quirk"], '{"SoftHSM", "SoftHSM", true, false, false},')

    @req("11.10(a)", "design 8")
    def test_nss__what_it_only_stores_and_what_its_numbers_mean(self):
        report = self.report("nss", "p256")
        self.assert_verdicts(report, NSS)
        self.assertIn("RFC 3394 after PKCS#7", detail(report, "wrap-210a"))
        self.assertIn("RFC 5649", detail(report, "wrap-210b"))
        self.assertIn("not enforced", detail(report, "always-authenticate"))
        self.assertIn("false, true, false}", report["quirk"])

    @req("11.10(a)", "design 8")
    def test_tpm2__every_row_as_known(self):
        report = self.report("tpm2", "p256")
        self.assert_verdicts(report, TPM2)
        self.assertIn("only after C_Finalize", detail(report, "other-process"))
        self.assertIn("enforced", detail(report, "always-authenticate"))
        self.assertIn("false, false, true}", report["quirk"])
        self.assertEqual({row["role"]: row["verdict"] for row in report["roles"]},
                         {role: "refused" if role == "kek" else "usable" for role in ROLES})

    @req("11.10(a)", "11.300(e)")
    def test_card__makes_no_keys__no_role_for_it(self):
        report = self.report("opensc", "p256", code=1)
        for role, row in roles(report).items():
            self.assertNotEqual(row["verdict"], "usable", role)
        self.assertEqual(roles(report)["log"]["code"], "E_UNSUPPORTED")
        self.assertEqual(verdicts(report)["login"], "pass")

    @req("11.10(a)", "design 8")
    def test_opencryptoki__role_without_mechanism__refused_by_code(self):
        report = self.report("opencryptoki", "rsa3072")
        self.assert_verdicts(report, OPENCRYPTOKI)
        self.assertEqual(report["assigned"], ["signer-rsa3072"])
        for role in ("signer-p256", "log"):
            self.assertEqual((roles(report)[role]["verdict"], roles(report)[role]["code"],
                              roles(report)[role]["reason"]),
                             ("refused", "E_UNSUPPORTED", "mechanism"))


    @req("11.10(a)", "design 8")
    def test_nss__in_use__objects_of_the_session_and_rows_that_are_not_tried(self):
        esignd = zoo.site(self, zoo.make("nss"), {"signer": "p256"}).ready()
        signer = esignd.enrol("jdoe")
        done = probe(esignd, "--json")
        report = report_of(done)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(report["objects"], "session")
        self.assertEqual(detail(report, "key-p256"), "made as a session object")
        for name in ("sessions", "before-login", "data-object", "other-process", "session-end",
                     "login-again", "always-authenticate"):
            self.assertEqual((verdicts(report)[name], detail(report, name)),
                             ("untried", "esignd is using the token: it could be disturbed"))
        self.assertEqual(verdicts(report)["clean"], "pass")
        self.assertEqual(esignd.sign(signer, b"r", "batch", "B-1", "1")["state"], "signed")


class Failing(Case):
    """A module that fails as it is told; the services are not started."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.faulty = Faulty.before(cls.esignd, "signers")
        cls.esignd.launch("tokens")

    def setUp(self):
        self.addCleanup(self.forget)

    def forget(self):
        """The module works again, and its PIN is not known as refused."""
        self.faulty.rules()
        for path in glob.glob(os.path.join(self.esignd.root, "lib", "esign-token", "signers",
                                           "esign-token.refused")):
            os.unlink(path)

    def report(self, *rules):
        self.faulty.rules(*rules)
        done = probe(self.esignd, "--json")
        return done.returncode, report_of(done)

    @req("11.10(a)")
    def test_wrong_value__row_and_role_tell__refused(self):
        code, report = self.report("call=C_Sign value=flip")
        self.assertEqual(code, 1)
        self.assertEqual(report["verdict"], "refused")
        self.assertEqual(verdicts(report)["sign-p256"], "fail")
        role = roles(report)["signer-p256"]
        self.assertEqual((role["verdict"], role["code"], role["reason"], role["check"]),
                         ("refused", "E_HSM", "value", "sign-p256"))
        self.assertEqual(verdicts(report)["clean"], "pass")

    @req("11.10(a)")
    def test_crash__costs_one_row(self):
        code, report = self.report("call=C_WrapKey signal=6")
        self.assertEqual(code, 0)
        self.assertIn("crashed: signal 6", detail(report, "wrap-2109"))
        self.assertIn("crashed: signal 6", detail(report, "wrap-210a"))
        self.assertEqual(verdicts(report)["data-object"], "pass")
        self.assertEqual(verdicts(report)["clean"], "pass")
        self.assertEqual(roles(report)["kek"]["verdict"], "refused")
        self.assertEqual(public_objects(self.esignd), 0)

    @req("style 22")
    def test_refused_pin__sent_once(self):
        before = self.faulty.counts()["C_Login"].calls
        code, report = self.report("call=C_Login rv=0xa0")
        self.assertEqual(code, 1)
        self.assertEqual(self.faulty.counts()["C_Login"].calls - before, 1)
        self.assertEqual(verdicts(report)["login"], "fail")
        self.assertEqual({v for n, v in verdicts(report).items()
                          if ROWS.index(n) > ROWS.index("login")}, {"untried"})
        self.assertEqual(roles(report)["log"]["reason"], "pin")
        code, report = self.report()
        self.assertEqual(code, 1)
        self.assertEqual(self.faulty.counts()["C_Login"].calls - before, 1)

    @req("style 22")
    def test_crash_while_the_pin_is_sent__sent_once(self):
        for end in ("signal=11", "signal=9 late=1", "exit=1"):
            before = self.faulty.counts()["C_Login"].calls
            code, report = self.report("call=C_Login " + end)
            self.assertEqual(code, 1)
            self.assertEqual(self.faulty.counts()["C_Login"].calls - before, 1, end)
            self.assertEqual(verdicts(report)["login"], "fail")

    @req("style 22")
    def test_final_try__no_pin_sent(self):
        before = self.faulty.counts()["C_Login"].calls
        code, report = self.report("token flags=0x20000")
        self.assertEqual(code, 1)
        self.assertEqual(self.faulty.counts()["C_Login"].calls - before, 0)
        self.assertEqual(verdicts(report)["login-rules"], "fail")
        self.assertIn("not used up", detail(report, "login-rules"))

    @req("11.10(a)")
    def test_removal__taken_away_and_put_back__signs_again(self):
        process = subprocess.Popen(argv_of(self.esignd, "test", "signers", "--json", "--removal"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        with process:
            for line in process.stderr:
                if line.startswith(b"Take the token away"):
                    self.faulty.rules("token away=1")
                elif line.startswith(b"It is away."):
                    self.faulty.rules()
            report = json.loads(process.stdout.read())
        self.assertEqual(detail(report, "removal"), "away: CKR_DEVICE_REMOVED; back: signs again "
                         "after C_Finalize and C_Initialize")
        self.assertEqual(verdicts(report)["clean"], "pass")

    @req("11.10(a)")
    def test_killed_half_way__next_run_cleans_and_says_so(self):
        self.faulty.rules("call=C_WrapKey hang=1")
        process = subprocess.Popen(argv_of(self.esignd, "test", "signers"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        before = self.faulty.counts()["C_WrapKey"].hit
        try:
            wait_for(lambda: self.faulty.counts()["C_WrapKey"].hit > before, "the probe wraps")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        self.assertGreater(public_objects(self.esignd), 0)
        code, report = self.report()
        self.assertEqual(code, 0)
        self.assertEqual(verdicts(report)["left-over"], "warn")
        self.assertRegex(detail(report, "left-over"), r"^(\d+) objects .* \1 of them are removed")
        self.assertEqual(verdicts(report)["clean"], "pass")
        self.assertEqual(public_objects(self.esignd), 0)

    @staticmethod
    def pin_copies(process):
        """Of the programs that a command has started; others may be running beside it."""
        found, below = set(), [process.pid]
        for pid in below:
            below += esigntest.children_of(pid)
        for pid in below:
            try:
                with open("/proc/%d/environ" % pid, "rb") as file:
                    lines = file.read().decode("utf-8", "replace").split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            found |= {os.path.join(line.split("=", 1)[1], "pin") for line in lines
                      if line.startswith("CREDENTIALS_DIRECTORY=")}
        return {path for path in found if os.path.exists(path)}

    @req("11.300(d)", "11.10(a)")
    def test_interrupted__no_pin_stays_in_a_file(self):
        """Ctrl-C at the terminal; the program that waits is told, not the one that hangs."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.faulty.rules("call=C_WrapKey hang=1")
            before = self.faulty.counts()["C_WrapKey"].hit
            process = subprocess.Popen(argv_of(self.esignd, "test", "signers"),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda: self.faulty.counts()["C_WrapKey"].hit > before, "the probe wraps")
                copies = self.pin_copies(process)
                self.assertEqual(len(copies), 1)
                process.send_signal(number)
                self.assertEqual(process.wait(20), -number)
            finally:
                process.kill()
                process.wait(30)
            self.assertEqual([path for path in copies if os.path.exists(path)], [])
            self.forget()
            self.assertEqual(self.report()[0], 0)


class InUse(Case):
    """A site in operation: nothing of its token changes, and the report can be kept."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe")

    def store(self, person, report):
        """Post the record of a report from the terminal."""
        return self.esignd.post("/v1/tokens/tests", {
            "components": person.components, "reason": "first test", "report": report})

    @req("11.10(a)", "design 8")
    def test_in_use__a_copy_is_tested_and_the_token_stays_as_it_is(self):
        before = token_files(self.esignd)
        done = probe(self.esignd)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(token_files(self.esignd), before)
        text = done.stdout.decode()
        self.assertIn("a copy of the token without its keys", text)
        self.assertIn("signer-p256     usable (its role in the configuration)", text)
        for name in ROWS:
            self.assertRegex(text, r"(?m)^  (pass|warn|absent|untried) +%s +\S" % name)
        self.assertRegex(text, r"(?m)^ +means: \S[^\n]*\n(?: +[^\n]*\n)* +do:    \S")
        self.assertEqual(self.esignd.sign(self.signer, b"r", "batch", "B-1", "1")["state"],
                         "signed")

    @req("11.10(a)")
    def test_in_use__killed__the_next_run_removes_the_copy(self):
        def copies():
            owner = os.stat(os.path.join(self.esignd.root, "lib", "esign-token", "signers")).st_uid
            found = set()
            for path in glob.glob("/tmp/esign-probe-*/tokens"):
                try:
                    if os.stat(path).st_uid == owner:
                        found.add(path)
                except FileNotFoundError:
                    pass  # of a test beside this one
            return found

        before = copies()
        process = subprocess.Popen(argv_of(self.esignd, "test", "signers"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            left = wait_for(lambda: copies() - before, "the copy is made")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        self.assertTrue(copies() & left)
        self.assertEqual(probe(self.esignd, "--json").returncode, 0)
        self.assertEqual(copies() & left, set())

    @req("11.10(a)", "11.300(e)")
    def test_store__kept_entered_and_under_a_checkpoint(self):
        officer = self.esignd.officers[0]
        reader, writer = os.pipe()
        os.write(writer, (officer.password + "\n").encode())
        os.close(writer)
        try:
            done = subprocess.run(
                argv_of(self.esignd, "test", "signers") +
                ["--store", "--json", "--as", officer.user_id, "--reason", "yearly test",
                 "--password-fd", str(reader)], check=False, pass_fds=[reader], timeout=120,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        finally:
            os.close(reader)
        self.assertEqual(done.returncode, 0, done.stderr)
        kept = json.loads(done.stdout)
        self.assertEqual((kept["verdict"], kept["seen"], kept["by_user"], kept["reason"]),
                         ("usable", "same", officer.user_id, "yearly test"))
        canonical = json.dumps(kept["report"], sort_keys=True, separators=(",", ":"),
                               ensure_ascii=False).encode()
        self.assertEqual(kept["sha256"], hashlib.sha256(canonical).hexdigest())
        entry = self.esignd.entries()[-1]
        self.assertEqual((entry["action"], entry["object"], entry["result"]),
                         ("token.test", "token-test/" + kept["test"], "OK"))
        self.assertEqual(entry["new"]["report"], kept["sha256"])
        self.assertIn("token-test/" + kept["test"], entry["rows"])
        note = self.esignd.get("/v1/audit/checkpoint")["note"]
        self.assertGreater(int(note.splitlines()[1]), entry["seq"])
        self.assertEqual(self.esignd.get("/v1/tokens/tests/" + kept["test"]), kept)
        shown = self.esignd.esign("token", "tests", "show", kept["test"]).stdout.decode()
        self.assertIn("yearly test", shown)
        self.assertIn("means:", shown)
        listed = self.esignd.esign("token", "tests").stdout.decode()
        self.assertIn(kept["report"]["token"]["serial"], listed)

    @req("11.10(g)", "11.300(e)")
    def test_store__no_officer__refused_and_entered(self):
        self.refused("E_AUTHZ", self.store, self.signer, {"kind": "token-test"})
        self.assertEqual(self.esignd.entries()[-1]["action"], "role.refused")

    @req("11.300(e)")
    def test_store__other_token_or_no_report__refused_and_entered(self):
        report = report_of(probe(self.esignd, "--json"))
        officer = self.esignd.officers[1]
        cases = [("E_PROTO", {"kind": "else"}),
                 ("E_PROTO", {**report, "verdict": "perfect"}),
                 ("E_CONFLICT", {**report, "token": {**report["token"], "serial": "0123"}}),
                 ("E_NOT_FOUND", {**report, "token": {**report["token"], "name": "none"}})]
        for code, wrong in cases:
            with self.subTest(code=code):
                self.refused(code, self.store, officer, wrong)
                entry = self.esignd.entries()[-1]
                self.assertEqual((entry["action"], entry["result"]), ("token.test_refused", code))


class Shown(Faked):
    """A record that a daemon gives, whatever stands in it."""

    @req("design 5")
    def test_show__texts_that_a_terminal_would_obey__harmless(self):
        bad = "\x1b[2J\nx\u202e"
        row = {member: bad for member in ("name", "detail", "done", "meaning", "advice")}
        role = {member: bad for member in ("role", "verdict", "code", "reason", "check", "detail")}
        report = {"kind": bad, "verdict": bad, "objects": bad, "at": bad, "quirk": bad,
                  "assigned": [bad], "roles": [role],
                  "checks": [{**row, "verdict": bad}, {**row, "verdict": "fail"}, {"name": 3}, 4],
                  "token": {"name": bad, "label": bad, "serial": bad}}
        self.server.replies["GET /v1/tokens/tests/D-1"] = 200, {
            "test": "D-1", "token": bad, "verdict": bad, "sha256": bad, "recorded": bad,
            "by_user": bad, "seen": bad, "reason": bad, "report": report}
        done = self.run_esign("token", "tests", "show", "D-1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(b"\x1b", done.stdout)
        self.assertNotIn("\u202e".encode(), done.stdout)
        self.assertNotRegex(done.stdout, rb"(?m)^x")
        self.assertIn(b"means:", done.stdout)


if __name__ == "__main__":
    esigntest.main()
