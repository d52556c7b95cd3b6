"""Sessions: the table S1 to S14 of requirements 3.4, and the ends of a session."""

# tier: quick

import threading
import time
import unittest

import esigntest
from esigntest import Caller, Instance, Refused, ROOT, esign_gid, req, wait_for

RECORD = b"<BatchProductionRecord><ID>B-2026-114</ID></BatchProductionRecord>\n"
WRONG = "not the right password"


class Case(unittest.TestCase):
    """What all tests of this file do: tickets, signings in a session, refusals."""

    esignd = None
    count = 0

    def ticket(self, **members):
        Case.count += 1
        return self.esignd.ticket(RECORD, "batch", "S-%d" % Case.count, "1", **members)

    def sign(self, session, components, ticket=None, caller=None, where=None):
        ticket = ticket or self.ticket()
        body = {"nonce": ticket["nonce"], "presented_hash": ticket["record"]["hash"],
                **(where or {})}
        if session is not None:
            body["session"] = session
        if components is not None:
            body["components"] = components
        return self.esignd.post("/v1/tickets/%s/authorise" % ticket["ticket"], body, caller)

    def refused(self, code, reason, call, *arguments, **named):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **named)
        self.assertEqual((caught.exception.code, caught.exception.reason), (code, reason),
                         caught.exception.body)

    def envelope(self, signature):
        verdict = self.esignd.validate(signature, RECORD)
        self.assertNotEqual(verdict["indication"], "TOTAL_FAILED", verdict)
        return verdict["facts"]["envelope"]

    def ceremony(self, signature):
        envelope = self.envelope(signature)
        return envelope["mode"], envelope["ordinal"], envelope["components"]

    def ends(self):
        """Why sessions ended, in the order of the trail."""
        return [e["new"]["end"] for e in self.esignd.entries() if e["action"] == "session.close"]

    def last_end(self):
        return [e for e in self.esignd.entries() if e["action"] == "session.close"][-1]

    def series(self, person, count=1):
        """A session with that many signings."""
        session = self.esignd.open_session(person)
        self.sign(session, person.components)
        for _ in range(count - 1):
            self.sign(session, {"password": person.password})
        return session


class Sessions(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().set_policy(auth={"delay_s": [0]}).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe", "Production manager")
        cls.other = cls.esignd.enrol("other", password="the other one's password")

    @req("S1", "S2", "11.200(a)(1)(ii)")
    def test_no_session__all_or_the_password_only__one_shot_or_refused(self):
        signature = self.sign(None, self.signer.components)
        self.assertEqual(self.ceremony(signature), ("one-shot", 1, ["id", "password"]))
        self.assertEqual(self.envelope(signature)["session"], "")
        for components in ({"password": self.signer.password}, {"user_id": "jdoe"}, None):
            self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, None, components)

    @req("S3", "S4", "S5", "S6", "3.4", "5.2", "5.7", "11.200(a)(1)(i)")
    def test_series__first_with_all_then_the_password__modes_and_ordinals(self):
        session = self.esignd.open_session(self.signer)
        self.assertRegex(session, "^[0-9a-f]{64}$")
        alone = {"password": self.signer.password}
        self.refused("E_COMPONENTS_REQUIRED", "first", self.sign, session, alone)
        first = self.sign(session, self.signer.components)
        self.assertEqual(self.ceremony(first), ("first", 1, ["id", "password"]))
        second = self.sign(session, alone)
        self.assertEqual(self.ceremony(second), ("subsequent", 2, ["password"]))
        for components in (None, {}, {"user_id": "jdoe"}):
            ticket = self.ticket()
            self.refused("E_COMPONENTS_REQUIRED", "policy", self.sign, session, components, ticket)
            self.assertEqual(self.esignd.get("/v1/tickets/" + ticket["ticket"])["state"], "ready")
        third = self.sign(session, self.signer.components)
        self.assertEqual(self.ceremony(third), ("subsequent", 3, ["id", "password"]))
        names = {self.envelope(s)["session"] for s in (first, second, third)}
        self.assertEqual(len(names), 1)
        self.assertNotIn(session, names)  # the handle itself is nowhere
        opened = [e for e in self.esignd.entries() if e["action"] == "session.open"][-1]
        self.assertEqual(opened["object"], "session/" + names.pop())
        self.assertEqual(opened["actor"]["user_id"], "jdoe")

    @req("S5", "11.200(a)(1)(i)")
    def test_one_call__in_a_session_of_the_application__subsequent(self):
        caller = self.esignd.application
        session = self.esignd.open_session(self.signer, caller, **self.declared())
        body = {"record": self.esignd.record(RECORD, "batch", "S-app", "1"), "meaning": "approved",
                "session": session, **self.declared()}
        first = self.esignd.post("/v1/signatures", {
            **body, "components": self.signer.components}, caller)
        second = self.esignd.post("/v1/signatures", {
            **body, "components": {"password": self.signer.password}}, caller)
        self.assertEqual(self.ceremony(first)[:2], ("first", 1))
        self.assertEqual(self.ceremony(second)[:2], ("subsequent", 2))
        if ROOT:
            self.assertEqual(self.envelope(second)["terminal"],
                             {"assurance": "declared", "id": "WS-12"})

    @staticmethod
    def declared(terminal="WS-12"):
        """The terminal that an application names; without root the caller is one itself."""
        return {"terminal": terminal} if ROOT else {}

    @req("S7", "11.300(d)")
    def test_wrong_password__counted__session_stays(self):
        session = self.series(self.signer)
        size = self.esignd.get("/v1/status")["audit"]["size"]
        self.refused("E_AUTH_FAILED", None, self.sign, session, {"password": WRONG})
        failed = self.esignd.entries(after=size - 1)
        self.assertIn("attempt.failed", [e["action"] for e in failed])
        signature = self.sign(session, {"password": self.signer.password})
        self.assertEqual(self.ceremony(signature)[:2], ("subsequent", 2))

    @req("S8", "11.300(d)")
    def test_five_failures__locked__session_ended_and_right_password_refused(self):
        person = self.esignd.enrol("locky", password="a password to be locked away")
        session = self.series(person)
        for _ in range(4):
            self.refused("E_AUTH_FAILED", None, self.sign, session, {"password": WRONG})
        self.refused("E_SIGNER_STATE", "locked", self.sign, session, {"password": WRONG})
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": person.password})
        self.refused("E_SIGNER_STATE", "locked", self.sign, None, person.components)
        lock = [e for e in self.esignd.entries() if e["action"] == "signer.lock"][-1]
        self.assertEqual(lock["alert"], "lockout")
        self.assertEqual(self.last_end()["new"]["end"], "signer")

    @req("S8", "11.300(d)")
    def test_many_sessions__parallel_guesses__no_more_than_five_count(self):
        person = self.esignd.enrol("spread", password="a password to be guessed at")
        caller = self.esignd.application
        handles = {}
        for number in range(6 if ROOT else 1):
            where = self.declared("WS-%d" % number)
            handle = self.esignd.open_session(person, caller, **where)
            self.sign(handle, person.components, caller=caller, where=where)
            handles[handle] = where
        size = self.esignd.get("/v1/status")["audit"]["size"]

        def guess(handle):
            try:
                self.sign(handle, {"password": WRONG}, caller=caller, where=handles[handle])
            except Refused:
                pass

        def guess_one_shot():
            try:
                self.sign(None, {"user_id": "spread", "password": WRONG})
            except Refused:
                pass

        threads = [threading.Thread(target=guess, args=(h,)) for h in list(handles) * 3]
        threads += [threading.Thread(target=guess_one_shot) for _ in range(6 if ROOT else 0)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        actions = [e["action"] for e in self.esignd.entries(after=size - 1)]
        counted = actions.count("attempt.failed") + actions.count("signer.lock")
        self.assertEqual(counted, 5 if ROOT else 3)
        self.assertEqual(actions.count("signer.lock"), 1 if ROOT else 0)

    @req("S8", "3.4")
    def test_locked_elsewhere__session_ended(self):
        person = self.esignd.enrol("lockyb", password="a password to be locked away")
        session = self.series(person)
        for _ in range(5):
            self.refused("E_AUTH_FAILED", None, self.sign, None,
                         {"user_id": "lockyb", "password": WRONG})
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": person.password})

    @req("S10", "11.200(a)(2)")
    def test_handle_from_elsewhere__refused_ended_and_alarmed(self):
        session = self.series(self.signer)
        elsewhere = Caller(61002, (esign_gid(),)) if ROOT else None
        if ROOT:
            self.refused("E_SESSION", "peer", self.sign, session,
                         {"password": self.signer.password}, caller=elsewhere)
            end = self.last_end()
            self.assertEqual((end["new"]["end"], end["alert"]), ("peer", "session-peer"))
            self.assertEqual(end["new"]["by"]["uid"], 61002)
            self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                         {"password": self.signer.password})
        handle = self.esignd.open_session(self.signer, self.esignd.application, **self.declared())
        with self.assertRaises(Refused) as caught:
            self.esignd.post("/v1/sessions/close", {"session": handle, "terminal": "WS-13"},
                             self.esignd.application)
        self.assertEqual(caught.exception.code, "E_SESSION" if ROOT else "E_PROTO")

    @req("S11", "11.200(a)(2)")
    def test_other_person_on_a_session__refused_and_alarmed__session_stays(self):
        session = self.series(self.signer)
        self.refused("E_SESSION", "peer", self.sign, session, self.other.components)
        refused = [e for e in self.esignd.entries() if e["action"] == "session.refused"][-1]
        self.assertEqual(refused["alert"], "session-other-signer")
        signature = self.sign(session, {"password": self.signer.password})
        self.assertEqual(self.ceremony(signature)[:2], ("subsequent", 2))
        self.sign(None, self.other.components)  # the other one signs without it

    @req("S12", "11.200(a)(1)(ii)")
    def test_restart__next_needs_all(self):
        session = self.series(self.signer)
        self.esignd.kill("esignd")
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": self.signer.password})
        session = self.series(self.signer)
        self.esignd.stop().start()
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": self.signer.password})
        self.assertEqual(self.last_end()["new"]["end"], "stop")  # a stop tells, a kill can't

    @req("S13", "3.4")
    def test_password_changed__next_needs_all_with_the_new_one(self):
        person = self.esignd.enrol("changer", password="the password before the change")
        session = self.series(person)
        self.esignd.post("/v1/signers/changer/password", {
            "components": person.components, "password": "the password after the change"})
        for password in (person.password, "the password after the change"):
            self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                         {"password": password})
        person.password = "the password after the change"
        self.sign(self.series(person), {"password": person.password})
        self.assertIn("credential", self.ends())

    @req("3.4")
    def test_revoked__session_ended(self):
        person = self.esignd.enrol("leaver", password="the password of a leaver")
        session = self.series(person)
        self.esignd.post("/v1/signers/leaver/revoke", {
            "components": self.esignd.officers[1].components, "reason": "left"})
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": person.password})
        self.assertEqual(self.last_end()["new"]["end"], "signer")

    @req("S14")
    def test_parallel__serialised__each_with_its_own_ordinal(self):
        session = self.series(self.signer)
        tickets = [self.ticket() for _ in range(8)]
        signed, failed = [], []

        def run(ticket):
            try:
                signed.append(self.sign(session, {"password": self.signer.password}, ticket))
            except Refused as refused:
                failed.append(refused)

        threads = [threading.Thread(target=run, args=(t,)) for t in tickets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(sorted(self.ceremony(s)[1] for s in signed), list(range(2, 10)))

    @req("3.4")
    def test_close__by_the_signer__dead_and_entered(self):
        session = self.series(self.signer, count=2)
        self.esignd.post("/v1/sessions/close", {"session": session})
        end = self.last_end()
        self.assertEqual((end["new"]["end"], end["new"]["signings"]), ("closed", 2))
        self.assertEqual(end["actor"]["role"], "peer")  # a handle proves no person
        self.assertEqual(end["new"]["signer_id"], self.signer.signer_id)
        for call in (lambda: self.sign(session, {"password": self.signer.password}),
                     lambda: self.esignd.post("/v1/sessions/close", {"session": session})):
            self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", call)

    @req("3.4", "S11")
    def test_another_session_at_the_terminal__the_first_ends(self):
        session = self.series(self.signer)
        second = self.esignd.open_session(self.other)
        self.assertEqual(self.last_end()["new"]["end"], "other")
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": self.signer.password})
        self.sign(second, self.other.components)

    @req("3.4", "S11")
    def test_two_open_at_once__one_session_at_the_terminal(self):
        handles = {}

        def run(person):
            handles[person.user_id] = self.esignd.open_session(person)

        for _ in range(4):
            people = [self.signer, self.other]
            threads = [threading.Thread(target=run, args=(p,)) for p in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            alive = []
            for person in people:
                try:
                    self.sign(handles[person.user_id], person.components)
                    alive.append(person.user_id)
                except Refused as refused:
                    self.assertEqual(refused.reason, "noncontinuous")
            self.assertEqual(len(alive), 1)

    @req("11.200(a)(1)", "5.7")
    def test_open__anything_less_than_all__refused(self):
        for components in (None, {"user_id": "jdoe"}, {"password": self.signer.password}):
            body = {} if components is None else {"components": components}
            with self.assertRaises(Refused) as caught:
                self.esignd.post("/v1/sessions", body)
            self.assertEqual(caught.exception.code, "E_COMPONENTS_REQUIRED")
        self.refused("E_AUTH_FAILED", None, self.esignd.post, "/v1/sessions", {
            "components": {"user_id": "jdoe", "password": WRONG}})

    @req("11.200(a)(2)")
    def test_open__again__tells_the_last_signing(self):
        person = self.esignd.enrol("watcher", password="the password of a watcher")
        opening = {"components": person.components}
        self.assertNotIn("last_signing", self.esignd.post("/v1/sessions", opening))
        signature = self.sign(None, person.components)
        told = self.esignd.post("/v1/sessions", opening)["last_signing"]
        self.assertEqual((told["count"], told["signature"]), (1, signature["signature"]))
        self.assertEqual(told["time"], signature["time"]["utc"])


class Limits(Case):
    """Limits short enough to be waited for; authn/test_session has the defaults by a clock."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().set_policy(
            session={"idle_s": 2, "absolute_s": 5, "absent_s": 1,
                     "login_counts_as_first": True, "verifier": "argon2id"}).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe", "Production manager")

    def next_end(self, known):
        """The end that follows the known ones."""
        return wait_for(lambda: self.ends()[len(known):], "a session ended")

    @req("S9", "3.4")
    def test_limits__idle_and_absolute__ended_and_entered(self):
        known = self.ends()
        session, began = self.esignd.open_session(self.signer), time.monotonic()
        alone = {"password": self.signer.password}
        while time.monotonic() < began + 4.0:  # never idle
            self.sign(session, alone)
            time.sleep(0.5)
        self.assertEqual(self.next_end(known), ["absolute"])
        self.assertGreaterEqual(time.monotonic() - began, 5.0)
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session, alone)
        known, session = self.ends(), self.esignd.open_session(self.signer)
        self.assertEqual(self.next_end(known), ["idle"])
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session, alone)

    @req("3.4")
    def test_connections_gone__session_ends(self):
        connection = self.esignd.connection(self.esignd.terminal)
        session = self.esignd.open_session(self.signer, connection=connection,
                                           presence="connection")
        connection.close()
        def absent():
            rows = self.esignd.ask("GET", "/v1/audit/entries?limit=500",
                                   caller=self.esignd.application if ROOT else None)["items"]
            return [e for e in rows if e["action"] == "session.close" and
                    e["new"]["end"] == "absent"]
        if not ROOT:
            self.esignd.post("/v1/sessions/close", {"session": session})
            return
        wait_for(absent, "a session without a connection ended")
        self.refused("E_COMPONENTS_REQUIRED", "noncontinuous", self.sign, session,
                     {"password": self.signer.password})

    @req("S3", "5.2")
    def test_login_counts_as_first__by_policy__told_in_the_envelope(self):
        session = self.esignd.open_session(self.signer)
        first = self.sign(session, {"password": self.signer.password})
        self.assertEqual(self.ceremony(first), ("first-by-login", 1, ["password"]))
        size = self.esignd.get("/v1/status")["audit"]["size"]
        second = self.sign(session, {"password": self.signer.password})
        self.assertEqual(self.ceremony(second), ("subsequent", 2, ["password"]))
        # the policy of this site demands the slow hash, which takes a slot
        self.assertIn("attempt.reserve", [e["action"] for e in self.esignd.entries(size - 1)])


class Policies(Case):
    @req("3.4", "11.200(a)(1)(i)", "5.7")
    def test_policy__without_an_idle_limit_or_the_private_component__refused(self):
        rows = (({"session": {"idle_s": 0}}, "session.idle_s"),
                ({"session": {"verifier": "none"}}, "session.verifier"),
                ({"components": {"subsequent": ["id"]}}, "components.subsequent"),
                ({"components": {"subsequent": []}}, "components.subsequent"))
        for sections, field in rows:
            with self.subTest(field=field):
                esignd = Instance().set_policy(**sections)
                self.addCleanup(esignd.close)
                esignd.launch("tokens")
                esignd.start()
                with self.assertRaises(Refused) as caught:
                    esignd.init()
                self.assertEqual(caught.exception.code, "E_POLICY", caught.exception.body)
                self.assertEqual(caught.exception.body["field"], field)

    @req("11.200(a)(1)(ii)")
    def test_policy__id_at_each_signing__password_alone_refused(self):
        Case.esignd = esignd = Instance().set_policy(
            components={"subsequent": ["id", "password"]}).ready()
        self.addCleanup(esignd.close)
        person = esignd.enrol("jdoe")
        session = self.series(person)
        self.refused("E_COMPONENTS_REQUIRED", "policy", self.sign, session,
                     {"password": person.password})
        self.assertEqual(self.ceremony(self.sign(session, person.components)),
                         ("subsequent", 2, ["id", "password"]))


if __name__ == "__main__":
    esigntest.main()
