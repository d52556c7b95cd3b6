"""What an attacker with one officer, one application or a kill can't do to the register."""

import json
import os
import pwd
import signal
import sqlite3
import threading
import time

import esigntest
from esigntest import (ROOT, ROOT_CALLER, Instance, Person, Refused, esign_gid, evidence, req,
                       wait_for)

WRONG_CODE = "aaaa-bbbb-cccc-dddd-eeee"


def outcome(call, *arguments, **named):
    """The reply, or the Refused."""
    try:
        return call(*arguments, **named)
    except Refused as refused:
        return refused


def together(*calls):
    """Outcomes of calls made at the same time."""
    found = [None] * len(calls)

    def one(i):
        found[i] = outcome(calls[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def params(user_id, number, **members):
    return {"user_id": user_id, "printed_name": "Person " + user_id, "title": "Operator",
            "evidence": evidence(number), **members}


class Stopped:
    """Processes that stand still for the time of a with block."""

    def __init__(self, pids):
        self.pids = pids

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # its supervisor has replaced it


class Case(esigntest.Case):
    esignd = None

    def all_workers(self, service):
        """Both of a helper's workers, which start one after the other."""

        def both():
            pids = self.esignd.workers(service)
            return pids if len(pids) == 2 else None

        return wait_for(both, service + " has its workers")

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    def since(self, size, *actions):
        """Entries after the first `size`, of these actions (none given: all)."""
        return [e for e in self.esignd.entries(after=size - 1)
                if not actions or e["action"] in actions]

    def revoke(self, user_id, officer=0, reason="left the company"):
        return self.esignd.post("/v1/signers/%s/revoke" % user_id, {
            "components": self.esignd.officers[officer].components, "reason": reason})

    def state(self, user_id):
        return self.esignd.get("/v1/signers/" + user_id)["state"]


class Register(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)

    @req("11.10(g)", "3.2", "11.200(a)(3)")
    def test_approve__signer_revoked_meanwhile__stays_revoked(self):
        asked = self.esignd.request_approval("signer.enroll", params("zed", "ZED00001"))
        self.revoke("zed", reason="forged evidence")
        self.refused("E_CONFLICT", self.esignd.approve, asked["approval"], reason="revoked")
        self.assertEqual(self.state("zed"), "revoked")
        declined = self.esignd.post("/v1/approvals/%s/decline" % asked["approval"], {
            "components": self.esignd.officers[1].components, "reason": "forged evidence"})
        self.assertEqual(declined["state"], "declined")
        self.assertEqual(self.state("zed"), "revoked")

    @req("5.24", "11.10(e)")
    def test_revoke__writes_a_row_of_its_own(self):
        signer = self.esignd.enrol("leaver")
        size = self.size()
        self.revoke("leaver")
        entry = self.since(size, "signer.revoke")[0]
        self.assertIn("revocation/" + signer.signer_id, entry["rows"])

    @req("5.10", "11.10(g)")
    def test_revoke__fewer_than_two_officers_would_remain__refused(self):
        for name, officer in (("psato", 0), ("mkeller", 0), ("mkeller", 1)):
            size = self.size()
            self.refused("E_DUAL_REQUIRED", self.revoke, name, officer, reason="last-officers")
            self.assertEqual(self.state(name), "active")
            self.assertEqual([e["result"] for e in self.since(size, "signer.revoke")],
                             ["E_DUAL_REQUIRED(last-officers)"])
        self.esignd.enrol("third", roles=("regadmin", "secofficer"))
        self.revoke("third")
        self.assertEqual(self.state("third"), "revoked")

    @req("11.200(a)(3)", "3.2")
    def test_approve__requester_revoked_meanwhile__refused_and_can_be_declined(self):
        gone = self.esignd.enrol("gone", roles=("regadmin", "secofficer"))
        asked = self.esignd.post("/v1/approvals", {
            "components": gone.components, "action": "signer.enroll", "reason": "a friend",
            "params": params("ghost", "GHOST001")})
        self.revoke("gone", reason="fraud")
        self.refused("E_CONFLICT", self.esignd.approve, asked["approval"], reason="requester")
        self.assertEqual(self.state("ghost"), "proofed")
        self.esignd.post("/v1/approvals/%s/decline" % asked["approval"], {
            "components": self.esignd.officers[1].components, "reason": "asked by a fraud"})
        self.assertEqual(self.state("ghost"), "revoked")

    @req("11.10(g)", "5.23")
    def test_revoke__by_an_officer_revoked_meanwhile__refused(self):
        held = 0
        for i, worker in enumerate(self.esignd.workers("hash")):  # one of them gets the password
            third = self.esignd.enrol("malice%d" % i, roles=("regadmin", "secofficer"))
            self.esignd.enrol("victim%d" % i)
            found = []
            thread = threading.Thread(target=self.revoke_as, args=(third, "victim%d" % i, found))
            with Stopped([worker]):
                thread.start()
                thread.join(2)
                if thread.is_alive():
                    held += 1
                    self.revoke(third.user_id, reason="fired")
            thread.join()
            if self.state(third.user_id) == "revoked":
                self.assertIsInstance(found[0], Refused)
                self.assertEqual(self.state("victim%d" % i), "active")
            else:
                self.revoke(third.user_id)
        self.assertGreater(held, 0)

    def revoke_as(self, officer, user_id, found):
        found.append(outcome(self.esignd.post, "/v1/signers/%s/revoke" % user_id,
                             {"components": officer.components, "reason": "malice"}))

    @req("11.100(a)", "11.100(b)", "5.38")
    def test_enroll__same_document_written_otherwise__refused(self):
        self.esignd.request_approval("signer.enroll", params("same", "X1234567\u00e9"))
        for number, members in (("x1234567\u00c9", {}), ("X 1234567\u00e9", {}),
                                ("X-12/345.67\u00e9", {}), ("\uff381234567\u00e9", {}),
                                ("X1234567\u00e9", {"issuer": "che"}),
                                ("X1234567\u00e9", {"document_type": "Pass Port"})):
            with self.subTest(number=number, members=members):
                asked = params("other", number)
                asked["evidence"].update(members)
                self.refused("E_ID_USED", self.esignd.request_approval, "signer.enroll", asked,
                             field="evidence.number")
        self.refused("E_PROTO", self.esignd.request_approval, "signer.enroll",
                     params("empty", "--- /"))

    @req("11.10(d)", "11.10(g)")
    def test_application__root_or_a_service__refused(self):
        uids = [0, os.geteuid()]
        if ROOT:
            uids += [pwd.getpwnam(name).pw_uid for name in ("esignd", "esign-hash")]
        for uid in uids:
            with self.subTest(uid=uid):
                self.refused("E_POLICY", self.esignd.request_approval, "application.add",
                             {"id": "rootapp", "name": "Root", "uid": uid, "rights": ["read"]},
                             field="uid")

    @req("11.10(d)", "11.10(g)")
    def test_application__id_or_uid_registered__refused_when_asked_for(self):
        known = self.esignd.get("/v1/applications")["items"][0]
        fresh = {"id": "second", "name": "Second", "uid": 64001, "rights": ["read"]}
        for field in ("id", "uid"):
            with self.subTest(field=field):
                self.refused("E_ID_USED", self.esignd.request_approval, "application.add",
                             {**fresh, field: known[field]}, field=field)
        self.refused("E_ID_USED", self.esignd.request_approval, "terminal.add",
                     {"id": "second", "location": "Hall", "uid": known["uid"]}, field="uid")
        asked = self.esignd.request_approval("application.add", fresh)
        self.esignd.approve(asked["approval"])

    @req("11.300(c)", "11.10(e)")
    def test_approvals__hashes_of_codes__not_in_the_trail(self):
        size = self.size()
        self.esignd.enrol("quiet")
        shown = self.since(size, "approval.request", "approval.approve")
        self.assertEqual(len(shown), 2)
        self.assertNotIn("receipt_hash", str(shown))


    @req("11.10(g)", "11.10(e)", "0.1")
    def test_denied__right_or_place_missing__entered(self):
        reader, terminal = esigntest.application_caller(7), self.esignd.terminal
        uid = os.geteuid() if terminal.uid is None else terminal.uid
        ticket = {"record": self.esignd.record(b"record", "batch", "D-1", "1"),
                  "meaning": "approved"}
        cases = [(terminal, "/v1/signers/mkeller/unlock-officer", {"reason": "x"}, "E_AUTHZ",
                  ("terminal/trial-terminal", "E_AUTHZ", uid))]
        if ROOT:  # callers of several users
            self.esignd.add_application("reader", reader.uid, rights=("read",))
            cases += [(reader, "/v1/tickets", ticket, "E_AUTHZ",
                       ("application/reader", "E_AUTHZ(ticket)", reader.uid)),
                      (reader, "/v1/approvals", {}, "E_TERMINAL",
                       ("application/reader", "E_TERMINAL", reader.uid)),
                      (ROOT_CALLER, "/v1/tickets", ticket, "E_AUTHZ",
                       ("socket/esignd", "E_AUTHZ", 0))]
        for caller, path, body, code, told in cases:
            with self.subTest(path=path, told=told):
                size = self.size()
                self.refused(code, self.esignd.post, path, body, caller=caller)
                entries = self.since(size, "request.denied")
                self.assertEqual([(e["object"], e["result"], e["actor"]["uid"])
                                  for e in entries], [told])
                self.assertTrue(entries[0]["new"]["request"].startswith("POST /v1/"))

    @req("11.10(g)", "11.10(e)")
    def test_denied__object_of_another_application__entered(self):
        if not ROOT:
            return  # applications of several users
        other = esigntest.application_caller(8)
        self.esignd.add_application("stranger", other.uid, rights=("ticket",))
        signer = self.esignd.enrol("owned")
        ticket = self.esignd.ticket(b"record", "batch", "D-2", "1")["ticket"]
        signature = self.esignd.sign(signer, b"record", "batch", "D-3", "1")["signature"]
        for path, body in (("/v1/tickets/" + ticket, None),
                           ("/v1/tickets/%s/cancel" % ticket, {"reason": "a try"}),
                           ("/v1/signatures/" + signature, None)):
            with self.subTest(path=path):
                size = self.size()
                method = "GET" if body is None else "POST"
                self.refused("E_AUTHZ", self.esignd.ask, method, path, body, caller=other)
                told = [(e["object"], e["new"]["request"]) for e in
                        self.since(size, "request.denied")]
                self.assertEqual(told, [("application/stranger", "%s %s" % (
                    method, path.replace(ticket, "{id}").replace(signature, "{id}")))])

    @req("11.10(g)", "11.10(e)", "5.26")
    def test_unlock_officer__refused__entered(self):
        self.esignd.enrol("no-officer")
        for user_id, result in (("no-officer", "E_AUTHZ"), ("mkeller", "E_CONFLICT"),
                                ("nobody", "E_NOT_FOUND")):
            with self.subTest(user_id=user_id):
                size = self.size()
                self.refused(result, self.esignd.post,
                             "/v1/signers/%s/unlock-officer" % user_id, {"reason": "a try"},
                             caller=ROOT_CALLER)
                self.assertEqual([(e["object"], e["result"], e["actor"])
                                  for e in self.since(size, "officer.unlock")],
                                 [("userid/" + user_id, result, {"role": "peer", "uid": 0})])


    @req("11.10(e)", "11.300(d)")
    def test_unlock__of_one_who_is_not_locked__refused_and_entered(self):
        self.esignd.enrol("unlocked")
        self.esignd.enrol("left-long-ago")
        self.revoke("left-long-ago")
        for user_id, code, reason in (("unlocked", "E_CONFLICT", ""),
                                      ("left-long-ago", "E_SIGNER_STATE", "revoked")):
            with self.subTest(user_id=user_id):
                size = self.size()
                self.refused(code, self.esignd.post, "/v1/signers/%s/unlock" % user_id,
                             {"components": self.esignd.officers[0].components,
                              "reason": "a try"}, reason=reason or None)
                self.assertEqual([(e["object"], e["result"])
                                  for e in self.since(size, "signer.unlock")],
                                 [("userid/" + user_id,
                                   "%s(%s)" % (code, reason) if reason else code)])

    @req("5.23", "A1", "11.300(c)")
    def test_reset__while_the_token_signs__no_signature(self):
        signer = self.esignd.enrol("in-flight")
        asked = self.esignd.request_approval("credential.reset", {"user_id": "in-flight"})
        size, found = self.size(), []
        thread = threading.Thread(target=lambda: found.append(
            outcome(self.esignd.sign, signer, b"record", "batch", "I-1", "1")))
        with Stopped(self.all_workers("token-signers")):
            thread.start()
            wait_for(lambda: self.since(size, "signature.intent"), "the intent is entered")
            self.esignd.approve(asked["approval"])
        thread.join()
        self.assertIsInstance(found[0], Refused, found)
        self.assertEqual(self.esignd.get("/v1/signatures?signer=in-flight")["items"], [])


class Activation(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance({"request.deadline_ms": "4000"}).ready()
        cls.addClassCleanup(cls.esignd.close)

    def body(self, done, **members):
        return {"receipt": done["receipt"], "secret": done["secret"],
                "password": esigntest.PASSWORD,
                "accept_statement": {"code": "accountability", "version": 1}, **members}

    def enrolled(self, user_id):
        return self.esignd.two_officers("signer.enroll",
                                        params(user_id, "ACT-" + user_id.upper()))

    @req("11.300(d)", "5.25")
    def test_activate__without_the_codes__nothing_is_told_of_the_state(self):
        self.esignd.request_approval("signer.enroll", params("draft", "ACTDRAFT"))
        self.esignd.enrol("done")
        wrong = {"receipt": WRONG_CODE, "secret": WRONG_CODE}
        for user_id in ("draft", "done", "nobody", "mkeller"):
            with self.subTest(user_id=user_id):
                size = self.size()
                self.refused("E_AUTH_FAILED", self.esignd.post,
                             "/v1/signers/%s/activate" % user_id, self.body(wrong), reason=None)
                self.assertEqual([e["result"] for e in self.since(size)], ["E_AUTH_FAILED"])

    @req("11.10(e)", "11.300(c)")
    def test_activate__refused_with_the_right_codes__entered(self):
        done = self.enrolled("entered")
        path = "/v1/signers/entered/activate"
        for members, result in (
                ({"password": "too short"}, "E_PASSWORD_POLICY(short)"),
                ({"accept_statement": {"code": "accountability", "version": 2}},
                 "E_SIGNER_STATE(statement_pending)"),
                ({"algorithm": "p384"}, "E_POLICY")):
            with self.subTest(result=result):
                size = self.size()
                self.assertIsInstance(outcome(self.esignd.post, path, self.body(done, **members)),
                                      Refused)
                self.assertEqual([(e["action"], e["result"]) for e in self.since(size)],
                                 [("signer.activate", result)])

    @req("11.300(c)", "5.35")
    def test_activate__four_at_once__one_key(self):
        done = self.enrolled("four")
        size = self.size()
        found = together(*[lambda: self.esignd.post("/v1/signers/four/activate",
                                                    self.body(done))] * 4)
        self.assertEqual(sum(isinstance(reply, dict) for reply in found), 1, found)
        self.assertEqual(len(self.since(size, "key.generate")), 1)

    @req("11.10(e)", "11.300(c)")
    def test_activate__broken_off_after_the_key__entered_and_can_be_tried_again(self):
        done = self.enrolled("broken")
        size = self.size()
        with Stopped(self.all_workers("token-ca")):
            self.assertIsInstance(outcome(self.esignd.post, "/v1/signers/broken/activate",
                                          self.body(done)), Refused)
        made = self.since(size, "key.generate")[0]["object"]
        self.assertEqual([e["object"] for e in self.since(size, "key.failed")], [made])
        wait_for(lambda: isinstance(outcome(self.esignd.post, "/v1/signers/broken/activate",
                                            self.body(done)), dict), "the token is well again")

    def kill_in_activation(self, user_id, service, size):
        """Kill esignd while `service` keeps an activation waiting whose key is announced."""
        done = self.enrolled(user_id)
        with Stopped(self.all_workers(service)):
            thread = threading.Thread(target=self.lost, args=(user_id, done))
            thread.start()
            wait_for(lambda: self.since(size, "key.generate"), "the key is announced")
            self.esignd.kill("esignd")
            thread.join()
        return done

    def lost(self, user_id, done):
        """A call whose reply never comes."""
        try:
            self.esignd.post("/v1/signers/%s/activate" % user_id, self.body(done))
        except OSError:
            pass

    def works_again(self, user_id, done):
        """The activation with the same secret, when the stopped helper is well again."""
        found = []

        def activated():
            found.append(outcome(self.esignd.post, "/v1/signers/%s/activate" % user_id,
                                 self.body(done)))
            return isinstance(found[-1], dict)

        wait_for(activated, "the activation works")
        return found[-1]["signer"]

    @req("11.10(e)", "11.100(a)", "11.300(c)", "design 3")
    def test_activate__killed_while_the_key_is_made__ended_listed_and_of_no_use(self):
        for service in ("token-signers", "token-ca"):  # before there is a key, and after
            with self.subTest(service=service):
                user_id, size = "killed-in-" + service, self.size()
                done = self.kill_in_activation(user_id, service, size)
                made = self.since(size, "key.generate")[0]["object"]
                ended = self.since(size, "key.failed")
                self.assertEqual([(e["object"], e["result"]) for e in ended],
                                 [(made, "E_INTERNAL(restart)")])
                self.assertEqual(self.state(user_id), "approved")
                signer = self.works_again(user_id, done)
                self.assertNotEqual("key/" + signer["key"], made)
                self.assertEqual(self.keys_of(signer["signer_id"]), [signer["key"]])
                self.refused("E_SIGNER_STATE", self.esignd.post,
                             "/v1/signers/%s/activate" % user_id, self.body(done))

    def keys_of(self, signer_id):
        """Ids of the keys that the store has for a signer: the ones that can be used."""
        path = os.path.join(self.esignd.root, "lib", "esignd", "store.db")
        database = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        try:
            bodies = [json.loads(body) for (body,) in
                      database.execute("select body from row where kind = 'key'")]
        finally:
            database.close()
        return [body["key"] for body in bodies if body.get("signer_id") == signer_id]


class Init(Case):
    def setUp(self):
        self.esignd = Instance()
        self.addCleanup(self.esignd.close)
        self.esignd.launch("tokens")
        self.esignd.start()

    def body(self, tag, officers=2):
        where = {"gid": esign_gid()} if ROOT else {"uid": os.geteuid()}
        return {"organisation": "Organisation " + tag, "ca_name": "CA " + tag,
                "officers": [{"user_id": "%s%d" % (tag, i), "printed_name": "Off %s %d" % (tag, i),
                              "title": "Officer", "password": "officer long password",
                              "evidence": evidence("%s%04d" % (tag, i))} for i in range(officers)],
                "terminal": {"id": "t-" + tag, "location": "Laboratory", **where}}

    def init(self, tag, officers=2):
        return self.esignd.post("/v1/init", self.body(tag, officers), caller=ROOT_CALLER)

    def signers(self):
        items = self.esignd.get("/v1/signers", caller=esigntest.terminal_caller())["items"]
        return {item["user_id"]: item["state"] for item in items}

    @req("5.10", "11.10(g)")
    def test_init__two_at_once__one_is_refused(self):
        found = together(lambda: self.init("one"), lambda: self.init("two"))
        won = [reply for reply in found if isinstance(reply, dict)]
        lost = [reply for reply in found if isinstance(reply, Refused)]
        self.assertEqual([reply.code for reply in lost], ["E_CONFLICT"], found)
        self.assertEqual({o["user_id"] for o in won[0]["officers"]}, set(self.signers()))

    def kill_in_init(self):
        """Kill esignd in the middle of an init, when the first officers stand in the store."""
        path = os.path.join(self.esignd.root, "lib", "esignd", "store.db")
        pid = self.esignd.pid("esignd")
        thread = threading.Thread(target=self.lost)
        thread.start()
        database = sqlite3.connect(path)
        count = "select count(*) from row where kind = ?"
        until = time.monotonic() + esigntest.WAIT_S
        while not database.execute(count, ("signer",)).fetchone()[0]:
            self.assertLess(time.monotonic(), until, "no officer was written")
        os.kill(pid, signal.SIGKILL)
        thread.join()
        done = database.execute(count, ("site",)).fetchone()[0]
        database.close()
        self.assertEqual(done, 0, "the kill came too late")
        wait_for(lambda: self.esignd.pid("esignd") != pid and
                 self.esignd.status()["esignd"]["state"] == "ready", "esignd is ready again")

    def lost(self):
        try:
            self.init("ghost", 8)
        except OSError:
            pass

    @req("5.10", "11.10(g)", "11.100(b)")
    def test_init__killed_and_begun_again__officers_of_the_first_have_no_power(self):
        self.kill_in_init()
        self.init("real")
        self.esignd.terminal = esigntest.terminal_caller()
        signers = self.signers()
        self.assertEqual({name for name, state in signers.items() if state == "active"},
                         {"real0", "real1"})
        ghost = Person("ghost0", "", "", "officer long password")
        self.refused("E_SIGNER_STATE", self.esignd.post, "/v1/approvals", {
            "components": ghost.components, "action": "terminal.add", "reason": "mine",
            "params": {"id": "tt", "location": "x", "uid": 61555}}, reason="draft")

    @req("5.10")
    def test_init__killed_and_begun_again_with_the_same_officers__works(self):
        self.kill_in_init()
        self.init("ghost", 3)
        self.esignd.terminal = esigntest.terminal_caller()
        active = {name for name, state in self.signers().items() if state == "active"}
        self.assertEqual(active, {"ghost0", "ghost1", "ghost2"})


if __name__ == "__main__":
    esigntest.main()
