# build: release
"""Workers of the signers' token, killed one after the other while eight clients sign: nobody sees
an error, and a successor is there about as soon as the module can be loaded and logged in at all.

tests/long/worker_kills does the same 500 times.
"""

import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import time

import esigntest
from esigntest import Case, Instance, req, send_signal, wait_for
from faulty import Faulty

CLIENTS, WORKERS, ROUNDS, OPENS = 8, 2, 20, 3
FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
RECORD = b"a record"
MOST = 3.0  # times a raw load and login


class Kills:
    """A site under load; what was measured is in recoveries and raw, in milliseconds."""

    def __init__(self):
        self.esignd = Instance({**FAST_HASH, "tokens.signers.workers": str(WORKERS)})
        self.faulty = Faulty.before(self.esignd, "signers")
        self.recoveries, self.raw, self.result = [], [], None
        self.esignd.ready()
        self.signers = [self.esignd.enrol("signer%d" % i) for i in range(CLIENTS)]
        self.programs = os.path.join(self.esignd.root, "bench")
        os.mkdir(self.programs, 0o755)
        for name in ("bench_load", "bench_reference"):
            shutil.copy(os.path.join(esigntest.BUILD, "bench", name), self.programs)

    def close(self):
        self.esignd.close()

    # the clients

    def bodies(self):
        for number, signer in enumerate(self.signers):
            place = {"terminal": "client-%d" % number}
            session = self.esignd.open_session(signer, self.esignd.application, **place)
            body = {"meaning": "approved", "session": session, **place}
            self.esignd.post("/v1/signatures", {
                "record": self.esignd.record(RECORD, "batch", "F-%d" % number, "1"),
                "components": signer.components, **body}, self.esignd.application)
            yield {"record": self.esignd.record(RECORD, "batch", "K-%d-########" % number, "1"),
                   "components": {"password": signer.password}, **body}

    def start(self):
        """Eight clients that sign until they are told to stop."""
        text = "".join(json.dumps(body) + "\n" for body in self.bodies())
        self.load = subprocess.Popen(
            self.esignd.application.argv() + [
                os.path.join(self.programs, "bench_load"), self.esignd.socket, str(CLIENTS),
                "3600"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.load.stdin.write(text.encode())
        self.load.stdin.close()
        self.wait_for_calls("C_Sign", 100)

    def stop(self):
        """Stop them; what they say of it."""
        self.load.send_signal(signal.SIGTERM)
        said, complaint = self.load.stdout.read(), self.load.stderr.read()
        if self.load.wait(esigntest.WAIT_S) != 0:
            raise AssertionError(complaint.decode("utf-8", "replace")[:2000])
        self.result = {**json.loads(said), "complaint": complaint.decode("utf-8", "replace")}
        return self.result

    # one round

    def wait_for_calls(self, name, more, since=None):
        since = self.faulty.calls(name) if since is None else since
        wait_for(lambda: self.faulty.calls(name) >= since + more, "%d of %s" % (more, name))

    def round(self):
        """Kill one; its successor opens the token, gets a connection and looks for a key."""
        wait_for(lambda: len(self.esignd.workers("token-signers")) == WORKERS, "the workers")
        victim = min(self.esignd.workers("token-signers"))
        searches = self.faulty.calls("C_FindObjectsFinal")
        began = time.monotonic()
        send_signal(victim, signal.SIGKILL)
        while self.faulty.calls("C_FindObjectsFinal") == searches:
            if time.monotonic() > began + esigntest.WAIT_S:
                raise AssertionError("nobody has taken the place of the killed one")
            time.sleep(0.0002)
        self.recoveries.append((time.monotonic() - began) * 1000)
        self.wait_for_calls("C_FindObjectsFinal", 2, searches)

    def key(self):
        for entry in reversed(self.esignd.entries()):
            if entry["action"] == "signature.intent":
                return entry["new"]["envelope"]["key"]
        raise AssertionError("nothing was signed")

    def open_raw(self):
        """The same module, loaded and logged in by a program that does nothing else."""
        root = self.esignd.root
        owner = os.stat(os.path.join(root, "lib", "esign-token", "signers"))
        with open(os.path.join(root, "etc", "credentials", "signers.pin"), "rb") as file:
            pin = file.read()
        who = ["setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid),
               "--clear-groups", "--"] if esigntest.ROOT else []
        done = subprocess.run(
            who + ["env", "SOFTHSM2_CONF=" + os.path.join(root, "etc", "softhsm-signers.conf"),
                   *self.faulty.environment(SOFTHSM),
                   os.path.join(self.programs, "bench_reference"), self.faulty.module, "signers",
                   self.raw_key, "ecdsa", "open", str(OPENS)],
            input=pin, check=True, stdout=subprocess.PIPE, timeout=esigntest.WAIT_S)
        self.raw.append(json.loads(done.stdout)["p50_us"] / 1000)

    def token_files(self):
        """{path: hash} of all that the token consists of."""
        found = {}
        for folder, _, names in os.walk(os.path.join(self.esignd.root, "lib", "esign-token",
                                                     "signers")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = hashlib.sha256(file.read()).hexdigest()
        return found

    def run(self, rounds, tell=None):
        """All rounds, a raw opening beside each, under the same load."""
        self.raw_key = self.first_key()
        self.start()
        try:
            for number in range(1, rounds + 1):
                self.round()
                self.open_raw()
                if tell and number % 100 == 0:
                    tell(self.words())
        finally:
            self.stop()

    def first_key(self):
        self.esignd.sign(self.signers[0], RECORD, "batch", "first", "1")
        return self.key()

    def ratio(self):
        return statistics.median(self.recoveries) / statistics.median(self.raw)

    def words(self):
        return "%d kills, recovery median %.1f ms (largest %.1f), raw %.1f ms, ratio %.2f" % (
            len(self.recoveries), statistics.median(self.recoveries), max(self.recoveries),
            statistics.median(self.raw), self.ratio())


class Workers(Case):
    @req("design 2", "requirements 2.4", "A5")
    def test_kills__one_after_the_other_under_eight_clients__nobody_sees_it(self):
        kills = Kills()
        self.addCleanup(kills.close)
        before = kills.token_files()
        kills.run(ROUNDS)
        self.assertEqual(kills.result["failed"], 0, kills.result["complaint"][:2000])
        self.assertGreater(kills.result["count"], 10 * ROUNDS)
        self.assertLessEqual(kills.ratio(), MOST, kills.words())
        self.assertEqual(kills.token_files(), before)
        kills.esignd.launch("stop")
        kills.esignd.start()
        for number, signer in enumerate(kills.signers):
            kills.esignd.sign(signer, RECORD, "batch", "after-%d" % number, "1")


if __name__ == "__main__":
    esigntest.main()
