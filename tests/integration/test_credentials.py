"""The life of a password: rules, change, history, age, forced change."""

import json

import esigntest
from esigntest import Clock, Instance, Person, evidence, req

RECORD = b"record"
DAY_S = 24 * 3600


class Credentials(esigntest.Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.esignd.set_policy(password={"history": 3})
        cls.esignd.ready()
        cls.addClassCleanup(cls.esignd.close)

    def change(self, person, password):
        reply = self.esignd.post("/v1/signers/%s/password" % person.user_id, {
            "components": person.components, "password": password})
        person.password = password
        return reply

    def must_change(self, user_id, officer=1):
        return self.esignd.post("/v1/signers/%s/must-change" % user_id, {
            "components": self.esignd.officers[officer].components,
            "reason": "seen on a note at the terminal"})

    def sign(self, person):
        return self.esignd.sign(person, RECORD, "batch", "B-1", "1")

    @req("11.300(b)", "3.3", "11.300 opening")
    def test_change__by_the_owner__the_new_password_counts(self):
        person = self.esignd.enrol("changer")
        self.sign(person)
        old = Person("changer", "", "", person.password)
        before = len(self.esignd.entries())
        reply = self.change(person, "a meadow full of tulips")
        self.assertEqual(reply["credential"]["state"], "active")
        self.assertIn(reply["credential"]["days_left"], (364, 365))
        self.assertNotIn("warning", reply["credential"])
        self.refused("E_AUTH_FAILED", self.sign, old)
        self.sign(person)
        entries = self.esignd.entries(after=before - 1)
        entry = next(e for e in entries if e["action"] == "credential.change")
        self.assertEqual((entry["actor"]["user_id"], entry["actor"]["role"]), ("changer", "signer"))
        self.assertNotIn("tulips", json.dumps(entries))
        self.assertNotIn("argon2", json.dumps(entries) + json.dumps(reply))

    @req("11.300(b)")
    def test_change__rules__refused_by_reason_and_the_old_one_stays(self):
        person = self.esignd.enrol("ruled")
        for password, reason in (("too short", "short"),
                                 ("ruledruledruledruled", "same_as_id"),
                                 ("Password-Password-1", "blocklist"),
                                 ("Trial Pharma esignd 1", "blocklist"),
                                 ("the quick brown fox 1", "blocklist"),
                                 ("abababababababababab", "blocklist"),
                                 (person.password, "reused")):
            with self.subTest(password=password):
                body = {"components": person.components, "password": password}
                self.refused("E_PASSWORD_POLICY", self.esignd.post, "/v1/signers/ruled/password",
                             body, reason=reason)
        self.sign(person)

    @req("11.300(b)")
    def test_change__one_of_the_newest__reused(self):
        person = self.esignd.enrol("circular", password="the very first of four")
        self.change(person, "then a second of four")
        self.change(person, "now the third of four")
        for password in ("the very first of four", "then a second of four",
                         "now the third of four"):
            body = {"components": person.components, "password": password}
            self.refused("E_PASSWORD_POLICY", self.esignd.post, "/v1/signers/circular/password",
                         body, reason="reused")
        self.change(person, "at last the fourth one")
        self.change(person, "the very first of four")  # the policy of this site remembers three

    @req("11.300(a)")
    def test_change__to_the_password_of_another__no_hint(self):
        first = self.esignd.enrol("same-one", password="we share this by chance")
        second = self.esignd.enrol("same-two")
        self.change(second, first.password)
        self.sign(first)
        self.sign(second)

    @req("11.200(a)(2)", "11.300(b)", "A1", "11.10(g)")
    def test_change__of_another_person__refused(self):
        person, other = self.esignd.enrol("victim"), self.esignd.enrol("plain-person")
        for actor, code in ((self.esignd.officers[0], "E_DUAL_REQUIRED"),
                            (self.esignd.officers[1], "E_DUAL_REQUIRED"), (other, "E_AUTHZ")):
            with self.subTest(actor=actor.user_id):
                size = len(self.esignd.entries())
                body = {"components": actor.components, "password": "chosen by the officer"}
                self.refused(code, self.esignd.post, "/v1/signers/victim/password", body)
                entry = self.esignd.entries(after=size - 1)[-1]
                self.assertEqual((entry["action"], entry["object"], entry["result"],
                                  entry["actor"]["user_id"]),
                                 ("credential.change", "userid/victim", code, actor.user_id))
        wrong = {"user_id": "victim", "password": "not the password at all"}
        self.refused("E_AUTH_FAILED", self.esignd.post, "/v1/signers/victim/password",
                     {"components": wrong, "password": "chosen by somebody else"})
        self.sign(person)

    @req("11.300(b)", "3.3")
    def test_must_change__by_one_officer__only_a_change_is_possible(self):
        person = self.esignd.enrol("noted")
        ticket = self.esignd.ticket(RECORD, "batch", "N-1", "1")
        self.refused("E_PROTO", self.esignd.post, "/v1/signers/noted/must-change",
                     {"components": self.esignd.officers[0].components}, field="reason")
        self.refused("E_AUTHZ", self.esignd.post, "/v1/signers/noted/must-change",
                     {"components": person.components, "reason": "I want to"})
        reply = self.must_change("noted")
        self.assertEqual(reply["credential"]["state"], "must_change")
        self.assertEqual(reply["credential"]["must_change"]["by"], "psato")
        self.refused("E_CRED_STATE", self.esignd.authorise, ticket, person, reason="must_change")
        wrong = Person("noted", "", "", "not my password at all")
        self.refused("E_AUTH_FAILED", self.esignd.authorise, ticket, wrong)
        reply = self.change(person, "a meadow full of poppies")
        self.assertEqual(reply["credential"]["state"], "active")
        self.assertNotIn("must_change", reply["credential"])
        self.esignd.authorise(ticket, person)
        history = self.esignd.get("/v1/signers/noted/history")["items"]
        demand = next(e for e in history if e["action"] == "credential.must_change")
        self.assertEqual(demand["reason"], "seen on a note at the terminal")
        self.assertEqual(demand["actor"]["user_id"], "psato")

    @req("3.3", "11.10(g)")
    def test_must_change__of_an_officer__acts_are_refused_until_changed(self):
        officer = self.esignd.enrol("third-officer", roles=("regadmin", "secofficer"))
        self.must_change("third-officer")
        self.refused("E_CRED_STATE", self.esignd.post, "/v1/signers/third-officer/must-change",
                     {"components": officer.components, "reason": "a try"}, reason="must_change")
        self.change(officer, "officer three has a new one")
        self.esignd.post("/v1/signers/third-officer/must-change",
                         {"components": officer.components, "reason": "of my own"})

    @req("3.3")
    def test_must_change__no_password_yet_or_revoked__refused(self):
        officer = self.esignd.officers[0].components
        self.esignd.two_officers("signer.enroll", {
            "user_id": "unborn", "printed_name": "Not Yet", "title": "Operator",
            "evidence": evidence("UNBORN01")})
        self.refused("E_SIGNER_STATE", self.esignd.post, "/v1/signers/unborn/must-change",
                     {"components": officer, "reason": "a try"}, reason="approved")
        self.refused("E_NOT_FOUND", self.esignd.post, "/v1/signers/nobody/must-change",
                     {"components": officer, "reason": "a try"})

    @req("11.300(b)", "0.1")
    def test_esign__credential_change_and_must_change__as_a_person_does(self):
        person = self.esignd.enrol("commander")
        officer = self.esignd.officers[0]
        self.esignd.esign("credential", "must-change", "commander", "--as", officer.user_id,
                          "--reason", "a drill", passwords=[officer.password])
        shown = self.esignd.esign("signer", "show", "commander").stdout.decode()
        self.assertIn("must_change", shown)
        done = self.esignd.esign("credential", "change", "--as", "commander", passwords=[
            person.password, "typed at the terminal now"])
        self.assertIn("active", done.stdout.decode())
        person.password = "typed at the terminal now"
        self.sign(person)

    @req("11.300(b)")
    def test_init__block_list__entered_with_its_hash(self):
        entry = next(e for e in self.esignd.entries() if e["action"] == "blocklist.enter")
        self.assertEqual(len(entry["new"]["sha256"]), 64)
        self.assertGreater(entry["new"]["words"], 100)


class Age(esigntest.Case):
    """A policy whose passwords are always about to expire."""

    @req("11.300(b)", "5.8")
    def test_age__near_its_end__warned(self):
        esignd = Instance()
        self.addCleanup(esignd.close)
        esignd.set_policy(password={"max_age_d": 10})
        esignd.ready()
        esignd.enrol("ageing")
        credential = esignd.get("/v1/signers/ageing")["credential"]
        self.assertEqual(credential["days_left"], 9)
        self.assertIn("9 days", credential["warning"])
        self.assertIn("9 days", esignd.esign("signer", "show", "ageing").stdout.decode())

    @req("11.300(b)", "5.8", "3.3")
    def test_age__over__only_a_change_is_possible(self):
        esignd = Instance()
        self.addCleanup(esignd.close)
        clock = Clock(esignd)
        esignd.set_policy(password={"max_age_d": 10})
        esignd.ready()
        person, old = esignd.enrol("aged"), esignd.enrol("never-changed")
        clock.advance(10 * DAY_S - 60)
        esignd.sign(person, RECORD, "batch", "A-1", "1")
        clock.advance(120)
        self.refused("E_CRED_STATE", esignd.sign, person, RECORD, "batch", "A-2", "1",
                reason="expired")
        self.assertEqual(esignd.get("/v1/signers/aged")["credential"]["state"], "expired")
        esignd.post("/v1/signers/aged/password", {
            "components": person.components, "password": "fresh as a morning in may"})
        person.password = "fresh as a morning in may"
        esignd.sign(person, RECORD, "batch", "A-2", "1")
        wrong = Person(old.user_id, "", "", "not my password at all")
        self.refused("E_AUTH_FAILED", esignd.sign, wrong, RECORD, "batch", "A-3", "1")

    @req("11.300(b)", "5.8")
    def test_age__none_and_no_reviews__init_refused(self):
        esignd = Instance()
        self.addCleanup(esignd.close)
        esignd.set_policy(password={"max_age_d": 0})
        esignd.launch("tokens")
        esignd.start()
        self.refused("E_POLICY", esignd.init, field="password.max_age_d")


if __name__ == "__main__":
    esigntest.main()
