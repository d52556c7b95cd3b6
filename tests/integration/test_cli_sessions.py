"""Several signings of one person: `esign approve T1 T2 …`, and the example of an application."""

# tier: quick

import os
import shutil
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Instance, req

RECORD = b"the record"
WRONG = "not the right password"


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe", "Jane Doe")
        cls.count = 0

    def tickets(self, count, **members):
        made = []
        for _ in range(count):
            Sessions.count += 1
            made.append(self.esignd.ticket(RECORD, "batch", "C-%d" % self.count, "1", **members))
        return [ticket["ticket"] for ticket in made]

    def ceremony(self, ticket):
        """Mode, ordinal and components in the envelope of a ticket's signature."""
        shown = self.esignd.get("/v1/tickets/" + ticket)
        self.assertEqual(shown["state"], "signed")
        signature = self.esignd.get("/v1/signatures/" + shown["signature"])
        envelope = self.esignd.validate(signature, RECORD)["facts"]["envelope"]
        return envelope["mode"], envelope["ordinal"], envelope["components"]

    def ends(self):
        return [e["new"]["end"] for e in self.esignd.entries() if e["action"] == "session.close"]

    @req("11.200(a)(1)(i)", "S4", "S5", "requirements 3.4")
    def test_approve__several__one_session_closed_at_the_end(self):
        tickets = self.tickets(3)
        before = self.ends()
        done = self.esignd.esign("approve", *tickets, "--as", "jdoe",
                                 passwords=[self.signer.password] * 3)
        self.assertIn(b"3 of 3 tickets signed\n", done.stdout)
        self.assertEqual([self.ceremony(ticket) for ticket in tickets],
                         [("first", 1, ["id", "password"]), ("subsequent", 2, ["password"]),
                          ("subsequent", 3, ["password"])])
        self.assertEqual(self.ends()[len(before):], ["closed"])

    @req("11.200(a)(1)(i)", "S6", "S7")
    def test_approve__wrong_password_for_the_second__only_the_first_is_signed(self):
        tickets = self.tickets(3)
        done = self.esignd.esign("approve", *tickets, "--as", "jdoe", check=False,
                                 passwords=[self.signer.password, WRONG, self.signer.password])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"E_AUTH_FAILED", done.stderr)
        self.assertEqual([self.esignd.get("/v1/tickets/" + ticket)["state"] for ticket in tickets],
                         ["signed", "ready", "ready"])
        self.esignd.esign("approve", tickets[1], "--as", "jdoe", passwords=[self.signer.password])

    @req("S1", "11.200(a)(1)(ii)")
    def test_approve__one_shot__each_on_its_own(self):
        tickets = self.tickets(2)
        self.esignd.esign("approve", "--one-shot", *tickets, "--as", "jdoe",
                          passwords=[self.signer.password] * 2)
        self.assertEqual([self.ceremony(ticket) for ticket in tickets],
                         [("one-shot", 1, ["id", "password"])] * 2)

    @req("3.6", "requirements 3.6")
    def test_sign__wrong_password__no_ticket_stays_open(self):
        path = os.path.join(self.esignd.root, "record.txt")
        with open(path, "wb") as file:
            file.write(RECORD)
        before = {ticket["ticket"] for ticket in self.esignd.get("/v1/tickets")["items"]}
        done = self.esignd.esign("sign", path, "--record", "batch:C-0:1", "--meaning", "approved",
                                 "--as", "jdoe", "-o", "/tmp/never.p7s", check=False,
                                 passwords=[WRONG])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cancelled is the ticket", done.stderr)
        made = [ticket for ticket in self.esignd.get("/v1/tickets")["items"]
                if ticket["ticket"] not in before]
        self.assertEqual([(ticket["state"], ticket["signer"]) for ticket in made],
                         [("cancelled", "jdoe")])

    @req("A1", "11.200(a)(2)")
    def test_approve__after_a_reset__signer_is_told_until_the_next_signing(self):
        person = self.esignd.enrol("forgot")
        reset = self.esignd.two_officers("credential.reset", {"user_id": "forgot"})
        self.esignd.post("/v1/signers/forgot/set-password", {
            "receipt": reset["receipt"], "secret": reset["secret"], "password": WRONG + " yet"})
        for told in (True, False):
            done = self.esignd.esign("approve", *self.tickets(2), "--as", person.user_id,
                                     passwords=[WRONG + " yet"] * 2)
            self.assertEqual(b"password reset" in done.stdout, told, done.stdout)
            self.assertEqual(b"mkeller,psato" in done.stdout, told, done.stdout)
            self.assertEqual(b"last signing" in done.stdout, not told, done.stdout)

    @req("11.200(a)(1)(i)", "design 5")
    def test_example__three_records__one_session_of_the_application(self):
        folder = tempfile.mkdtemp(prefix="esign-example-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        client = os.path.join(esigntest.BUILD, "client")
        for name in os.listdir(client):
            if name.startswith("libesign.so") or name == "esign_example_session":
                shutil.copy(os.path.join(client, name), folder)
        files = []
        for number in range(3):
            files.append(os.path.join(folder, "E-%d" % number))
            with open(files[-1], "wb") as file:
                file.write(RECORD)
        argv = self.esignd.application.argv() + [
            os.path.join(folder, "esign_example_session"), "jdoe", "approved", "line-4"]
        done = subprocess.run(argv + files, check=False, timeout=60, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              input=(self.signer.password + "\n").encode() * 3,
                              env={**os.environ, "ESIGN_SOCKET": self.esignd.socket,
                                   "LD_LIBRARY_PATH": folder})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count(b"Jane Doe"), 3, done.stdout)
        items = [self.esignd.get("/v1/signatures?record_type=example&record_id=E-%d" % number)
                 ["items"][0] for number in range(3)]
        self.assertEqual([self.ceremony(item["ticket"]) for item in items],
                         [("first", 1, ["id", "password"]), ("subsequent", 2, ["password"]),
                          ("subsequent", 3, ["password"])])


if __name__ == "__main__":
    esigntest.main()
