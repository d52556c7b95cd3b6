"""A forgotten password: ended by two officers, set anew in person with both halves of a secret."""

import threading

import esigntest
from esigntest import Clock, Instance, Person, Refused, evidence, req

RECORD = b"record"
WRONG_CODE = "aaaa-bbbb-cccc-dddd-eeee"
NEW = "a barn full of dry hay"
TTL_S = 24 * 3600  # policy enrol.secret_ttl_h


def together(call, arguments):
    """Outcomes of a call with each argument at the same time."""
    found = [None] * len(arguments)

    def one(i):
        try:
            found[i] = call(arguments[i])
        except Refused as refused:
            found[i] = refused

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Case(esigntest.Case):
    esignd = None

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    def since(self, size, action):
        return [e for e in self.esignd.entries(after=size - 1) if e["action"] == action]

    def ask(self, user_id, officer=None, reason="forgot it on holiday"):
        officer = officer or self.esignd.officers[0]
        return self.esignd.post("/v1/approvals", {
            "components": officer.components, "action": "credential.reset", "reason": reason,
            "params": {"user_id": user_id}})

    def approve(self, asked, officer=None):
        officer = officer or self.esignd.officers[1]
        return self.esignd.post("/v1/approvals/%s/approve" % asked["approval"],
                                {"components": officer.components})

    def reset(self, user_id):
        """Both halves of the one-time secret."""
        asked = self.ask(user_id)
        return asked["receipt"], self.approve(asked)["secret"]

    def set(self, user_id, halves, password=NEW):
        return self.esignd.post("/v1/signers/%s/set-password" % user_id, {
            "receipt": halves[0], "secret": halves[1], "password": password})

    def sign(self, person):
        return self.esignd.sign(person, RECORD, "batch", "B-1", "1")

    def revoke(self, user_id, officer=0):
        return self.esignd.post("/v1/signers/%s/revoke" % user_id, {
            "components": self.esignd.officers[officer].components, "reason": "left"})


class Reset(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(policy={"auth": {"delay_s": []}}).ready()
        cls.addClassCleanup(cls.esignd.close)

    @req("A1", "3.3", "5.9", "11.200(a)(3)", "11.300(c)")
    def test_reset__by_two__old_one_dead_and_the_owner_sets_a_new_one(self):
        person = self.esignd.enrol("forgetful")
        old = Person("forgetful", "", "", person.password)
        before = self.esignd.get("/v1/signers/forgetful")
        asked = self.ask("forgetful")
        self.sign(person)  # asked for by one: nothing has changed
        self.refused("E_DUAL_SELF", self.approve, asked, self.esignd.officers[0])
        done = self.approve(asked)
        self.refused("E_CRED_STATE", self.sign, old, reason="revoked")
        self.esignd.kill("esignd")
        self.refused("E_CRED_STATE", self.sign, old, reason="revoked")
        self.assertEqual(self.esignd.get("/v1/signers/forgetful")["credential"]["state"], "revoked")
        size = self.size()
        shown = self.set("forgetful", (asked["receipt"], done["secret"]))
        person.password = NEW
        self.sign(person)
        self.refused("E_AUTH_FAILED", self.sign, old)
        self.assertEqual(shown["credential"]["state"], "active")
        self.assertEqual(shown["credential"]["reset_by"], ["mkeller", "psato"])
        after = self.esignd.get("/v1/signers/forgetful")
        self.assertEqual((after["key"], after["certificate"]),
                         (before["key"], before["certificate"]))
        self.assertEqual(after["credential"]["reset_at"], shown["credential"]["reset_at"])
        entry = self.since(size, "credential.set")[0]
        self.assertEqual((entry["actor"]["user_id"], entry["actor"]["role"], entry["result"]),
                         ("forgetful", "signer", "OK"))
        self.assertEqual(entry["new"]["reset_by"], ["mkeller", "psato"])
        text = str(self.esignd.entries())
        for secret in (asked["receipt"], done["secret"], NEW, "receipt_hash"):
            self.assertNotIn(secret, text)

    @req("A1", "5.9", "11.10(g)", "3.2")
    def test_reset__by_others_than_two_officers__refused(self):
        person, other = self.esignd.enrol("target"), self.esignd.enrol("colleague")
        registrar = self.esignd.enrol("registrar", roles=("regadmin",))
        self.refused("E_AUTHZ", self.ask, "target", other, reason="regadmin")
        self.refused("E_DUAL_SELF", self.ask, "registrar", registrar)
        asked = self.ask("target", registrar)
        self.refused("E_AUTHZ", self.approve, asked, other)
        self.refused("E_DUAL_SELF", self.approve, asked, registrar)
        self.refused("E_NOT_FOUND", self.ask, "nobody")
        self.esignd.post("/v1/approvals/%s/decline" % asked["approval"], {
            "components": self.esignd.officers[1].components, "reason": "was not asked for"})
        self.refused("E_AUTH_FAILED", self.set, "target", (asked["receipt"], WRONG_CODE))
        self.sign(person)

    @req("A1", "11.300(c)", "5.25")
    def test_set__without_both_halves__refused_entered_and_nothing_told(self):
        self.esignd.enrol("halves")
        self.esignd.enrol("neighbour")
        halves, others = self.reset("halves"), self.reset("neighbour")
        self.esignd.enrol("not-reset")
        for user_id, given in (("halves", (halves[0], WRONG_CODE)),
                               ("halves", (WRONG_CODE, halves[1])),
                               ("halves", (halves[0], halves[0])),
                               ("halves", (halves[1], halves[0])),
                               ("halves", (halves[0], others[1])),
                               ("halves", others), ("not-reset", halves), ("nobody", halves),
                               ("mkeller", halves)):
            with self.subTest(user_id=user_id, given=given):
                size = self.size()
                problem = self.refused("E_AUTH_FAILED", self.set, user_id, given)
                self.assertIn("order of the halves", problem["detail"])
                entry = self.since(size, "credential.set")[0]
                self.assertEqual((entry["result"], entry["actor"]),
                                 ("E_AUTH_FAILED", {"role": "system"}))
                if user_id == "nobody":
                    self.assertEqual(entry["object"], "signer/unknown")
        self.set("halves", halves)

    @req("A1", "11.300(c)", "3.3")
    def test_set__twice__the_secret_is_used_up(self):
        self.esignd.enrol("eager")
        halves = self.reset("eager")
        self.set("eager", halves)
        size = self.size()
        self.refused("E_CRED_STATE", self.set, "eager", halves, "another one for the thief",
                     reason="used")
        entry = self.since(size, "credential.set")[0]
        self.assertEqual((entry["result"], entry["actor"]["user_id"]),
                         ("E_CRED_STATE(used)", "eager"))
        self.sign(Person("eager", "", "", NEW))

    @req("11.300(c)", "3.3")
    def test_set__four_at_once__one_sets(self):
        self.esignd.enrol("hurried")
        halves = self.reset("hurried")
        calls = ["four at once, this is %d of them" % i for i in range(4)]
        found = together(lambda p: self.set("hurried", halves, p), calls)
        won = [password for password, reply in zip(calls, found) if isinstance(reply, dict)]
        self.assertEqual(len(won), 1, found)
        self.sign(Person("hurried", "", "", won[0]))

    @req("11.300(b)", "3.3")
    def test_set__rules_and_history__as_at_a_change(self):
        person = self.esignd.enrol("careless")
        halves = self.reset("careless")
        for password, reason in (("too short", "short"), ("Password-Password-1", "blocklist"),
                                 ("careless careless 1", "same_as_id"),
                                 (person.password, "reused")):
            with self.subTest(password=password):
                size = self.size()
                self.refused("E_PASSWORD_POLICY", self.set, "careless", halves, password,
                             reason=reason)
                self.assertEqual(self.since(size, "credential.set")[0]["result"],
                                 "E_PASSWORD_POLICY(%s)" % reason)
        self.set("careless", halves)

    @req("3.2", "3.3", "11.300(c)")
    def test_reset__revoked_signer__refused_before_and_after(self):
        self.esignd.enrol("leaver")
        halves, asked = self.reset("leaver"), self.ask("leaver")
        self.revoke("leaver")
        self.refused("E_SIGNER_STATE", self.approve, asked, reason="revoked")
        self.refused("E_SIGNER_STATE", self.set, "leaver", halves, reason="revoked")
        self.refused("E_SIGNER_STATE", self.ask, "leaver", reason="revoked")

    @req("3.2", "3.3")
    def test_reset__draft__refused(self):
        self.esignd.request_approval("signer.enroll", {
            "user_id": "draft", "printed_name": "A Draft", "title": "Operator",
            "evidence": evidence("DRAFT001")})
        self.refused("E_SIGNER_STATE", self.ask, "draft", reason="draft")

    @req("11.300(d)", "3.2", "S8")
    def test_reset__locked_signer__the_lock_ends_with_the_new_password_only(self):
        person = self.esignd.enrol("locked")
        wrong = Person("locked", "", "", "not my password at all")
        for _ in range(5):
            self.refused("E_AUTH_FAILED", self.sign, wrong)
        halves = self.reset("locked")
        self.refused("E_SIGNER_STATE", self.sign, person, reason="locked")
        self.refused("E_AUTH_FAILED", self.set, "locked", (halves[0], WRONG_CODE))
        self.refused("E_SIGNER_STATE", self.sign, person, reason="locked")
        self.assertEqual(self.set("locked", halves)["state"], "active")
        self.sign(Person("locked", "", "", NEW))

    @req("11.300(c)", "3.3")
    def test_reset__again__only_the_newest_halves_work(self):
        self.esignd.enrol("loser")
        first, second = self.reset("loser"), self.reset("loser")
        for halves in (first, (first[0], second[1]), (second[0], first[1])):
            self.refused("E_AUTH_FAILED", self.set, "loser", halves)
        self.set("loser", second)

    @req("3.3")
    def test_reset__then_change_and_must_change__refused(self):
        person = self.esignd.enrol("stubborn")
        self.reset("stubborn")
        self.refused("E_CRED_STATE", self.esignd.post, "/v1/signers/stubborn/password",
                     {"components": person.components, "password": NEW}, reason="revoked")
        self.refused("E_CRED_STATE", self.esignd.post, "/v1/signers/stubborn/must-change", {
            "components": self.esignd.officers[0].components, "reason": "a try"}, reason="revoked")

    @req("A1", "11.300(c)", "0.1")
    def test_esign__reset_and_set__as_people_do(self):
        self.esignd.enrol("typist")
        asking, approving = self.esignd.officers
        said = self.esignd.esign("credential", "reset", "typist", "--as", asking.user_id,
                                 "--reason", "forgot it",
                                 passwords=[asking.password]).stdout.decode()
        first = said.split("first half of the one-time secret: ")[1].split()[0]
        approval = said.split("esign approvals approve ")[1].split()[0]
        said = self.esignd.esign("approvals", "approve", approval, "--as", approving.user_id,
                                 passwords=[approving.password]).stdout.decode()
        self.assertIn("credential.reset", said)
        self.assertIn("esign credential set", said)
        second = said.split("second half of the one-time secret: ")[1].split()[0]
        said = self.esignd.esign("credential", "set", "typist",
                                 passwords=[first, second, NEW]).stdout.decode()
        for text in (said, self.esignd.esign("signer", "show", "typist").stdout.decode()):
            self.assertIn("mkeller", text.split("reset by")[1])
        self.sign(Person("typist", "", "", NEW))


    @req("A1", "3.4")
    def test_reset__next_signing__shown_until_it_is_done(self):
        person = self.esignd.enrol("reader")
        self.sign(person)
        self.set("reader", self.reset("reader"))
        person.password = NEW
        shown = self.esignd.get("/v1/signers/reader")["credential"]
        self.assertTrue(shown["reset_unseen"])
        ticket = self.esignd.ticket(RECORD, "batch", "R-1", "1")["ticket"]
        text = "The password of reader was reset on %s by mkeller and psato." % shown["reset_at"]
        for told in (text, None):
            if told is None:
                ticket = self.esignd.ticket(RECORD, "batch", "R-2", "1")["ticket"]
            done = self.esignd.esign("approve", ticket, "--as", "reader", passwords=[NEW])
            self.assertEqual(text in done.stderr.decode(), told is not None, done.stderr)
        self.assertFalse(self.esignd.get("/v1/signers/reader")["credential"]["reset_unseen"])

    @req("3.4", "3.3", "A1")
    def test_reset__open_session__ended(self):
        person = self.esignd.enrol("sitting")
        connection = self.esignd.connection(self.esignd.terminal)
        self.addCleanup(connection.close)
        status, session = connection.send_json("POST", "/v1/sessions",
                                               {"components": person.components})
        self.assertEqual(status, 201, session)

        def sign(number, components):
            ticket = self.esignd.ticket(RECORD, "batch", "S-%d" % number, "1")
            return connection.send_json("POST", "/v1/tickets/%s/authorise" % ticket["ticket"], {
                "components": components, "nonce": ticket["nonce"],
                "presented_hash": ticket["record"]["hash"], "session": session["session"]})

        self.assertEqual(sign(1, person.components)[0], 200)
        self.assertEqual(sign(2, {"password": person.password})[0], 200)
        self.reset("sitting")
        for components in ({"password": person.password}, person.components):
            status, problem = sign(3, components)
            self.assertGreaterEqual(status, 400)
            self.assertIn(problem["code"], ("E_SESSION", "E_COMPONENTS_REQUIRED", "E_CRED_STATE"))


class Officers(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)

    @req("5.10", "A1", "11.200(a)(3)")
    def test_reset__of_an_officer__by_two_others_only(self):
        first, second = self.esignd.officers
        self.refused("E_DUAL_REQUIRED", self.ask, second.user_id, reason="last-officers")
        third = self.esignd.enrol("third", roles=("regadmin", "secofficer"))
        self.refused("E_DUAL_SELF", self.ask, third.user_id, third)
        asked = self.ask(third.user_id)
        self.refused("E_DUAL_SELF", self.approve, asked, third)
        self.refused("E_DUAL_SELF", self.approve, asked, first)
        halves = asked["receipt"], self.approve(asked)["secret"]
        self.refused("E_CRED_STATE", self.ask, "nobody", third, reason="revoked")
        # an officer without a password is none of the two who must remain, nor one who approves
        fourth = self.esignd.enrol("fourth", roles=("regadmin", "secofficer"))
        self.revoke(fourth.user_id)
        self.refused("E_DUAL_REQUIRED", self.revoke, second.user_id, reason="last-officers")
        self.refused("E_DUAL_REQUIRED", self.ask, second.user_id, reason="last-officers")
        self.set(third.user_id, halves)
        third.password = NEW
        self.refused("E_NOT_FOUND", self.ask, "nobody", third)
        self.approve(self.ask(second.user_id), third)


class Time(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.clock = Clock(cls.esignd)
        cls.esignd.ready()

    @req("A1", "0.3", "3.3", "11.300(c)")
    def test_set__after_the_life_of_the_secret__refused_until_a_new_reset(self):
        self.esignd.enrol("late")
        halves = self.reset("late")
        self.clock.advance(TTL_S - 60)
        self.refused("E_PASSWORD_POLICY", self.set, "late", halves, "short", reason="short")
        self.clock.advance(120)
        size = self.size()
        self.refused("E_CRED_STATE", self.set, "late", halves, reason="expired")
        self.assertEqual(self.since(size, "credential.set")[0]["result"], "E_CRED_STATE(expired)")
        self.set("late", self.reset("late"))
        self.sign(Person("late", "", "", NEW))

    @req("11.300(c)", "3.3", "3.2")
    def test_activate__after_the_life_of_the_secret__with_the_secret_of_a_reset(self):
        done = self.esignd.two_officers("signer.enroll", {
            "user_id": "tardy", "printed_name": "A Tardy", "title": "Operator",
            "evidence": evidence("TARDY001")})
        person = Person("tardy", "A Tardy", "Operator")
        self.clock.advance(TTL_S + 60)
        self.refused("E_CRED_STATE", self.esignd.activate, person, done, reason="expired")
        halves = self.reset("tardy")
        self.refused("E_AUTH_FAILED", self.esignd.activate, person, done)
        self.refused("E_SIGNER_STATE", self.set, "tardy", halves, reason="approved")
        self.esignd.activate(person, {"receipt": halves[0], "secret": halves[1]})
        self.sign(person)


if __name__ == "__main__":
    esigntest.main()
