"""Passwords, one-time secrets and PINs: in locked memory while they are needed, then nowhere.

Every request has a secret of its own, of which each piece is looked for, in several encodings.
"""
# build: release

import glob
import select
import time

import esigntest
from esigntest import Person, Refused, children_of, evidence, req, wait_for
from searched import (ADDRESSES, PIN_FILES, WRONG, Canary, Searched, copies, core_limit, framings,
                      head, is_closed, load_tests, send, signing, state_of, status_of)


class Requests(Searched):
    """What reaches the socket, in order or not."""

    def search_after(self, what, writes, canary, status):
        """The connection is open while it is looked for, as a caller may keep it."""
        connection = self.connection()
        send(connection, writes)
        got = status_of(connection)
        self.assertTrue(got == status or (status is None and got >= 400), (what, got))
        self.not_in(self.holders(), [canary], what + ", connection open")
        connection.close()

    @req("11.200(a)(2)", "11.300")
    def test_signing__cut_at_every_byte_of_the_password__no_copy(self):
        for at in range(-2, len(self.canary.text) + 3):
            body = signing(self.canary.text)
            place = body.index(self.canary.text.encode()) + at
            ways = framings(body, place)
            name = list(ways)[at % len(ways)]
            self.search_after("%s, cut at %d" % (name, at), ways[name], self.canary, 201)
        self.nowhere([self.canary], "the password")

    @req("11.200(a)(2)", "11.300")
    def test_signing__escaped_password__neither_form_is_left(self):
        body = signing(copies.escaped(self.canary.text))
        for name, writes in framings(body, body.index(b"\\u") + 40).items():
            self.search_after("escaped, " + name, writes, self.canary, 201)
        self.nowhere([self.canary], "the escaped password")

    @req("11.200(a)(2)", "11.300", "design 5")
    def test_request__something_is_wrong__no_copy(self):
        sent = []
        for what, build in WRONG.items():
            canary = Canary()
            body = build(canary)
            for name, writes in framings(body, body.index(canary.text.encode()) + 13).items():
                self.search_after("%s, %s" % (what, name), writes, canary, None)
            sent.append(canary)
        for what, text in ADDRESSES.items():
            canary = Canary()
            connection = self.connection()
            send(connection, [(text % canary.text).encode()])
            self.assertIsNotNone(status_of(connection))
            self.not_in(self.holders(), [canary], what)
            sent.append(canary)
        self.nowhere(sent, "refused requests")

    @req("11.200(a)(2)", "11.300")
    def test_signing__connection_kept__no_copy_between_requests(self):
        connection = self.connection()
        for more, status in (("", 201), (",,", 400), ("", 201)):
            body = signing(self.canary.text, more=more)
            send(connection, [head(len(body)) + body])
            self.assertEqual(status_of(connection), status)
            self.not_in(self.holders(), [self.canary], "a kept connection")

    @req("11.200(a)(2)", "11.300")
    def test_signing__half_of_the_password__held_locked_then_gone(self):
        body = signing(self.canary.text)
        half = body[:body.index(self.canary.text.encode()) + 20]
        esignd = self.esignd.pid("esignd")
        for what in ("closed by the caller", "cut by the deadline"):
            connection = self.connection()
            send(connection, [head(len(body)) + half])
            found = wait_for(lambda: copies.in_memory(esignd, [self.canary]), "half is held")
            self.assertTrue(all(copy.locked for copy in found), found)
            if what == "cut by the deadline":
                self.assertEqual(connection.recv(1), b"")
            connection.close()
            self.not_in(self.holders(), [self.canary], what)
        self.nowhere([self.canary], "half of a password")

    @req("11.200(a)(2)", "11.300")
    def test_signing__two_held_by_the_hasher__all_copies_are_locked(self):
        other = Canary()
        self.esignd.enrol("canary2", password=other.text)
        both = [self.canary, other]
        esignd, worker = self.esignd.pid("esignd"), self.esignd.workers("hash")[0]
        with self.stopped(worker):
            connections = self.begin(*both)
            self.assertGreater(copies.locked_kib(esignd), 0)
            self.assertEqual(self.outside_memory(both), [])
        for connection in connections:
            self.assertEqual(status_of(connection), 201 if connection is connections[0] else 401)
        self.nowhere(both, "two signings at once")

    @req("11.200(a)(2)", "11.300")
    def test_hash__while_it_works__its_copy_is_locked(self):
        worker = self.esignd.workers("hash")[0]
        found = wait_for(lambda: self.caught(worker), "esign-hash is stopped in its work")
        self.assertTrue(all(copy.locked for copy in found), found)
        self.nowhere([self.canary], "the hashed password")

    def caught(self, worker):
        """What esign-hash holds in the middle of a signing; nothing if it was too fast for us."""
        connection, body, found = self.connection(), signing(self.canary.text), []
        connection.sendall(head(len(body)) + body)
        while not found and not select.select([connection], [], [], 0)[0]:
            if state_of(worker) == "R":
                with self.stopped(worker):
                    wait_for(lambda: state_of(worker) in "Tt", "the worker is stopped")
                    found = copies.in_memory(worker, [self.canary])
                    self.assertTrue(not found or copies.locked_kib(worker) > 0)
        self.assertEqual(status_of(connection), 201)
        return found

    @req("11.200(a)(2)", "11.300", "11.300(c)")
    def test_password_life__from_enrolment_to_reset__no_copy(self):
        first, weak, second = Canary(), Canary("aaaabbbbcccc" * 3), Canary()
        person = Person("living", "Liv Ing", "Operator", first.text)
        halves = self.esignd.two_officers("signer.enroll", {
            "user_id": person.user_id, "printed_name": person.printed_name,
            "title": person.title, "roles": ["signer"], "evidence": evidence("CAN000001")})
        one_time = [Canary(halves["receipt"]), Canary(halves["secret"])]
        self.nowhere(one_time, "the halves of a one-time secret")
        self.esignd.activate(person, halves)
        self.nowhere([first, *one_time], "an activation")
        for new, code in ((weak, "E_PASSWORD_POLICY"), (second, None), (first, "E_AUTH_FAILED")):
            body = {"components": person.components, "password": new.text}
            if code:
                with self.assertRaises(Refused) as refused:
                    self.esignd.post("/v1/signers/living/password", body)
                self.assertEqual(refused.exception.code, code)
            else:
                self.esignd.post("/v1/signers/living/password", body)
        self.nowhere([first, weak, second], "a change of password")
        reset = self.esignd.two_officers("credential.reset", {"user_id": "living"})
        third, one_time = Canary(), [Canary(reset["receipt"]), Canary(reset["secret"])]
        self.nowhere(one_time, "the halves of a reset")
        self.esignd.post("/v1/signers/living/set-password", {
            "receipt": reset["receipt"], "secret": reset["secret"], "password": third.text})
        self.nowhere([third, *one_time, *self.officers], "a forgotten password")

    def sign_in(self, session, components):
        ticket = self.esignd.ticket(b"record", "batch", "S-%d" % time.monotonic_ns(), "1")
        return self.esignd.post("/v1/tickets/%s/authorise" % ticket["ticket"], {
            "nonce": ticket["nonce"], "presented_hash": ticket["record"]["hash"],
            "session": session, "components": components})

    @req("11.200(a)(1)(i)", "11.200(a)(2)", "11.300")
    def test_session__from_its_opening_to_its_end__no_copy_while_it_lives(self):
        session = self.esignd.open_session(self.signer)
        handle, wrong = Canary(session), Canary()
        kept = [self.canary, handle]
        self.nowhere(kept, "an open session")
        self.sign_in(session, self.signer.components)
        with self.stopped(self.esignd.workers("hash")[0]):  # what follows is compared in memory
            self.sign_in(session, {"password": self.canary.text})
            self.not_in([self.esignd.pid("esignd")], kept, "a subsequent signing")
            with self.assertRaises(Refused):
                self.sign_in(session, {"password": wrong.text})
            self.sign_in(session, {"password": self.canary.text})
        self.nowhere([*kept, wrong], "a session with signings")
        self.esignd.post("/v1/sessions/close", {"session": session})
        self.nowhere([*kept, wrong], "a session that has ended")

    @req("11.200(a)(2)", "11.300")
    def test_pin__of_every_token__only_where_the_service_manager_put_it(self):
        pins = []
        for path in glob.glob(self.esignd.root + PIN_FILES[0] + "*pin"):
            with open(path, encoding="ascii") as file:
                pins.append(Canary(file.read()))
        self.assertEqual(len(pins), 6)
        found = copies.in_files(self.esignd.root, pins)
        self.assertTrue(found)
        self.assertTrue(all(any(part in c.where for part in PIN_FILES) for c in found), found)
        self.nowhere(pins, "PINs")

    @req("11.300", "design 5")
    def test_processes__that_see_secrets__refuse_cores_and_other_eyes(self):
        secret = [name for name in self.services if name != "document"]
        mains = [self.esignd.pid(name) for name in secret]
        for pid in mains + [worker for main in mains for worker in children_of(main)]:
            self.assertTrue(is_closed(pid), pid)
            self.assertEqual(core_limit(pid), "0")


if __name__ == "__main__":
    esigntest.main()
