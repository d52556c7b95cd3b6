"""A power cut at any point: what was acknowledged stays, and what was begun is ended.

The daemon runs under fault/power_log.so, which logs what it does to its files and what it sends;
fault/power.py makes of it the disks that a cut may leave. kill -9 can't show this: the kernel keeps
what a killed process has written.
"""
# build: release

import os
import random
import shutil
import sys
import threading
import unittest

import esigntest
from esigntest import Instance, req

sys.path.insert(0, os.path.join(esigntest.SOURCE, "tests", "fault"))
import power  # noqa: E402  pylint: disable=wrong-import-position

IN_FLIGHT = 8
IN_SESSION = 3
GUESSES = 2
# The write-ahead log goes into the database while signings go on, as it does in a long run.
CHECKPOINTS = "wal_autocheckpoint=10000>wal_autocheckpoint=20"
SHARE = 0.4  # of the points of long logs; tests/long/power_loss takes all
FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
FAULT = os.path.join(esigntest.BUILD, "fault")


class Site:
    """An esignd with signers whose work can be logged, and the programs that recover it."""

    def __init__(self, signers, recoveries=2, founded=True):
        self.esignd = Instance(FAST_HASH)
        self.folder = os.path.join(self.esignd.root, "lib", "esignd")
        # beside the site, since its services may not be able to read a build folder
        self.library = os.path.join(self.esignd.root, "power_log.so")
        shutil.copyfile(os.path.join(FAULT, "power_log.so"), self.library)
        os.chmod(self.library, 0o755)
        self.logs = 0
        if founded:
            self.esignd.ready()
        else:
            self.esignd.launch("tokens")
        self.signers = [self.esignd.enrol("signer%d" % i) for i in range(signers)]
        with open(self.esignd.config, encoding="utf-8") as file:
            config = file.read()
        self.recoveries = [power.Recovery(os.path.join(FAULT, "recover"), config, self.folder)
                           for _ in range(recoveries)]
        self.seed = random.SystemRandom().getrandbits(32)

    def close(self):
        for recovery in self.recoveries:
            recovery.close()
        self.esignd.close()

    def put(self, image):
        """Make the folder of the store what a power cut has left."""
        owner = os.stat(self.folder)
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        for name, content in image.items():
            path = os.path.join(self.folder, name)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, 0o600)
            os.chown(path, owner.st_uid, owner.st_gid)

    def log(self, work, replace=None, image=None, told=None):
        """Start the service, work(), stop it, all in the log. Returns a Check of it.
        replace: "OLD>NEW" in what SQLite is told; image: the disk to start from instead of the
        present one; told: what had been told before that."""
        self.esignd.launch("stop", check=False)  # it does not run after another log
        if image:
            self.put(image)
        base = power.files_of(self.folder)
        self.logs += 1
        path = os.path.join(self.esignd.root, "power-%d.log" % self.logs)
        with open(path, "wb"):
            os.chmod(path, 0o666)
        shim = {"LD_PRELOAD": self.library, "ESIGN_POWER_LOG": path,
                "ESIGN_POWER_FOLDER": self.folder}
        if replace:
            shim["ESIGN_POWER_REPLACE"] = replace
        before, self.esignd.environment = self.esignd.environment, {
            **self.esignd.environment, **shim}
        try:
            self.esignd.start()
            work()
            self.esignd.stop()
        finally:
            self.esignd.environment = before
        after = power.files_of(self.folder)
        self.events = power.read_log(path)
        self.compare(base, after)
        final = self.recoveries[0].run(after)
        return power.Check(self.recoveries, self.folder, base, self.events, final, self.seed,
                           told)

    def compare(self, base, after):
        """The replay of the whole log must give the very files: then nothing is missing in it."""
        disk = power.Disk(self.folder, base)
        for event in self.events:
            disk.do(event)
        kept = disk.image("kept")
        if kept != after:
            raise AssertionError("the log does not give the files: %s" % sorted(
                name for name in {**kept, **after} if kept.get(name) != after.get(name)))

    def found(self):
        """All that leads to a first signature, from an empty store."""
        self.esignd.terminal = esigntest.terminal_caller()
        self.esignd.application = esigntest.application_caller()
        self.esignd.init()
        if esigntest.ROOT:
            self.esignd.add_application("mes", self.esignd.application.uid)
        self.signers = [self.esignd.enrol("signer0")]
        self.sign_one()

    def sign_one(self):
        """A ticket, then its signature: both are acknowledged."""
        ticket = self.esignd.ticket(b"record", "batch", "P-%d" % self.logs, "1")
        self.esignd.authorise(ticket, self.signers[0])

    def guess(self, signer):
        """Two wrong passwords of one signer."""
        for i in range(GUESSES):
            wrong = esigntest.Person(signer.user_id, "", "", "wrong password number %d" % i)
            try:
                self.esignd.sign(wrong, b"record", "batch", "P-guess-%d" % i, "1")
            except esigntest.Refused as error:
                if error.code != "E_AUTH_FAILED":
                    raise
            else:
                raise AssertionError("a wrong password was taken")

    def sign_in_flight(self, rounds=1):
        """Eight signers at the same time, each as often as there are rounds."""

        def client(number, wait):
            for i in range(rounds):
                wait()
                self.esignd.sign(self.signers[number], b"record", "batch",
                                 "P-%d-%d-%d" % (self.logs, number, i), "1")

        self.in_flight(client)

    def sign_in_session(self, number=0, wait=lambda: None):
        """A session of one signer: opened, a first signing, two with the password only."""
        person, caller = self.signers[number], self.esignd.application
        named = {"terminal": "WS-%d" % number} if esigntest.ROOT else {}
        wait()
        session = self.esignd.open_session(person, caller, **named)
        for i in range(IN_SESSION):
            wait()
            self.esignd.post("/v1/signatures", {
                "record": self.esignd.record(b"record", "batch",
                                             "P-%d-%d-%d" % (self.logs, number, i), "1"),
                "meaning": "approved", "session": session, **named,
                "components": {"password": person.password} if i else person.components}, caller)

    def in_flight(self, work):
        """work(number, wait) for each of eight signers; wait() returns when all are there."""
        together, failures = threading.Barrier(IN_FLIGHT), []

        def client(number):
            try:
                work(number, lambda: together.wait(esigntest.WAIT_S))
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


def tell(name, site, check):
    print("%s: seed %d, %d records, %d cuts, %d images, %d of them different, %d findings" % (
        name, site.seed, len(site.events), check.points, check.images, len(check.seen),
        len(check.findings)), flush=True)
    for finding in check.findings[:5]:
        print("    " + finding, flush=True)


class PowerLoss(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(IN_FLIGHT + 1)
        cls.addClassCleanup(cls.site.close)

    def assert_signatures(self, check, count, site=None):
        self.assertEqual(check.final["rc"], "OK", check.final)
        self.assertEqual(check.final["found"], len(check.final["entries"]))
        told = power.Told()
        for event in (site or self.site).events:
            told.do(event)
        self.assertEqual(len(told.signatures), count)
        self.assertEqual(len(told.intents_of(check.final["intent"])), count)

    @req("11.10(e)", "11.10(c)", "design 3", "design 7", "design 10")
    def test_power_cut__every_point_of_one_signing__nothing_acknowledged_is_lost(self):
        check = self.site.log(self.site.sign_one)
        self.assert_signatures(check, 1)
        check.run()
        tell("one signing", self.site, check)
        self.assertEqual(check.findings, [])
        self.assertGreater(check.points, 100)

    @req("11.10(e)", "11.10(c)", "design 3", "design 7", "design 10")
    def test_power_cut__eight_in_flight__nothing_acknowledged_is_lost(self):
        check = self.site.log(self.site.sign_in_flight, CHECKPOINTS)
        self.assert_signatures(check, IN_FLIGHT)
        self.assertGreater(self.restarts(), 0)
        check.run(SHARE)
        tell("%d in flight" % IN_FLIGHT, self.site, check)
        self.assertEqual(check.findings, [])
        self.cut_again(check)

    @req("11.10(e)", "11.200(a)(1)(i)", "3.4", "design 3", "design 10")
    def test_power_cut__every_point_of_a_session__nothing_acknowledged_is_lost(self):
        check = self.site.log(self.site.sign_in_session)
        self.assert_sessions(check, 1)
        check.run()
        tell("a session of %d signings" % IN_SESSION, self.site, check)
        self.assertEqual(check.findings, [])

    @req("11.10(e)", "11.200(a)(1)(i)", "3.4", "design 3", "design 10")
    def test_power_cut__eight_sessions_in_flight__nothing_acknowledged_is_lost(self):
        check = self.site.log(lambda: self.site.in_flight(self.site.sign_in_session), CHECKPOINTS)
        self.assert_sessions(check, IN_FLIGHT)
        check.run(SHARE / 4)
        tell("%d sessions in flight" % IN_FLIGHT, self.site, check)
        self.assertEqual(check.findings, [])

    def assert_sessions(self, check, count):
        """In each a first signing and further ones, all acknowledged."""
        self.assertEqual(check.final["rc"], "OK", check.final)
        told = power.Told()
        for event in self.site.events:
            told.do(event)
        made = [row for row in check.final["signature"] if
                row["body"]["envelope"]["record"]["id"].startswith("P-%d-" % self.site.logs)]
        # a session's opening tells of the signing before it, so more are told than made
        self.assertLessEqual({row["id"] for row in made}, told.signatures)
        self.assertEqual(len(told.intents_of(check.final["intent"])), len(made))
        modes = [row["body"]["envelope"]["mode"] for row in made]
        self.assertEqual(modes.count("first"), count)
        self.assertEqual(modes.count("subsequent"), count * (IN_SESSION - 1))

    def restarts(self):
        """How often the write-ahead log was begun anew before the last reply."""
        paths, begun = {}, 0
        last = max(n for n, event in enumerate(self.site.events) if event.kind == "s")
        for event in self.site.events[:last]:
            if event.kind == "o":
                paths[event.number] = event.data
            elif event.kind == "w" and event.offset == 0 and \
                    paths[event.number].endswith(b"-wal"):
                begun += 1
        return begun - 1

    def cut_again(self, check):
        """The recovery from the cut that left most behind is itself cut at every point."""
        count, image, told = check.most_aborted
        self.assertGreater(count, 0)
        again = self.site.log(lambda: None, image=image, told=told)
        self.assertEqual(sum('"signature.aborted"' in entry for entry in again.final["entries"]),
                         count + sum('"signature.aborted"' in entry
                                     for entry in check.final["entries"]))
        again.run()
        tell("recovery of %d open intents" % count, self.site, again)
        self.assertEqual(again.findings, [])

    @req("11.10(e)", "11.10(c)", "design 7", "design 10")
    def test_power_cut__from_an_empty_store__nothing_acknowledged_is_lost(self):
        site = Site(0, founded=False)
        self.addCleanup(site.close)
        check = site.log(site.found)
        self.assert_signatures(check, 1, site)
        check.run(SHARE)
        tell("from an empty store", site, check)
        self.assertEqual(check.findings, [])

    @req("11.300(d)", "11.10(d)", "design 3", "design 10")
    def test_power_cut__every_point_of_wrong_passwords__no_guess_is_free(self):
        guessed = self.site.signers[IN_FLIGHT]  # of whom nobody else asks anything
        check = self.site.log(lambda: self.site.guess(guessed),
                              told=power.Told(guesser=guessed.signer_id))
        self.assertEqual(sum(event.kind == "h" for event in self.site.events), GUESSES)
        check.run()
        tell("wrong passwords", self.site, check)
        self.assertEqual(check.findings, [])

    @req("design 10")
    def test_power_cut__a_store_that_does_not_sync__is_found_out(self):
        check = self.site.log(self.site.sign_one, replace="synchronous=FULL>synchronous=OFF")
        self.assert_signatures(check, 1)
        check.run(0.1)
        tell("synchronous=OFF", self.site, check)
        said = "\n".join(check.findings)
        for words in ("signature .* was sent and is lost", "ticket .* was sent and is lost",
                      "a key was used for .*, of which nothing is known"):
            self.assertRegex(said, words)


if __name__ == "__main__":
    esigntest.main()
