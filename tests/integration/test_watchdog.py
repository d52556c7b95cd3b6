"""The service manager's watchdog: messages while all parts make progress, none when one hangs."""

# build: release

import os
import shutil
import threading
import time
import unittest

import esigntest
from esigntest import Instance, req, wait_for

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
GRANTED_S = 3.0  # a part that makes no progress for half of it hangs
SILENT_S = 1.5 * GRANTED_S


class Watchdog(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance({**FAST_HASH, "socket.max_connections": "8",
                               "socket.kept_for_terminals": "0"})
        cls.addClassCleanup(cls.esignd.close)
        library = os.path.join(cls.esignd.root, "hang.so")
        shutil.copyfile(os.path.join(esigntest.BUILD, "fault", "hang.so"), library)
        os.chmod(library, 0o755)
        cls.folder = os.path.join(cls.esignd.root, "lib", "esignd")
        cls.esignd.environment.update({
            "LD_PRELOAD": library, "ESIGN_HANG_FOLDER": cls.folder,
            "WATCHDOG_USEC": "%d" % (GRANTED_S * 1000000)})
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("jdoe")

    def told(self):
        return self.esignd.status()["esignd"]["watchdogs"]

    def assert_told(self, what, times=5):
        before = self.told()
        wait_for(lambda: self.told() >= before + times, "messages " + what)

    def hang(self, name):
        path = os.path.join(self.folder, name)
        with open(path, "wb"):
            pass
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return path

    def assert_silent(self, what):
        """The messages end within what the service manager grants, and none comes again."""
        until = time.monotonic() + GRANTED_S
        count, since = self.told(), time.monotonic()
        while time.monotonic() - since < SILENT_S:
            if self.told() != count:
                count, since = self.told(), time.monotonic()
            self.assertLess(since, until, "messages go on although %s" % what)
            time.sleep(0.05)

    @req("2.4", "design 2")
    def test_watchdog__idle_and_loaded__told(self):
        said = self.esignd.logs(last=None).count("makes no progress")
        self.assert_told("while nobody asks")
        stop, failed = threading.Event(), []

        def client():
            try:
                count = 0
                while not stop.is_set():
                    count += 1
                    self.esignd.sign(self.signer, b"record", "batch", "W-%d" % count, "1")
            except Exception as error:  # pylint: disable=broad-except
                failed.append(error)

        thread = threading.Thread(target=client)
        thread.start()
        try:
            self.assert_told("under load", 20)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.esignd.logs(last=None).count("makes no progress"), said)

    @req("2.4", "design 2")
    def test_watchdog__writer_hangs_in_a_sync__not_told_until_it_goes_on(self):
        path = self.hang("hang-sync")
        ticket = threading.Thread(target=self.esignd.ticket,
                                  args=(b"record", "batch", "W-sync", "1"))
        ticket.start()
        try:
            self.assert_silent("the writer hangs")
            self.assertIn("part=store", self.esignd.logs(last=None))
        finally:
            os.unlink(path)
            ticket.join()
        self.assert_told("after it went on")

    @req("2.4", "design 2")
    def test_watchdog__accept_thread_hangs__not_told_until_it_goes_on(self):
        path = self.hang("hang-accept")
        try:
            self.assert_silent("nothing is accepted")
            self.assertIn("part=listener", self.esignd.logs(last=None))
        finally:
            os.unlink(path)
        self.assert_told("after it went on")

    @req("2.4", "design 2")
    def test_watchdog__every_connection_hangs__not_told_although_refusals_are_sent(self):
        path = self.hang("hang-reply")
        clients = [threading.Thread(target=self.ask_anyhow) for _ in range(8)]
        for client in clients:
            client.start()
        try:
            self.assert_silent("no request is answered")
        finally:
            os.unlink(path)
            for client in clients:
                client.join()
        self.assert_told("after they went on")

    def ask_anyhow(self):
        try:
            self.esignd.get("/v1/live")
        except esigntest.Refused as error:
            if error.code != "E_BUSY":
                raise


class Unwatched(unittest.TestCase):
    @req("design 2")
    def test_watchdog__nobody_asks_for_it__no_message(self):
        esignd = Instance(FAST_HASH)
        self.addCleanup(esignd.close)
        esignd.launch("tokens")
        esignd.start()
        before = esignd.get("/v1/status")
        self.assertEqual(before["state"], "uninitialised")
        self.assertEqual(esignd.status()["esignd"]["watchdogs"], 0)


if __name__ == "__main__":
    esigntest.main()
