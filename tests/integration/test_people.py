"""Signers and officers: evidence first, two persons, revoke at once."""


import esigntest
from esigntest import Instance, Person, Refused, evidence, req

RECORD = b"record"


class People(esigntest.Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)

    def params(self, user_id, number, **members):
        return {"user_id": user_id, "printed_name": "Person " + user_id, "title": "Operator",
                "evidence": evidence(number), **members}

    @req("11.100(b)", "A2", "3.2")
    def test_enroll__before_the_second_officer__nothing_can_be_issued(self):
        asked = self.esignd.request_approval("signer.enroll", self.params("early", "EARLY001"))
        self.assertEqual(self.esignd.get("/v1/signers/early")["state"], "proofed")
        body = {"receipt": asked["receipt"], "secret": "aaaa-bbbb-cccc-dddd-eeee",
                "password": esigntest.PASSWORD,
                "accept_statement": {"code": "accountability", "version": 1}}
        self.refused("E_SIGNER_STATE", self.esignd.post, "/v1/signers/early/activate", body,
                     reason="draft")
        self.refused("E_DUAL_SELF", self.esignd.approve, asked["approval"], officer=0)
        self.assertEqual(self.esignd.get("/v1/signers/early")["state"], "proofed")
        done = self.esignd.approve(asked["approval"])
        self.assertEqual(self.esignd.get("/v1/signers/early")["state"], "approved")
        self.refused("E_CONFLICT", self.esignd.approve, asked["approval"])
        shown = self.esignd.get("/v1/signers/early")
        self.assertNotIn("EARLY001", str(shown))
        self.assertNotIn("number_hash", str(shown))
        self.assertNotIn("certificate", shown)
        body["secret"] = done["secret"]
        active = self.esignd.post("/v1/signers/early/activate", body)["signer"]
        self.assertEqual((active["state"], active["custody"]), ("active", "K1"))
        self.assertIn("BEGIN CERTIFICATE", self.esignd.get("/v1/signers/early")["certificate"])

    @req("11.200(a)(3)", "11.300(c)", "A1")
    def test_activate__one_half_is_not_enough_and_works_once(self):
        done = self.esignd.two_officers("signer.enroll", self.params("halves", "HALF0001"))
        body = {"receipt": done["receipt"], "secret": done["secret"],
                "password": esigntest.PASSWORD,
                "accept_statement": {"code": "accountability", "version": 1}}
        path = "/v1/signers/halves/activate"
        self.refused("E_AUTH_FAILED", self.esignd.post, path, {**body, "receipt": done["secret"]})
        self.refused("E_AUTH_FAILED", self.esignd.post, path, {**body, "secret": done["receipt"]})
        self.refused("E_PASSWORD_POLICY", self.esignd.post, path, {**body, "password": "too short"},
                     reason="short")
        self.refused("E_SIGNER_STATE", self.esignd.post, path,
                     {**body, "accept_statement": {"code": "accountability", "version": 2}},
                     reason="statement_pending")
        self.esignd.post(path, body)
        self.refused("E_SIGNER_STATE", self.esignd.post, path, body, reason="active")

    @req("11.100(a)", "3.2")
    def test_enroll__id_or_evidence_used_before__refused_for_ever(self):
        person = self.esignd.enrol("once")
        for user_id in ("once", "ONCE", "oNcE"):
            self.refused("E_ID_USED", self.esignd.request_approval, "signer.enroll",
                         self.params(user_id, "ONCE0009"))
        self.esignd.post("/v1/signers/once/revoke", {
            "components": self.esignd.officers[0].components, "reason": "left the company"})
        self.refused("E_ID_USED", self.esignd.request_approval, "signer.enroll",
                     self.params("once", "ONCE0010"))
        self.refused("E_ID_USED", self.esignd.request_approval, "signer.enroll",
                     self.params("twice", "SIG%06d" % self.esignd.enrolled))
        self.assertTrue(person.signer_id)

    @req("11.50(a)(1)", "5.38")
    def test_enroll__name_that_is_no_name__refused_by_member(self):
        for member, value in (("printed_name", ""), ("printed_name", "bad"),
                              ("printed_name", "a\u202eb"),
                              ("user_id", "b d"), ("user_id", "-bad"), ("title", "x\ny")):
            with self.subTest(member=member, value=value):
                self.refused("E_PROTO", self.esignd.request_approval, "signer.enroll",
                             {**self.params("bad", "BAD00001"), member: value}, field=member)

    @req("11.10(g)", "0.1")
    def test_officers__a_signer_without_the_role__refused_and_entered(self):
        signer = self.esignd.enrol("plain")
        before = self.esignd.get("/v1/status")["audit"]["size"]
        self.refused("E_AUTHZ", self.esignd.post, "/v1/approvals", {
            "components": signer.components, "action": "signer.enroll", "reason": "I want to",
            "params": self.params("friend", "FRIEND01")}, reason="regadmin")
        self.assertIn("role.refused", [e["action"] for e in self.esignd.entries(after=before - 1)])
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets/%s/authorise" %
                     self.esignd.ticket(RECORD, "batch", "O-1", "1")["ticket"],
                     {"components": self.esignd.officers[0].components, "nonce": "00" * 16,
                      "presented_hash": "00" * 32})

    @req("11.10(g)", "5.24", "3.2", "11.300(c)")
    def test_revoke__at_once__signing_refused_and_earlier_signatures_still_valid(self):
        signer = self.esignd.enrol("leaver")
        before = self.esignd.sign(signer, RECORD, "batch", "L-1", "1")
        ticket = self.esignd.ticket(RECORD, "batch", "L-2", "1")
        self.refused("E_PROTO", self.esignd.post, "/v1/signers/leaver/revoke",
                     {"components": self.esignd.officers[1].components}, field="reason")
        revoked = self.esignd.post("/v1/signers/leaver/revoke", {
            "components": self.esignd.officers[1].components, "reason": "left the company"})
        self.assertEqual(revoked["state"], "revoked")
        self.refused("E_SIGNER_STATE", self.esignd.authorise, ticket, signer, reason="revoked")
        self.assertEqual(self.esignd.validate(before, RECORD, "batch", "L-1", "1")["indication"],
                         "TOTAL_PASSED")
        history = self.esignd.get("/v1/signers/leaver/history")["items"]
        self.assertEqual([e["action"] for e in history if e["action"] == "signer.revoke"],
                         ["signer.revoke"])
        self.assertEqual([e["reason"] for e in history if e["action"] == "signer.revoke"],
                         ["left the company"])

    @req("11.10(k)(2)", "3.1", "11.10(j)")
    def test_init__policy_meanings_statement_and_plan__entered_in_the_trail(self):
        actions = [e["action"] for e in self.esignd.entries()[:40]]
        for action in ("policy.enter", "statement.enter", "meaning.enter", "plan.enter",
                       "officer.enroll", "site.init"):
            self.assertIn(action, actions)
        entered = next(e for e in self.esignd.entries() if e["action"] == "policy.enter")
        self.assertEqual(entered["new"]["version"], 1)

    @req("5.10", "11.200(a)(3)")
    def test_init__again__refused(self):
        self.refused("E_CONFLICT", self.esignd.init)

    @req("11.100(c)(2)", "11.10(c)")
    def test_signers__delete__not_offered(self):
        with self.assertRaises(Refused) as caught:
            self.esignd.ask("DELETE", "/v1/signers/plain")
        self.assertEqual(caught.exception.code, "E_UNSUPPORTED")


if __name__ == "__main__":
    esigntest.main()
