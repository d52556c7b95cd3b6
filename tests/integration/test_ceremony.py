"""The ceremony through the socket: tickets, components, rights, envelope and manifestation."""

# tier: quick

import base64
import hashlib
import json

import esigntest
from esigntest import Instance, Refused, ROOT, req

RECORD = b"<BatchProductionRecord><ID>B-2026-114</ID></BatchProductionRecord>\n"
ENVELOPE = {"application", "audit_head", "clock", "components", "custody", "daemon", "entry",
            "format", "key", "meaning", "mode", "ordinal", "plan", "policy", "previous", "record",
            "role", "session", "signature_id", "signer", "statement", "system", "system_class",
            "terminal", "ticket", "time"}


class Ceremony(esigntest.Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe", "Production manager")
        cls.rsa = cls.esignd.enrol("rrsa", "Rita Rsa", algorithm="rsa3072")

    def entries_since(self, size):
        return self.esignd.entries(after=size - 1)

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    @req("11.200(a)(1)", "11.200(a)(1)(ii)", "S1", "11.3(b)(7)", "design 3")
    def test_direct__ticket_and_approval__signature_with_intent_and_outcome(self):
        size = self.size()
        ticket = self.esignd.ticket(RECORD, "batch", "B-1", "1")
        self.assertEqual(ticket["state"], "ready")
        self.assertEqual(ticket["record"]["hash"], hashlib.sha256(RECORD).hexdigest())
        self.assertTrue(ticket["meaning"]["text"])
        signature = self.esignd.authorise(ticket, self.signer)
        self.assertEqual(signature["state"], "signed")
        actions = [e["action"] for e in self.entries_since(size)]
        self.assertEqual(actions, ["ticket.create", "attempt.reserve", "signature.intent",
                                   "signature.outcome"])
        outcome = self.entries_since(size)[-1]
        self.assertEqual(outcome["seq"], signature["entry"]["seq"])
        self.assertEqual(outcome["new"]["cms_sha256"],
                         hashlib.sha256(base64.b64decode(signature["value"])).hexdigest())
        shown = self.esignd.get("/v1/tickets/" + ticket["ticket"])
        self.assertEqual((shown["state"], shown["signature"]), ("signed", signature["signature"]))

    @req("11.50(a)", "11.50(a)(1)", "11.50(a)(2)", "11.50(a)(3)", "11.50(b)", "11.70", "3.1")
    def test_envelope__every_member__as_the_ceremony_was(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-2", "3", comment="second shift")
        signature = self.esignd.authorise(ticket, self.signer)
        verdict = self.esignd.validate(signature, RECORD, "batch", "B-2", "3")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        envelope = verdict["facts"]["envelope"]
        self.assertEqual(set(envelope), ENVELOPE | {"comment"})
        self.assertEqual(envelope["record"], {
            "type": "batch", "id": "B-2", "version": "3", "media_type": "application/octet-stream",
            "length": len(RECORD), "hash_algorithm": "sha-256",
            "hash": hashlib.sha256(RECORD).hexdigest(), "digest_only": False})
        self.assertEqual(envelope["signer"], {
            "printed_name": "Jane Doe", "user_id": "jdoe", "title": "Production manager",
            "signer_id": self.signer.signer_id})
        self.assertEqual(envelope["components"], ["id", "password"])
        self.assertEqual((envelope["mode"], envelope["entry"]), ("one-shot", "direct"))
        self.assertEqual(envelope["terminal"], {"assurance": "proved", "id": "trial-terminal"})
        self.assertEqual(envelope["meaning"]["text_hash"],
                         hashlib.sha256(envelope["meaning"]["text"].encode()).hexdigest())
        self.assertEqual(envelope["comment"], "second shift")
        for text in ("Jane Doe", "jdoe", "Production manager", "batch B-2 version 3",
                     envelope["meaning"]["text"], envelope["time"]["utc"], signature["signature"]):
            self.assertIn(text, signature["manifestation"])

    @req("11.30", "design 6")
    def test_rsa3072__signed_and_valid(self):
        signature = self.esignd.authorise(self.esignd.ticket(RECORD, "batch", "B-3", "1"), self.rsa)
        verdict = self.esignd.validate(signature, RECORD, "batch", "B-3", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED")

    @req("design 5", "5.6")
    def test_one_call__by_an_application__marked_as_entered_there(self):
        signature = self.esignd.sign(self.signer, RECORD, "batch", "B-4", "1")
        envelope = self.esignd.validate(signature, RECORD)["facts"]["envelope"]
        if ROOT:
            self.assertEqual((envelope["entry"], envelope["application"]), ("app", "mes"))
            self.assertEqual(envelope["terminal"], {"assurance": "declared", "id": ""})
        else:
            self.assertEqual((envelope["entry"], envelope["application"]), ("direct", ""))
        ticket = self.esignd.get("/v1/tickets/" + signature["ticket"])
        self.assertEqual(ticket["state"], "signed")

    @req("11.200(a)(1)", "11.300(d)")
    def test_authorise__wrong_password_or_unknown_code__one_answer_and_nothing_signed(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-5", "1")
        size = self.size()
        body = {"nonce": ticket["nonce"], "presented_hash": ticket["record"]["hash"]}
        path = "/v1/tickets/%s/authorise" % ticket["ticket"]
        wrong = self.refused("E_AUTH_FAILED", self.esignd.post, path, {
            **body, "components": {"user_id": "jdoe", "password": "not the right password"}})
        unknown = self.refused("E_AUTH_FAILED", self.esignd.post, path, {
            **body, "components": {"user_id": "nobody", "password": "not the right password"}})
        self.assertEqual(wrong, unknown)
        entries = self.entries_since(size)
        self.assertEqual([e["result"] for e in entries if e["action"] == "attempt.failed"],
                         ["E_AUTH_FAILED", "E_AUTH_FAILED"])
        self.assertNotIn("nobody", json.dumps(entries))
        self.assertNotIn("not the right password", json.dumps(entries))
        self.esignd.authorise(ticket, self.signer)

    @req("11.200(a)(1)", "S2")
    def test_authorise__a_component_missing__refused(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-6", "1")
        path = "/v1/tickets/%s/authorise" % ticket["ticket"]
        body = {"nonce": ticket["nonce"], "presented_hash": ticket["record"]["hash"]}
        for components in (None, {"user_id": "jdoe"}, {"password": self.signer.password}):
            whole = dict(body) if components is None else {**body, "components": components}
            self.refused("E_COMPONENTS_REQUIRED", self.esignd.post, path, whole)

    @req("A7", "3.6")
    def test_authorise__twice_or_with_another_nonce__replay(self):
        first = self.esignd.ticket(RECORD, "batch", "B-7", "1")
        other = self.esignd.ticket(RECORD, "batch", "B-8", "1")
        size = self.size()
        self.refused("E_REPLAY", self.esignd.authorise, {**first, "nonce": other["nonce"]},
                     self.signer)
        self.esignd.authorise(first, self.signer)
        self.refused("E_REPLAY", self.esignd.authorise, first, self.signer)
        alerts = [e["alert"] for e in self.entries_since(size) if "alert" in e]
        self.assertEqual(alerts, ["replay", "replay"])

    @req("A8", "5.20")
    def test_authorise__other_hash_than_presented__refused(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-9", "1")
        ticket["record"]["hash"] = hashlib.sha256(b"swapped").hexdigest()
        size = self.size()
        self.refused("E_RECORD_MISMATCH", self.esignd.authorise, ticket, self.signer)
        entry = self.entries_since(size)[-1]
        self.assertEqual((entry["action"], entry["alert"]), ("signature.refused", "record-swap"))

    @req("11.10(g)")
    def test_authorise__ticket_for_another_signer__refused(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-10", "1", signer="rrsa")
        self.refused("E_AUTHZ", self.esignd.authorise, ticket, self.signer)
        self.esignd.authorise(ticket, self.rsa)

    @req("3.6")
    def test_ticket__for_nobody_or_one_who_left__refused(self):
        self.refused("E_NOT_FOUND", self.esignd.ticket, RECORD, "batch", "B-34", "1",
                     signer="nobody", field="signer")
        self.refused("E_AUTHZ", self.esignd.ticket, RECORD, "batch", "B-34", "1",
                     signer=self.esignd.officers[0].user_id, field="signer")
        self.esignd.enrol("gone")
        self.esignd.post("/v1/signers/gone/revoke", {
            "components": self.esignd.officers[1].components, "reason": "left"})
        self.refused("E_SIGNER_STATE", self.esignd.ticket, RECORD, "batch", "B-34", "1",
                     signer="gone", reason="revoked")

    @req("3.6", "11.10(e)")
    def test_ticket__declined_by_another_signer__refused_and_entered(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-35", "1", signer="rrsa")
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets/%s/decline" % ticket["ticket"], {
            "components": self.signer.components, "reason": "not mine"})
        entry = [e for e in self.esignd.entries() if e["action"] == "ticket.refused"][-1]
        self.assertEqual((entry["object"], entry["result"], entry["actor"]["user_id"]),
                         ("ticket/" + ticket["ticket"], "E_AUTHZ", "jdoe"))

    @req("3.6", "5.32")
    def test_ticket__declined__kept_with_person_and_reason(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-33", "1")
        path, reason = "/v1/tickets/%s/decline" % ticket["ticket"], "page 3 is missing"
        for components in ({"user_id": "jdoe"}, {"password": self.signer.password}):
            self.refused("E_COMPONENTS_REQUIRED", self.esignd.post, path,
                         {"components": components, "reason": reason})
        self.refused("E_PROTO", self.esignd.post, path, {"components": self.signer.components},
                     field="reason")
        self.esignd.post(path, {"components": self.signer.components, "reason": reason})
        entry = [e for e in self.esignd.entries() if e["action"] == "ticket.declined"][-1]
        self.assertEqual((entry["actor"]["user_id"], entry["reason"], entry["object"]),
                         ("jdoe", reason, "ticket/" + ticket["ticket"]))

    @req("3.6")
    def test_ticket__declined_or_cancelled__cannot_be_signed(self):
        ticket = self.esignd.ticket(RECORD, "batch", "B-11", "1")
        declined = self.esignd.post("/v1/tickets/%s/decline" % ticket["ticket"], {
            "components": self.signer.components, "reason": "page 3 is missing"})
        self.assertEqual(declined["state"], "declined")
        self.refused("E_CONFLICT", self.esignd.authorise, ticket, self.signer, reason="declined")
        ticket = self.esignd.ticket(RECORD, "batch", "B-12", "1")
        cancelled = self.esignd.post("/v1/tickets/%s/cancel" % ticket["ticket"],
                                     {"reason": "wrong batch"}, caller=self.esignd.application)
        self.assertEqual(cancelled["state"], "cancelled")
        self.refused("E_CONFLICT", self.esignd.authorise, ticket, self.signer, reason="cancelled")

    @req("11.50(a)(3)", "11.10(f)")
    def test_ticket__meaning_or_plan_not_in_the_catalogue__refused(self):
        make = self.esignd.ticket
        self.refused("E_MEANING", make, RECORD, "batch", "B-13", "1", meaning="blessed",
                     reason="unknown")
        self.refused("E_SEQUENCE", make, RECORD, "batch", "B-13", "1", plan="double", field="plan")
        ticket = make(RECORD, "batch", "B-13", "1", meaning="rejected")
        self.refused("E_REASON_REQUIRED", self.esignd.authorise, ticket, self.signer)
        ticket = make(RECORD, "batch", "B-13", "1", meaning="rejected", reason="yield out of range")
        signature = self.esignd.authorise(ticket, self.signer)
        self.assertIn("yield out of range", signature["manifestation"])

    @req("11.50(a)(2)", "5.11")
    def test_ticket__time_from_the_client_or_any_unknown_member__refused_by_name(self):
        self.refused("E_PROTO", self.esignd.ticket, RECORD, "batch", "B-14", "1",
                     time="2026-01-01T00:00:00Z", field="time")

    @req("11.70", "3.1")
    def test_ticket__record_reference_not_whole__refused_by_name(self):
        whole = self.esignd.record(RECORD, "batch", "B-15", "1")
        for name in ("type", "id", "version", "media_type"):
            part = {k: v for k, v in whole.items() if k != name}
            self.refused("E_PROTO", self.esignd.post, "/v1/tickets",
                         {"record": part, "meaning": "approved"}, field="record." + name)
        for value in ("", "a\nb", "a\u202eb", " x"):
            self.refused("E_PROTO", self.esignd.post, "/v1/tickets",
                         {"record": {**whole, "id": value}, "meaning": "approved"},
                         field="record.id")
        self.refused("E_PROTO", self.esignd.post, "/v1/tickets",
                     {"record": {**whole, "content": "not base64!"}, "meaning": "approved"},
                     field="record.content")

    @req("11.70", "11.3(b)(6)")
    def test_ticket__bytes_of_any_kind__signed_as_they_are(self):
        for number, content in enumerate((b"", b"\0", b"\0" * 4096, bytes(range(256)) * 3900)):
            ticket = self.esignd.ticket(content, "raw", "R-%d" % number, "1")
            signature = self.esignd.authorise(ticket, self.signer)
            verdict = self.esignd.validate(signature, content, "raw", "R-%d" % number, "1")
            self.assertEqual(verdict["indication"], "TOTAL_PASSED")
        self.refused("E_TOO_LARGE", self.esignd.ticket, b"x" * (1024 * 1024 + 1), "raw", "R-9", "1")

    @req("11.70", "11.10(g)", "7 decision 7")
    def test_digest_only__is_a_right_and_marked(self):
        digest = hashlib.sha256(RECORD).hexdigest()
        record = {"type": "batch", "id": "B-16", "version": "1", "media_type": "text/xml",
                  "sha256": digest, "length": len(RECORD)}
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets",
                     {"record": record, "meaning": "approved"},
                     caller=self.esignd.application, reason="digest_only")
        lims = esigntest.application_caller(1)
        self.esignd.add_application("lims", lims.uid,
                                    ("ticket", "entry_app", "digest_only", "verify"))
        signature = self.esignd.post("/v1/signatures", {
            "record": record, "meaning": "approved",
            "components": self.signer.components}, caller=lims)
        verdict = self.esignd.validate(signature, RECORD, "batch", "B-16", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED")
        self.assertTrue(verdict["facts"]["envelope"]["record"]["digest_only"])
        self.assertIn("signed by its hash only", signature["manifestation"])

    @req("11.10(g)", "5.6")
    def test_application__without_the_right__refused(self):
        viewer = esigntest.application_caller(2)
        self.esignd.add_application("viewer", viewer.uid, ("ticket", "verify"))
        body = {"record": self.esignd.record(RECORD, "batch", "B-17", "1"),
                "meaning": "approved"}
        self.refused("E_AUTHZ", self.esignd.post, "/v1/signatures",
                     {**body, "components": self.signer.components}, caller=viewer,
                     reason="entry_app")
        ticket = self.esignd.post("/v1/tickets", body, caller=viewer)
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets/%s/authorise" % ticket["ticket"], {
            "components": self.signer.components, "nonce": ticket["nonce"],
            "presented_hash": ticket["record"]["hash"]}, caller=viewer, reason="entry_app")
        self.refused("E_AUTHZ", self.esignd.get, "/v1/audit/entries", caller=viewer, reason="read")
        self.assertEqual(self.esignd.get("/v1/signatures", caller=viewer)["items"], [])
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets/%s/decline" % ticket["ticket"], {
            "components": self.signer.components, "reason": "no right"}, caller=viewer,
            reason="entry_app")
        self.refused("E_TERMINAL", self.esignd.get, "/v1/approvals", caller=viewer)
        mine = self.esignd.ticket(RECORD, "batch", "B-18", "1")
        self.refused("E_AUTHZ", self.esignd.get, "/v1/tickets/" + mine["ticket"], caller=viewer)
        seen = self.esignd.get("/v1/tickets?limit=200", caller=viewer)["items"]
        self.assertEqual([t["ticket"] for t in seen], [ticket["ticket"]])
        for state in ("ready", "signed", "cancelled", "declined"):
            found = self.esignd.get("/v1/tickets?limit=3&state=" + state)
            self.assertEqual({t["state"] for t in found["items"]} - {state}, set())
        self.refused("E_AUTHZ", self.esignd.post, "/v1/tickets/%s/cancel" % mine["ticket"],
                     {"reason": "not mine"}, caller=viewer)

    @req("11.10(b)", "design 5")
    def test_signatures__by_record_and_by_signer__found(self):
        one = self.esignd.sign(self.signer, RECORD, "batch", "B 20/1", "1")
        two = self.esignd.sign(self.rsa, RECORD, "batch", "B 20/1", "2")
        found = self.esignd.get("/v1/signatures?record_type=batch&record_id=B%2020%2F1")
        found = found["items"]
        self.assertEqual({s["signature"] for s in found}, {one["signature"], two["signature"]})
        mine = self.esignd.get("/v1/signatures?signer=rrsa&limit=200")["items"]
        self.assertIn(two["signature"], {s["signature"] for s in mine})
        self.assertNotIn(one["signature"], {s["signature"] for s in mine})
        again = self.esignd.get("/v1/signatures/" + one["signature"])
        self.assertEqual(again["value"], one["value"])
        self.refused("E_NOT_FOUND", self.esignd.get, "/v1/signatures/G-none")

    @req("11.10(e)")
    def test_audit_entries__the_newest__in_order_of_the_trail(self):
        signature = self.esignd.sign(self.signer, RECORD, "batch", "B-21", "1")
        items = self.esignd.get("/v1/audit/entries?last=2")["items"]
        self.assertEqual([(e["action"], e["object"]) for e in items],
                         [(action, "signature/" + signature["signature"])
                          for action in ("signature.intent", "signature.outcome")])
        every = self.esignd.get("/v1/audit/entries?last=1000")["items"]
        self.assertEqual((every[0]["seq"], every[-1]), (0, items[-1]))
        self.refused("E_PROTO", self.esignd.get, "/v1/audit/entries?last=2&after=1", field="last")

    @req("design 5", "11.10(c)")
    def test_requests__unknown_path_or_method__problem_json(self):
        self.refused("E_NOT_FOUND", self.esignd.get, "/v1/nothing")
        for path in ("/v1/signatures", "/v1/audit/entries"):
            with self.assertRaises(Refused) as caught:
                self.esignd.ask("DELETE", path)
            self.assertEqual(caught.exception.code, "E_UNSUPPORTED")


if __name__ == "__main__":
    esigntest.main()
