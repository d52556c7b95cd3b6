"""Old rows that are put back into the store's file, rows that are deleted, and many long reads."""

import threading
import unittest

import esigntest
from esigntest import Instance, Refused, req

RECORD = b"the record that is signed here"
BEHIND = 300  # entries, so that the change is older than what is looked at in depth at the start


class Rows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)

    def row(self, signer):
        return self.esignd.sql("SELECT body, entry_seq FROM row WHERE kind = 'signer' AND id = ?",
                               signer.signer_id)[0]

    def revoke(self, signer):
        self.esignd.post("/v1/signers/%s/revoke" % signer.user_id, {
            "components": self.esignd.officers[0].components, "reason": "left the company"})

    def verdict(self, signature, name):
        reply = self.esignd.validate(signature, RECORD, "batch", name, "1")
        return reply["indication"], reply["reason"]

    @req("11.10(e)", "11.10(a)", "11.10(d)", "design 7")
    def test_row_put_back_or_deleted__not_believed(self):
        hal, ida = self.esignd.enrol("hal"), self.esignd.enrol("ida")
        signature = self.esignd.sign(ida, RECORD, "batch", "B-1", "1")
        before = self.row(hal)
        self.revoke(hal)
        for number in range(BEHIND):
            self.esignd.ticket(RECORD, "batch", "F-%d" % number, "1")
        self.esignd.stop()
        self.esignd.sql("UPDATE row SET body = ?, entry_seq = ? WHERE kind = 'signer' AND id = ?",
                        *before, hal.signer_id)
        self.esignd.sql("DELETE FROM row WHERE kind = 'signer' AND id = ?", ida.signer_id)
        self.esignd.start()
        for person in (hal, ida):
            with self.assertRaises(Refused) as refused:
                self.esignd.sign(person, RECORD, "batch", "B-2", "1")
            self.assertGreaterEqual(refused.exception.status, 400)
        with self.assertRaises(Refused) as refused:
            self.esignd.get("/v1/signers")
        self.assertEqual(refused.exception.reason, "tampered")
        self.assertEqual(self.verdict(signature, "B-1"), ("TOTAL_FAILED", "AUDIT_BROKEN"))
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "broken")

    @req("11.10(a)", "11.10(e)", "11.70")
    def test_signer_row_edited_while_running__a_verdict_and_no_refusal(self):
        kim = self.esignd.enrol("kim")
        signature = self.esignd.sign(kim, RECORD, "batch", "B-3", "1")
        body, seq = self.row(kim)
        self.esignd.sql("UPDATE row SET body = replace(body, 'Signer kim', 'Signer kix') "
                        "WHERE kind = 'signer' AND id = ?", kim.signer_id)
        self.assertEqual(self.verdict(signature, "B-3"), ("TOTAL_FAILED", "AUDIT_BROKEN"))
        self.esignd.sql("UPDATE row SET body = ?, entry_seq = ? WHERE kind = 'signer' AND id = ?",
                        body, seq, kim.signer_id)
        self.assertEqual(self.verdict(signature, "B-3"), ("TOTAL_PASSED", ""))

    @req("11.10(a)", "5.24")
    def test_revoked__signatures_before_it_stay_valid(self):
        lea = self.esignd.enrol("lea")
        signature = self.esignd.sign(lea, RECORD, "batch", "B-4", "1")
        self.revoke(lea)
        self.assertEqual(self.verdict(signature, "B-4"), ("TOTAL_PASSED", ""))



class Reads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)

    @req("design 2", "11.10(e)")
    def test_many_verifications__one_at_a_time_and_others_are_served(self):
        replies = []

        def verify():
            connection = self.esignd.connection(self.esignd.application)
            for _ in range(10):
                replies.append(connection.send_json("GET", "/v1/audit/verification"))
            connection.close()

        threads = [threading.Thread(target=verify) for _ in range(8)]
        for thread in threads:
            thread.start()
        for number in range(10):
            self.esignd.ticket(RECORD, "batch", "V-%d" % number, "1")
            self.esignd.get("/v1/meanings")
        for thread in threads:
            thread.join()
        self.assertEqual(len(replies), 80)
        self.assertTrue(any(status == 200 for status, _ in replies))
        for status, body in replies:
            if status == 200:
                self.assertEqual(body["result"], "ok")
            else:
                self.assertEqual((status, body["code"]), (503, "E_BUSY"))


if __name__ == "__main__":
    esigntest.main()
