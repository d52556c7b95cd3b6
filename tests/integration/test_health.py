"""Readiness, measurements for monitors, reload and stop of the running service."""

import http.client
import json
import os
import re
import signal
import threading
import unittest

import esigntest
from esigntest import Instance, Refused, req, wait_for

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}


def metrics_of(esignd, caller=None):
    """{name with labels: value} of /metrics; checks the form of each line."""
    connection = esignd.connection(caller or esignd.terminal or esigntest.ROOT_CALLER)
    try:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        text = reply.read().decode("ascii")
    finally:
        connection.close()
    assert reply.status == 200, text
    assert reply.getheader("Content-Type") == "text/plain; version=0.0.4", reply.headers
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge"), line
            assert (kind == "counter") == name.endswith("_total"), line
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'((\w+)(?:\{\w+="[\w.-]+"\})?) (-?\d+(?:\.\d{3})?)', line)
            assert match and match.group(2) in types, line
            assert match.group(1) not in values, line
            values[match.group(1)] = float(match.group(3))
    return values


class Health(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe")

    def check(self, name):
        """State of one check of /v1/health."""
        checks = {c["name"]: c["state"] for c in self.esignd.get("/v1/health")["checks"]}
        return checks[name]

    @req("requirements 2.4", "design 5")
    def test_health__all_runs__ready(self):
        reply = self.esignd.get("/v1/health")
        self.assertTrue(reply["live"] and reply["ready"], reply)
        self.assertEqual(
            [c["name"] for c in reply["checks"]],
            ["site", "token-signers", "token-ca", "token-log", "hash", "document", "clock",
             "disk", "audit", "configuration", "start", "certificate-ca", "certificate-signer",
             "password"])
        self.assertNotIn("fail", [c["state"] for c in reply["checks"]])
        done = self.esignd.esign("status")
        self.assertIn(b"ready to sign\n", done.stdout)
        self.assertIn(self.esignd.esign("status", "--health").stdout.split(b":")[0].strip(),
                      (b"ok", b"warn"))
        done = self.esignd.esign("status", "--health", "--json")
        self.assertTrue(json.loads(done.stdout)["live"])

    @req("requirements 2.4")
    def test_health__each_helper_stopped__its_check_fails_and_comes_back(self):
        for name in ("token-signers", "hash", "document"):
            with self.subTest(service=name):
                self.esignd.launch("stop", name)
                try:
                    reply = self.esignd.get("/v1/health")
                    failed = [c["name"] for c in reply["checks"] if c["state"] == "fail"]
                    self.assertEqual((failed, reply["ready"]), ([name], False), reply)
                    done = self.esignd.esign("status", "--health", check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertTrue(done.stdout.startswith(b"fail: " + name.encode()), done.stdout)
                    self.assertEqual(self.esignd.esign("status", check=False).returncode, 1)
                    values = metrics_of(self.esignd)
                    self.assertEqual(values['esignd_helper_up{helper="%s"}' % name], 0)
                    self.assertEqual(values["esignd_ready"], 0)
                finally:
                    self.esignd.launch("start", name)
                wait_for(lambda: self.esignd.get("/v1/health")["ready"], "it is ready again")

    @req("requirements 2.4")
    def test_metrics__after_signing_and_failures__counted(self):
        before = metrics_of(self.esignd)
        self.esignd.sign(self.signer, b"record", "batch", "H-1", "1")
        wrong = {"user_id": "jdoe", "password": "not the right password"}
        with self.assertRaises(Refused) as caught:
            self.esignd.post("/v1/signatures", {
                "record": self.esignd.record(b"record", "batch", "H-2", "1"),
                "meaning": "approved", "components": wrong}, caller=self.esignd.application)
        self.assertEqual(caught.exception.code, "E_AUTH_FAILED")
        after = metrics_of(self.esignd)

        def grown(name):
            return after["esignd_" + name] - before["esignd_" + name]

        self.assertEqual(grown('signatures_total{result="done"}'), 1)
        self.assertEqual(grown('signatures_total{result="aborted"}'), 0)
        self.assertEqual(grown("authentication_failures_total"), 1)
        self.assertEqual(grown("requests_total"), 3)  # two signings and the second scrape
        self.assertEqual(grown("connections_accepted_total"), 3)
        self.assertGreaterEqual(grown("audit_entries"), 4)
        self.assertGreaterEqual(after["esignd_connections"], 1)
        self.assertGreater(after["esignd_store_free_bytes"], 0)
        self.assertGreater(after['esignd_certificate_days{certificate="ca"}'], 1000)
        self.assertGreater(after['esignd_certificate_days{certificate="signer"}'], 1000)
        self.assertEqual(after["esignd_password_days"], 364)
        self.assertEqual(after["esignd_passwords_ended"], 0)
        self.assertEqual(after["esignd_store_reserve"], 1)
        self.assertEqual(after["esignd_start_unclean"], 0)
        self.assertEqual(after["esignd_configuration_refused"], 0)
        self.assertGreater(after["esignd_audit_uncovered_age_seconds"], 0)
        audit = self.esignd.get("/v1/status")["audit"]
        self.assertEqual(after["esignd_audit_entries"], audit["size"])
        self.assertEqual(after["esignd_audit_checkpoint_entries"], audit["checkpoint_size"])

    @req("2.4", "3.4")
    def test_metrics__sessions__as_many_as_are_open(self):
        self.assertEqual(metrics_of(self.esignd)["esignd_sessions"], 0)
        session = self.esignd.open_session(self.signer)
        self.assertEqual(metrics_of(self.esignd)["esignd_sessions"], 1)
        self.assertEqual(self.esignd.get("/v1/status")["sessions"], 1)
        self.esignd.post("/v1/sessions/close", {"session": session})
        self.assertEqual(metrics_of(self.esignd)["esignd_sessions"], 0)

    @req("requirements 2.4", "11.10(d)")
    def test_metrics__unregistered_caller__closed_and_counted(self):
        if esigntest.ROOT:  # an ordinary user has no second user id to be a stranger with
            os.chmod(self.esignd.socket, 0o666)  # the file's mode would keep them out before us
            before = metrics_of(self.esignd)["esignd_connections_refused_total"]
            with self.assertRaises((OSError, http.client.HTTPException)):
                metrics_of(self.esignd, esigntest.Caller(61999, (61999,)))
            self.assertEqual(metrics_of(self.esignd)["esignd_connections_refused_total"],
                             before + 1)


class Stop(unittest.TestCase):
    CLIENTS, STOPS = 4, 3

    def client(self, number, stop, acknowledged, refused):
        count = 0
        while not stop.is_set():
            count += 1
            name = "D-%d-%d" % (number, count)
            try:
                done = self.esignd.sign(self.signers[number], b"record", "batch", name, "1")
                acknowledged.append(done["signature"])
            except Refused as error:
                refused.append(error.body)
            except (OSError, http.client.HTTPException):
                pass  # closed before it was read: the trail must not know of it, see below

    @req("requirements 2.4", "11.10(e)", "design 2")
    def test_sigterm_under_load__every_signature_in_the_trail_was_answered(self):
        self.esignd = Instance(FAST_HASH).ready()
        self.addCleanup(self.esignd.close)
        self.signers = [self.esignd.enrol("signer%d" % i) for i in range(self.CLIENTS)]
        stop, acknowledged, refused = threading.Event(), [], []
        clients = [threading.Thread(target=self.client, args=(n, stop, acknowledged, refused))
                   for n in range(self.CLIENTS)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(self.STOPS):
                count = len(acknowledged)
                wait_for(lambda: len(acknowledged) >= count + 8, "signatures go on")
                self.esignd.kill("esignd", signal.SIGTERM)
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        self.assertEqual(refused, [])
        entries = self.esignd.entries()
        done = [e["object"].split("/")[1] for e in entries if e["action"] == "signature.outcome"]
        self.assertEqual(sorted(done), sorted(acknowledged))
        actions = [e["action"] for e in entries]
        self.assertEqual(actions.count("service.stop"), self.STOPS)
        self.assertNotIn("signature.aborted", actions)
        for at in (i for i, action in enumerate(actions) if action == "service.stop"):
            self.assertEqual(actions[at + 1], "service.start")


class Uninitialised(unittest.TestCase):
    @req("requirements 2.4")
    def test_health__before_init__not_ready_but_answered(self):
        esignd = Instance(FAST_HASH)
        self.addCleanup(esignd.close)
        esignd.launch("tokens")
        esignd.start()
        reply = esignd.get("/v1/health")
        self.assertEqual((reply["live"], reply["ready"]), (True, False))
        self.assertEqual([c["name"] for c in reply["checks"] if c["state"] == "fail"], ["site"])
        self.assertEqual(metrics_of(esignd)["esignd_ready"], 0)
        done = esignd.esign("status", "--health", check=False)
        self.assertEqual((done.returncode, done.stdout),
                         (1, b"fail: site: not initialised; run esign init\n"))


if __name__ == "__main__":
    esigntest.main()
