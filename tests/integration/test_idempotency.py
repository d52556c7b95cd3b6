"""Idempotency-Key: a request that is repeated makes no second signature, whatever was lost."""

import base64
import http.client
import json
import os
import signal
import threading
import unittest

import esigntest
from esigntest import Instance, Refused, ROOT, application_caller, req, wait_for

RECORD = b"what is signed once\n"
FAST = {"hash.memory_kib": "8192", "hash.iterations": "1", "request.deadline_ms": "3000"}


class Repeated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe")
        cls.other = cls.esignd.enrol("rroe", "Richard Roe")

    # requests

    def body(self, record_id, signer=None, **members):
        return {"record": self.esignd.record(RECORD, "batch", record_id, "1"),
                "meaning": "approved", "components": (signer or self.signer).components, **members}

    def sign(self, key, record_id, signer=None, caller=None, **members):
        return self.esignd.post("/v1/signatures", self.body(record_id, signer, **members),
                                caller=caller or self.esignd.application,
                                headers={"Idempotency-Key": key})

    def authorise(self, key, ticket, components=None, **members):
        return self.esignd.post("/v1/tickets/%s/authorise" % ticket["ticket"], {
            "components": components or self.signer.components, "nonce": ticket["nonce"],
            "presented_hash": ticket["record"]["hash"], **members},
            headers={"Idempotency-Key": key})

    def make_ticket(self, key, record_id, **members):
        return self.esignd.post("/v1/tickets", {
            "record": self.esignd.record(RECORD, "batch", record_id, "1"), "meaning": "approved",
            **members}, caller=self.esignd.application, headers={"Idempotency-Key": key})

    def send_only(self, key, record_id):
        """The request is sent whole; its reply is never read.  Returns the connection."""
        connection = self.esignd.connection(self.esignd.application)
        connection.request("POST", "/v1/signatures", json.dumps(self.body(record_id)).encode(), {
            "Content-Type": "application/json", "Idempotency-Key": key})
        return connection

    # what there is

    def refused(self, code, reason, call, *arguments, **named):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **named)
        self.assertEqual((caught.exception.code, caught.exception.reason), (code, reason),
                         caught.exception.body)
        return caught.exception.body

    def signatures(self, record_id):
        return self.esignd.get("/v1/signatures?record_type=batch&record_id=" + record_id)["items"]

    def size(self):
        return self.esignd.get("/v1/status")["audit"]["size"]

    def actions(self, size, *wanted):
        """Entries since a size, only of the wanted actions if there are any."""
        found = [e["action"] for e in self.esignd.entries(after=size - 1)]
        return [a for a in found if a in wanted] if wanted else found

    def hold_token(self):
        """Stop the token's worker, so that a signing stays between intent and outcome."""
        workers = wait_for(lambda: self.esignd.workers("token-signers"), "the token has workers")
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.let_go, workers)
        return workers

    @staticmethod
    def let_go(workers):
        for pid in workers:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # replaced meanwhile

    def in_thread(self, call, *arguments):
        """Run a request beside this one; returns the thread, whose .result is what it gave."""
        def run():
            try:
                thread.result = call(*arguments)
            except (Refused, OSError, http.client.HTTPException) as error:
                thread.result = error

        thread = threading.Thread(target=run)
        thread.result = None
        thread.start()
        self.addCleanup(thread.join)
        return thread

    # same key, same request

    @req("design 3", "3.6")
    def test_same_request__first_answer_and_nothing_new(self):
        first = self.sign("once-1", "ID-1")
        size = self.size()
        self.assertEqual(self.sign("once-1", "ID-1"), first)
        self.assertEqual(self.sign("once-1", "ID-1"), first)
        self.assertEqual(self.actions(size), [])
        self.assertEqual(len(self.signatures("ID-1")), 1)
        verdict = self.esignd.validate(first, RECORD, "batch", "ID-1", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)

    @req("design 3", "11.300(d)")
    def test_same_request_with_a_wrong_password__first_answer_and_no_try(self):
        ticket = self.make_ticket("wrong-ticket", "ID-2")
        first = self.authorise("wrong-1", ticket)
        size = self.size()
        wrong = {**self.signer.components, "password": "not the right password"}
        self.assertEqual(self.authorise("wrong-1", ticket, wrong), first)
        self.assertEqual(self.actions(size), [])

    @req("design 3", "11.200(a)(2)")
    def test_same_request_by_another_person__conflict(self):
        self.sign("person-1", "ID-3")
        size = self.size()
        self.refused("E_CONFLICT", "idempotency_key", self.sign, "person-1", "ID-3", self.other)
        self.assertEqual(self.actions(size), [])

    @req("design 3", "3.6")
    def test_same_request_after_a_restart__first_answer(self):
        first = self.sign("restart-1", "ID-4")
        ticket = self.make_ticket("restart-ticket", "ID-5")
        self.esignd.kill("esignd")
        self.assertEqual(self.sign("restart-1", "ID-4"), first)
        self.assertEqual(self.make_ticket("restart-ticket", "ID-5"), ticket)
        self.assertEqual(len(self.signatures("ID-4")), 1)

    @req("design 3", "3.6")
    def test_ticket__same_request__same_ticket_as_it_stands(self):
        size = self.size()
        first = self.make_ticket("ticket-1", "ID-6")
        self.assertEqual(self.make_ticket("ticket-1", "ID-6"), first)
        signature = self.authorise("ticket-1a", first)
        again = self.make_ticket("ticket-1", "ID-6")
        self.assertEqual((again["ticket"], again["state"], again["signature"]),
                         (first["ticket"], "signed", signature["signature"]))
        self.assertEqual(self.actions(size, "ticket.create"), ["ticket.create"])

    # same key, other request; other key, same ticket

    @req("design 3")
    def test_other_request__conflict_and_nothing_signed(self):
        first = self.sign("other-1", "ID-7")
        size = self.size()
        for call in ((self.sign, "other-1", "ID-8"),
                     (self.make_ticket, "other-1", "ID-7")):
            self.refused("E_CONFLICT", "idempotency_key", *call)
        self.refused("E_CONFLICT", "idempotency_key", self.sign, "other-1", "ID-7",
                     comment="added")
        self.assertEqual(self.actions(size), [])
        self.assertEqual(self.sign("other-1", "ID-7"), first)

    @req("design 3", "A7")
    def test_other_key_for_a_used_nonce__replay(self):
        ticket = self.make_ticket("nonce-ticket", "ID-9")
        first = self.authorise("nonce-1", ticket)
        self.refused("E_REPLAY", None, self.authorise, "nonce-2", ticket)
        self.assertEqual(self.authorise("nonce-1", ticket), first)

    @req("design 3", "5.6")
    def test_same_key_of_another_application__its_own(self):
        if not ROOT:
            self.skipTest("needs users")
        lims = application_caller(7)
        self.esignd.add_application("lims", lims.uid)
        first = self.sign("shared", "ID-10")
        theirs = self.sign("shared", "ID-11", caller=lims)
        self.assertNotEqual(theirs["signature"], first["signature"])
        at_terminal = self.esignd.post("/v1/tickets", {
            "record": self.esignd.record(RECORD, "batch", "ID-12", "1"), "meaning": "approved"},
            headers={"Idempotency-Key": "shared"})
        self.assertEqual(at_terminal["state"], "ready")
        self.assertEqual(self.sign("shared", "ID-11", caller=lims), theirs)
        self.assertEqual(self.sign("shared", "ID-10"), first)

    @req("design 3", "design 5")
    def test_key_malformed_or_where_none_is_kept__refused_by_name(self):
        ticket = self.make_ticket("k" * 128, "ID-13")
        for key in ("", "k" * 129, "a\tb"):
            body = self.refused("E_PROTO", None, self.make_ticket, key, "ID-13")
            self.assertEqual(body["field"], "Idempotency-Key")
        body = self.refused("E_PROTO", None, self.esignd.post,
                            "/v1/tickets/%s/cancel" % ticket["ticket"], {"reason": "no"},
                            caller=self.esignd.application, headers={"Idempotency-Key": "k"})
        self.assertEqual(body["field"], "Idempotency-Key")

    # while the first runs

    @req("design 3")
    def test_eight_at_once__one_signature_and_one_try(self):
        size, results, start = self.size(), [None] * 8, threading.Barrier(8)

        def run(number):
            start.wait()
            results[number] = self.sign("eight", "ID-14")

        threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([r == results[0] for r in results], [True] * 8, results)
        self.assertEqual(self.actions(size), ["attempt.reserve", "signature.intent",
                                              "signature.outcome"])
        self.assertEqual(len(self.signatures("ID-14")), 1)

    @req("design 3")
    def test_second_while_the_first_runs__waits_for_its_answer(self):
        workers, size = self.hold_token(), self.size()
        first = self.in_thread(self.sign, "wait-1", "ID-15")
        wait_for(lambda: self.actions(size, "signature.intent"), "the first has its intent")
        second = self.in_thread(self.sign, "wait-1", "ID-15")
        other = self.in_thread(self.make_ticket, "wait-2", "ID-15")
        other.join(esigntest.WAIT_S)  # other keys go on
        self.assertEqual(other.result["state"], "ready")
        self.assertTrue(first.is_alive() and second.is_alive())
        self.let_go(workers)
        first.join()
        second.join()
        self.assertIsInstance(first.result, dict, first.result)
        self.assertEqual(second.result, first.result)
        self.assertEqual(self.actions(size, "signature.intent"), ["signature.intent"])

    # in a session

    @req("design 3", "requirements 3.4")
    def test_in_a_session__ordinal_used_once_and_answered_after_its_end(self):
        session = self.esignd.open_session(self.signer)
        tickets = [self.make_ticket("series-t%d" % n, "ID-3%d" % n) for n in range(3)]
        password = {"password": self.signer.password}

        def sign(key, ticket, components, handle=session):
            return self.authorise(key, ticket, components, session=handle)

        sign("series-0", tickets[0], self.signer.components)
        second = sign("series-1", tickets[1], password)
        size = self.size()
        self.assertEqual(sign("series-1", tickets[1], password), second)
        self.assertEqual(sign("series-1", tickets[1], self.signer.components), second)
        self.assertEqual(self.actions(size), [])
        third = sign("series-2", tickets[2], password)
        self.assertEqual([self.ceremony(s) for s in (second, third)],
                         [("subsequent", 2), ("subsequent", 3)])
        other = self.esignd.open_session(self.other)  # ends the first: the place is the same
        self.assertEqual(sign("series-2", tickets[2], password), third)
        self.refused("E_CONFLICT", "idempotency_key", sign, "series-2", tickets[2],
                     {"password": self.other.password}, other)
        self.esignd.kill("esignd")
        self.assertEqual(sign("series-2", tickets[2], password), third)

    def ceremony(self, signature):
        envelope = self.esignd.validate(signature, RECORD)["facts"]["envelope"]
        return envelope["mode"], envelope["ordinal"]

    # what was lost

    @req("design 3", "3.6", "A7")
    def test_reply_lost__first_answer(self):
        workers, size = self.hold_token(), self.size()
        connection = self.send_only("lost-1", "ID-16")
        wait_for(lambda: self.actions(size, "signature.intent"), "there is an intent")
        connection.close()
        self.let_go(workers)
        again = self.sign("lost-1", "ID-16")
        self.assertEqual([s["signature"] for s in self.signatures("ID-16")], [again["signature"]])
        self.assertEqual(self.actions(size, "signature.intent", "signature.outcome"),
                         ["signature.intent", "signature.outcome"])

    @req("design 3", "3.6")
    def test_reply_lost_and_esignd_killed__first_answer(self):
        size = self.size()
        connection = self.send_only("lost-2", "ID-17")
        wait_for(lambda: self.actions(size, "signature.outcome"), "it is signed")
        signed = self.signatures("ID-17")
        self.esignd.kill("esignd")
        connection.close()
        self.assertEqual(self.sign("lost-2", "ID-17"), self.esignd.get(
            "/v1/signatures/" + signed[0]["signature"]))
        self.assertEqual(len(self.signatures("ID-17")), 1)

    @req("design 3", "3.6")
    def test_killed_between_intent_and_outcome__repeated_signs_once(self):
        workers, size = self.hold_token(), self.size()
        first = self.in_thread(self.sign, "killed-1", "ID-18")
        wait_for(lambda: self.actions(size, "signature.intent"), "there is an intent")
        self.esignd.kill("esignd")
        self.let_go(workers)
        first.join()
        self.assertNotIsInstance(first.result, dict)
        self.assertEqual(self.signatures("ID-18"), [])
        self.refused("E_CONFLICT", "idempotency_key", self.sign, "killed-1", "ID-19")
        again = self.sign("killed-1", "ID-18")
        self.assertEqual(self.sign("killed-1", "ID-18"), again)
        self.assertEqual([s["signature"] for s in self.signatures("ID-18")], [again["signature"]])
        self.assertEqual(self.actions(size, "signature.intent", "signature.outcome",
                                      "signature.aborted"),
                         ["signature.intent", "signature.aborted", "signature.intent",
                          "signature.outcome"])

    # what ended without a signature

    @req("design 3", "11.300(d)")
    def test_refused_before_the_intent__binds_nothing(self):
        body = self.body("ID-20")
        body["components"] = {**body["components"], "password": "not the right password"}
        self.refused("E_AUTH_FAILED", None, self.esignd.post, "/v1/signatures", body,
                     caller=self.esignd.application, headers={"Idempotency-Key": "wrong-first"})
        done = self.sign("wrong-first", "ID-21")  # even for another request
        self.assertEqual(base64.b64decode(done["value"])[:1], b"0")

    @req("design 3", "5.21")
    def test_token_failed__repeated_signs_once(self):
        workers, size = self.hold_token(), self.size()
        with self.assertRaises(Refused) as caught:
            self.sign("token-1", "ID-22")
        self.assertIn(caught.exception.code, ("E_HSM", "E_DEADLINE"))
        self.let_go(workers)
        again = self.sign("token-1", "ID-22")
        self.assertEqual(self.sign("token-1", "ID-22"), again)
        self.assertEqual([s["signature"] for s in self.signatures("ID-22")], [again["signature"]])
        self.assertEqual(self.actions(size, "signature.aborted", "signature.outcome"),
                         ["signature.aborted", "signature.outcome"])

    @req("design 3", "11.10(e)")
    def test_trail_and_rows__sound_afterwards(self):
        self.sign("sound-1", "ID-23")
        self.esignd.kill("esignd")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")


if __name__ == "__main__":
    esigntest.main()
