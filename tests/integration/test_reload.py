"""SIGHUP: a sound file is in force without a lost request, any other changes nothing."""

import http.client
import os
import re
import threading
import unittest

import esigntest
from esigntest import Instance, req, wait_for

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
RELOADS = 20


class Reload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signers = [cls.esignd.enrol("signer%d" % i) for i in range(2)]
        with open(cls.esignd.config, encoding="utf-8") as file:
            cls.text = file.read()

    def setUp(self):
        self.addCleanup(self.reload, self.text)

    def reload(self, text):
        """Put the text in place as an editor does, then have it read."""
        with open(self.esignd.config + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.esignd.config + ".new", self.esignd.config)
        self.esignd.reload()

    def changed(self, name, value):
        """The first text with an option of a group added, or put in place of what is there."""
        group, option = name.split(".")
        line = "%s = %s;" % (option, value)
        found = re.search(r"(?ms)^%s = \{.*?\};" % group, self.text)
        if not found:
            return self.text + "\n%s = { %s };\n" % (group, line)
        inner = re.sub(r"\b%s = [^;]*;" % option, "", found.group())
        return self.text.replace(found.group(), inner.replace("{", "{ " + line, 1))

    def last(self):
        return self.esignd.entries()[-1]

    def configuration(self):
        return self.esignd.get("/v1/status")["configuration"]

    @req("2.4", "11.10(e)", "design 4")
    def test_reload__sound_file__in_force_and_entered(self):
        before = self.configuration()
        starts = self.esignd.status()["esignd"]["starts"]
        self.reload(self.changed("clock.max_error_ms", 59000))
        entry, now = self.last(), self.configuration()
        self.assertEqual((entry["action"], entry["result"]), ("service.reload", "OK"))
        self.assertEqual(entry["old"], {"config": before["hash"]})
        self.assertEqual(entry["new"], {
            "config": now["hash"],
            "changed": {"clock.max_error_ms": {"old": 60000, "new": 59000}}})
        self.assertNotEqual(now["hash"], before["hash"])
        self.assertFalse(now["refused"])
        self.reload(self.text)
        self.esignd.launch("reload")
        self.assertEqual(self.configuration()["hash"], before["hash"])
        self.assertEqual(self.esignd.status()["esignd"]["starts"], starts)

    @req("2.4", "design 4")
    def test_reload__fewer_connections_for_one_caller__in_force_for_new_ones(self):
        self.reload(self.changed("socket.per_application", 1))
        held = self.esignd.connection(self.esignd.application)
        self.addCleanup(held.close)
        self.assertEqual(held.send_json("GET", "/v1/status")[0], 200)
        with self.assertRaises(esigntest.Refused) as caught:
            self.esignd.get("/v1/status", caller=self.esignd.application)
        self.assertEqual(caught.exception.code, "E_BUSY")
        self.reload(self.text)
        self.esignd.get("/v1/status", caller=self.esignd.application)

    @req("2.4", "11.10(e)", "design 4")
    def test_reload__broken_or_foreign_file__stays_as_it_was_and_says_so(self):
        before = self.configuration()
        for text, words in (
                (self.text + "\nsystem_ = ;\n", "syntax error"),
                (self.text + "\nsistem = \"test\";\n", "there is no option sistem"),
                (self.changed("clock.max_error_ms", 0), "clock.max_error_ms must be 1 to"),
                (self.changed("hash.workers", 3), "hash.workers can only change with a restart"),
                (self.changed("policy.directory", "\"/tmp\""),
                 "policy.directory can only change with a restart")):
            with self.subTest(words=words):
                self.reload(text)
                now = self.configuration()
                self.assertEqual((now["hash"], now["refused"]), (before["hash"], True))
                self.assertIn(words, now["detail"])
                self.assertIn(words, self.esignd.logs(last=None))
                entry = self.last()
                self.assertEqual(entry["action"], "service.reload")
                self.assertTrue(entry["result"].startswith("E_POLICY"))
                self.assertEqual(entry["old"], {"config": before["hash"]})
                self.assertIn(words, entry["new"]["detail"])
                done = self.esignd.esign("status", "--health")
                self.assertIn(b"configuration: the file is not in force", done.stdout)
                self.assertIn(words, self.esignd.esign("status").stdout.decode())
                self.esignd.sign(self.signers[0], b"record", "batch", "R-1", "1")
        self.reload(self.text)
        self.assertFalse(self.configuration()["refused"])
        self.assertNotIn(b"configuration", self.esignd.esign("status", "--health").stdout)

    @req("2.4", "design 4")
    def test_launch_reload__refused_file__fails_and_says_why(self):
        self.reload(self.changed("clock.max_error_ms", 0))
        with self.assertRaisesRegex(RuntimeError, "the file is not in force: "
                                                  ".*clock.max_error_ms must be 1 to"):
            self.esignd.launch("reload")
        self.reload(self.text)
        self.esignd.launch("reload")

    @req("11.10(a)", "11.10(e)", "design 4")
    def test_reload__other_policy_on_disk__not_taken(self):
        folder = os.path.join(self.esignd.root, "etc", "policy")
        path = os.path.join(folder, "policy.json")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('"lock_after": 5', text)

        def restore():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        self.addCleanup(restore)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace('"lock_after": 5', '"lock_after": 1'))
        size = self.esignd.get("/v1/status")["audit"]["size"]
        self.reload(self.text)
        entries = self.esignd.entries()[size:]
        self.assertEqual([e["action"] for e in entries], ["service.reload"])
        self.assertEqual(entries[0]["rows"], {})

    def work(self, number, stop, done, failed):
        """Sign on one connection, read on another, both kept open over the reloads."""
        signing = self.esignd.connection(self.esignd.application)
        reading = self.esignd.connection(self.esignd.terminal)
        try:
            count = 0
            while not stop.is_set():
                count += 1
                record = self.esignd.record(b"record", "batch", "R-%d-%d" % (number, count), "1")
                status, reply = signing.send_json("POST", "/v1/signatures", {
                    "record": record, "meaning": "approved",
                    "components": self.signers[number].components})
                self.assertEqual(status, 201, reply)
                status, reply = reading.send_json("GET", "/v1/signatures/" + reply["signature"])
                self.assertEqual(status, 200, reply)
                done.append(reply["signature"])
        except (AssertionError, OSError, http.client.HTTPException) as error:
            failed.append(error)
        finally:
            signing.close()
            reading.close()

    @req("2.4", "11.10(e)", "design 2")
    def test_reload__while_clients_sign_and_read__none_sees_an_error(self):
        pid = self.esignd.pid("esignd")
        rights = self.sandbox(pid)
        stop, done, failed = threading.Event(), [], []
        clients = [threading.Thread(target=self.work, args=(n, stop, done, failed))
                   for n in range(len(self.signers))]
        for client in clients:
            client.start()
        try:
            for i in range(RELOADS):
                count = len(done)
                wait_for(lambda: len(done) > count or failed, "signatures go on")
                self.reload(self.changed("request.deadline_ms", 20000 + i) if i % 3
                            else self.text + "\nbroken")
        finally:
            stop.set()
            for client in clients:
                client.join()
        self.assertEqual(failed, [])
        self.assertGreaterEqual(len(done), RELOADS)
        self.assertEqual(self.esignd.pid("esignd"), pid)
        self.assertEqual(self.sandbox(pid), rights)
        entered = [e["result"] for e in self.esignd.entries() if e["action"] == "service.reload"]
        self.assertGreaterEqual(len(entered), RELOADS)

    @staticmethod
    def sandbox(pid):
        """What the kernel says of the process: seccomp, new privileges."""
        with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as file:
            text = file.read()
        found = dict(re.findall(r"(?m)^(Seccomp|NoNewPrivs|Seccomp_filters):\s+(.*)$", text))
        assert found["Seccomp"] == "2" and found["NoNewPrivs"] == "1", found
        return found


if __name__ == "__main__":
    esigntest.main()
