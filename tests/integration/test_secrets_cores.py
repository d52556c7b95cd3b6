"""Cores, and what is found where a program is careless with secrets: the search must find it.

What is careless is tests/fault/careless.c, never a program of ours.
"""
# build: release

import base64
import glob
import os
import pwd
import resource
import signal
import socket
import subprocess
import time

import esigntest
from esigntest import req, wait_for
from searched import (PIN_FILES, WRONG, Canary, Searched, carelessness, copies, core_limit, head,
                      is_closed, load_tests, send, status_of)


class Careless(Searched):
    """The search finds what a program leaves behind that neither wipes nor locks."""

    careless = "keep swap dumpable"

    @req("11.200(a)(2)", "11.300")
    def test_search__nothing_is_wiped_or_locked__copies_found(self):
        esignd = self.esignd.pid("esignd")
        self.esignd.sign(self.signer, b"record", "batch", "B-1", "1")
        self.assertTrue(copies.in_memory(esignd, [self.canary]))
        self.assertTrue(copies.in_memory(self.esignd.workers("hash")[0], [self.canary]))
        fresh = Canary()
        with self.stopped(self.esignd.workers("hash")[0]):
            self.begin(fresh, held=copies.in_memory)
            self.assertFalse(any(copy.locked for copy in copies.in_memory(esignd, [fresh])))
        self.assertEqual(copies.locked_kib(esignd), 0)
        self.assertFalse(is_closed(esignd))

    @req("11.300")
    def test_search__typed_in_the_wrong_place__copies_found(self):
        for what in ("no JSON right after it", "typed as user id", "a member's name"):
            canary = Canary()
            body = WRONG[what](canary)
            connection = self.connection()
            send(connection, [head(len(body)) + body])
            self.assertGreaterEqual(status_of(connection), 400)
            self.assertTrue(copies.in_memory(self.esignd.pid("esignd"), [canary]), what)

    @req("11.300")
    def test_search__each_form__found(self):
        text = self.canary.text
        forms = {"plain": text[5:18].encode(), "utf-16": text.encode("utf-16-be"),
                 "hex": text.encode().hex().encode(), "escaped": copies.escaped(text).encode(),
                 "base64": base64.b64encode(b"jdoe:" + text.encode())}
        for form, data in forms.items():
            data = b"\0" * 500 + data + b"\0" * 500
            self.assertIn(form, [c.form for c in copies.find(data, [self.canary], "here")])
            self.assertEqual(copies.find(data, [Canary()], "here"), [])

    @req("11.300")
    def test_search__files_and_circumstances__found(self):
        path = os.path.join(self.esignd.root, "planted")
        with open(path, "wb") as file:
            file.write(b"x" * 100000 + self.canary.text.encode())
        self.addCleanup(os.unlink, path)
        process = subprocess.Popen(["sleep", "60"], env={"PASSWORD": self.canary.text})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for(lambda: copies.in_circumstances(process.pid, [self.canary]), "it is found")
        found = copies.in_files(self.esignd.root, [self.canary], but=PIN_FILES)
        self.assertEqual({c.where for c in found}, {path})


class Cores(Searched):
    """An esignd that is ended by a signal while it holds a password."""

    def setUp(self):
        self.esignd.launch("stop", "esignd")
        self.folder = os.path.join(self.esignd.root, "lib", "esignd")  # its sandbox lets it write
        self.esignd.socket = os.path.join(self.esignd.root, "core.sock")

    def start(self, words):
        """esignd with a core limit that was raised before; words: see tests/fault/careless.c."""
        if os.path.lexists(self.esignd.socket):
            os.unlink(self.esignd.socket)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.esignd.socket)
            os.chmod(self.esignd.socket, 0o666)
            listener.listen(8)
            user = pwd.getpwnam("esignd")
            process = subprocess.Popen(
                [os.path.join(self.esignd.prefix, "libexec", "esignd", "esignd"),
                 "--config", self.esignd.config], cwd=self.folder, user=user.pw_uid,
                group=user.pw_gid, extra_groups=[], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[3],
                env={"LISTEN_FDS": "1", **carelessness(self.esignd, words)},
                preexec_fn=lambda: prepare(listener.fileno()))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def crash(self, words, number=signal.SIGABRT):
        """Whether a core was written, and the copies in it."""
        process = self.start(words)
        self.esignd.sign(self.signer, b"record", "batch", "B-%d" % time.monotonic_ns(), "1")
        with self.stopped(self.esignd.workers("hash")[0]):
            held = copies.in_memory if "keep" in words else self.handed_on
            self.begin(self.canary, esignd=process.pid, held=held)
            limit = core_limit(process.pid)
            process.send_signal(number)
            status = os.waitpid(process.pid, 0)[1]
            process.returncode = -number
        self.assertEqual(os.WTERMSIG(status), number)
        found = copies.in_files(self.folder, [self.canary])
        cores = glob.glob(os.path.join(self.folder, "core*"))
        for path in cores:
            os.unlink(path)
        return bool(os.WCOREDUMP(status) or cores), limit, found

    @req("11.200(a)(2)", "11.300")
    def test_crash__as_configured__no_core_whatever_the_limit(self):
        for number in (signal.SIGABRT, signal.SIGSEGV):
            self.assertEqual(self.crash("", number), (False, "0", []))
        self.assertEqual(self.crash("limit"), (False, "unlimited", []))
        self.assertEqual(self.crash("dumpable"), (False, "0", []))

    @req("11.200(a)(2)", "11.300")
    def test_crash__core_taken_on_purpose__no_copy_in_it(self):
        self.assertEqual(self.crash("limit dumpable"), (True, "unlimited", []))

    @req("11.300")
    def test_crash__core_of_one_that_does_not_wipe__copies_found(self):
        written, _, found = self.crash("limit dumpable keep")
        self.assertTrue(written)
        self.assertTrue(found)


def prepare(listener):
    """In the child: what launch does for a service, and a core limit that allows all."""
    os.dup2(listener, 3)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    esigntest.main()
