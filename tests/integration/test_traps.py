"""Hard questions of requirements 5 and clauses that no other file asks: one test each."""

import base64
import hashlib
import json
import unittest

import esigntest
from esigntest import Instance, Refused, req

# tier: quick

SHARED = "the same long password twice"


def envelope_of(signature):
    """The envelope inside the CMS object: the only JSON text that stands in it."""
    value = base64.b64decode(signature["value"])
    start = value.index(b'{"application":')
    return json.JSONDecoder().raw_decode(value[start:].decode("utf-8", "replace"))[0]


class Traps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("asmith", "A. Smith", password=SHARED)
        cls.other = cls.esignd.enrol("asmith2", "A. Smith", password=SHARED)

    def sign(self, content, record_id, **members):
        return self.esignd.sign(self.signer, content, "batch", record_id, "1", **members)

    def verdict(self, signature, content, record_id):
        return self.esignd.validate(signature, content, "batch", record_id, "1")

    @req("11.300(a)", "11.200(a)")
    def test_password__that_another_has__both_sign_no_hint(self):
        for person in (self.signer, self.other):
            signature = self.esignd.sign(person, b"shared", "batch", "P-" + person.user_id, "1")
            self.assertEqual(signature["signer"]["signer_id"], person.signer_id)

    @req("A11", "5.6")
    def test_entry__application_or_terminal__told_in_the_envelope(self):
        self.assertEqual(envelope_of(self.sign(b"typed in the application", "E-1"))["entry"], "app")
        ticket = self.esignd.ticket(b"typed at the terminal", "batch", "E-2", "1")
        signature = self.esignd.authorise(ticket, self.signer)
        self.assertEqual(envelope_of(signature)["entry"], "direct")

    @req("5.4", "11.50(a)(2)", "5.11")
    def test_time__from_the_client__refused_by_name(self):
        with self.assertRaises(Refused) as caught:
            self.sign(b"dated back", "T-1", time="2026-01-01T00:00:00Z")
        self.assertEqual(caught.exception.code, "E_PROTO")
        self.assertEqual(caught.exception.body["field"], "time")

    @req("5.4", "11.50(a)(2)")
    def test_time__in_the_envelope__utc_offset_zone_and_clock(self):
        envelope = envelope_of(self.sign(b"timed", "T-2"))
        self.assertRegex(envelope["time"]["utc"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertRegex(envelope["time"]["offset"], r"^[+-]\d\d:\d\d$")
        self.assertEqual(envelope["time"]["zone"], "Europe/Zurich")
        self.assertIn(envelope["clock"]["state"], ("synchronised", "unsynchronised"))

    @req("5.12", "5.24")
    def test_signer__no_call_deletes__revoked_stays_and_old_signatures_pass(self):
        person = self.esignd.enrol("leaver", "Lea Ver")
        signature = self.esignd.sign(person, b"before", "batch", "L-1", "1")
        connection = self.esignd.connection(self.esignd.terminal)
        self.addCleanup(connection.close)
        status, _ = connection.send_json("DELETE", "/v1/signers/leaver")
        self.assertIn(status, (400, 404, 405))
        self.esignd.post("/v1/signers/leaver/revoke", {
            "components": self.esignd.officers[0].components, "reason": "left the company"})
        self.assertEqual(self.esignd.get("/v1/signers/leaver")["state"], "revoked")
        verdict = self.esignd.validate(signature, b"before", "batch", "L-1", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)

    @req("5.15", "11.50(b)")
    def test_manifestation__same_name_twice__told_apart_by_user_id(self):
        blocks = []
        for person in (self.signer, self.other):
            signature = self.esignd.sign(person, b"who", "batch", "N-" + person.user_id, "1")
            self.assertIn("A. Smith", signature["manifestation"])
            self.assertRegex(signature["manifestation"], r"(?m)\b%s$" % person.user_id)
            blocks.append(signature["manifestation"].split("Meaning")[0])
        self.assertNotEqual(*blocks)

    @req("5.18", "11.70")
    def test_record__one_byte_appended__altered(self):
        signature = self.sign(b"exact bytes", "X-1")
        verdict = self.verdict(signature, b"exact bytes\n", "X-1")
        self.assertEqual((verdict["indication"], verdict["reason"]),
                         ("TOTAL_FAILED", "RECORD_ALTERED"))

    @req("5.19")
    def test_record__same_json_in_another_order__altered(self):
        signature = self.sign(b'{"a":1,"b":2}', "J-1")
        verdict = self.verdict(signature, b'{"b":2,"a":1}', "J-1")
        self.assertEqual(verdict["reason"], "RECORD_ALTERED")

    @req("5.37", "11.50(a)(3)")
    def test_meaning__in_the_envelope__hash_of_the_text_and_language(self):
        envelope = envelope_of(self.sign(b"meant", "M-1", meaning="reviewed"))
        meanings = self.esignd.get("/v1/meanings")["items"]
        text = next(m["text"] for m in meanings if m["code"] == "reviewed")
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.assertEqual(envelope["meaning"]["text_hash"], digest)
        self.assertEqual(envelope["meaning"]["language"], "en")

    @req("5.40")
    def test_verify__no_token_service_runs__still_passes(self):
        signature = self.sign(b"kept", "V-1")
        for name in ("signers", "ca", "log"):
            self.esignd.launch("stop", "token-" + name)
            self.addCleanup(self.esignd.launch, "start", "token-" + name)
        self.assertEqual(self.verdict(signature, b"kept", "V-1")["indication"], "TOTAL_PASSED")


if __name__ == "__main__":
    esigntest.main()
