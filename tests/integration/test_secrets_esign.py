"""esign, and libesign in it, after a password was read and the request is over: no copy is left.

The command can't write its last output, so it stands still when it has done everything else.
"""
# build: release

import contextlib
import os
import pty
import resource
import select
import signal
import subprocess
import time

import esigntest
from esigntest import req, wait_for
from searched import Canary, Searched, carelessness, copies, is_closed, load_tests

STDOUT, STDERR = 1, 2
BOUND_S = 30.0


def full_pipe():
    """A pipe into which not one byte more can be written."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * size)
    os.set_blocking(writer, True)
    return reader, writer


def drain(reader):
    """Let the command end."""
    with os.fdopen(reader, "rb") as file:
        return file.read().lstrip(b"x")


def is_stuck(pid, output):
    """Whether a process waits for room on one of its descriptors.  Source: proc(5), syscall."""
    with open("/proc/%d/syscall" % pid, encoding="ascii") as file:
        words = file.read().split()
    return len(words) > 3 and words[1] == hex(output) and int(words[2], 16) > 4096  # an address


def allow_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Esign(Searched):
    """The command in the hands of the signer."""

    def setUp(self):
        self.folder = os.path.join(self.esignd.root, "work")
        if not os.path.isdir(self.folder):
            os.mkdir(self.folder)
            os.chown(self.folder, self.esignd.terminal.uid, -1)
            with open(os.path.join(self.folder, "record"), "w", encoding="utf-8") as file:
                file.write("the record")

    def command(self, *words, socket=None):
        return [*self.esignd.terminal.argv(), os.path.join(self.esignd.prefix, "bin", "esign"),
                "--socket", socket or self.esignd.socket, "--json", *words]

    def signing(self):
        out = "s%d.p7s" % time.monotonic_ns()
        return self.command("sign", "--as", "canary", "--record", "batch:B:1", "--meaning",
                            "approved", "-o", out, "record")

    def by_descriptor(self, command, answers, output=STDOUT, words=""):
        """Start a command that reads its secrets from a descriptor, with a raised core limit."""
        pipe, full = os.pipe(), full_pipe()
        os.write(pipe[1], "".join(answer + "\n" for answer in answers).encode())
        os.close(pipe[1])
        process = subprocess.Popen(
            [*command, "--password-fd", str(pipe[0])], cwd=self.folder, stdin=subprocess.DEVNULL,
            env={**os.environ, **carelessness(self.esignd, words)}, pass_fds=[pipe[0]],
            stdout=full[1] if output == STDOUT else subprocess.DEVNULL,
            stderr=full[1] if output == STDERR else subprocess.DEVNULL, preexec_fn=allow_cores)
        for descriptor in (pipe[0], full[1]):
            os.close(descriptor)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, full[0]

    def on_terminal(self, command, answers):
        """Start a command and type each answer when its prompt is there."""
        full = full_pipe()
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.dup2(full[1], STDOUT)
            os.execvp(command[0], command)
        os.close(full[1])
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        for prompt, answer in answers:
            screen = b""
            while prompt not in screen:
                ready = select.select([terminal], [], [], BOUND_S)[0]
                self.assertTrue(ready, (prompt, screen))
                screen += os.read(terminal, 4096)
            os.write(terminal, answer.encode() + b"\n")
        return pid, full[0]

    def searched(self, pid, reader, canaries, what, output=STDOUT):
        """Wait until the request is over; then no copy is there, and the command ends."""
        wait_for(lambda: is_stuck(pid, output), what + ": the request is over")
        self.assertEqual(copies.in_memory(pid, canaries), [], what)
        self.assertEqual(copies.in_circumstances(pid, canaries), [], what)
        self.assertTrue(is_closed(pid))
        return drain(reader)

    @req("11.200(a)(2)", "11.300")
    def test_sign__password_by_descriptor__no_copy(self):
        process, reader = self.by_descriptor(self.signing(), [self.canary.text])
        said = self.searched(process.pid, reader, [self.canary], "sign")
        self.assertIn(b'"signed"', said)

    @req("11.200(a)(2)", "11.300")
    def test_sign__password_typed__no_copy(self):
        pid, reader = self.on_terminal(self.signing(), [(b"canary: ", self.canary.text)])
        said = self.searched(pid, reader, [self.canary], "sign on a terminal")
        self.assertIn(b'"signed"', said)

    @req("11.200(a)(2)", "11.300", "11.300(b)")
    def test_change__typed__neither_password_is_left(self):
        old, new = Canary(), Canary()
        self.esignd.enrol("changer", password=old.text)
        command = self.command("credential", "change", "--as", "changer")
        pid, reader = self.on_terminal(command, [(b"changer: ", old.text), (b"assword: ", new.text),
                                                 (b"again: ", new.text)])
        self.searched(pid, reader, [old, new], "a change of password")
        self.nowhere([old, new], "a change of password")

    @req("11.200(a)(2)", "11.300")
    def test_change__refused_or_not_answered__no_copy(self):
        for socket, code in ((self.esignd.socket, b"E_AUTH_FAILED"), ("/nowhere", b"E_BUSY")):
            old, new = Canary(), Canary()
            command = self.command("credential", "change", "--as", "nobody", socket=socket)
            process, reader = self.by_descriptor(command, [old.text, new.text], STDERR)
            said = self.searched(process.pid, reader, [old, new], str(code), STDERR)
            self.assertIn(code, said)

    @req("11.300")
    def test_search__while_it_waits_or_where_it_keeps__copies_found(self):
        with self.stopped(self.esignd.workers("hash")[0]):
            process, reader = self.by_descriptor(self.signing(), [self.canary.text])
            wait_for(lambda: copies.in_memory(process.pid, [self.canary]), "it holds the password")
        self.searched(process.pid, reader, [self.canary], "afterwards")
        process, reader = self.by_descriptor(self.signing(), [self.canary.text], words="keep")
        wait_for(lambda: is_stuck(process.pid, STDOUT), "the request is over")
        self.assertTrue(copies.in_memory(process.pid, [self.canary]))
        drain(reader)

    def crash(self, words):
        """Whether a core was written by a command that holds a password."""
        with self.stopped(self.esignd.workers("hash")[0]):
            process, reader = self.by_descriptor(self.signing(), [self.canary.text], words=words)
            wait_for(lambda: copies.in_memory(process.pid, [self.canary]), "it holds the password")
            process.send_signal(signal.SIGABRT)
            status = os.waitpid(process.pid, 0)[1]
            process.returncode = -signal.SIGABRT
        drain(reader)
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        return os.WCOREDUMP(status)

    @req("11.200(a)(2)", "11.300")
    def test_crash__it_holds_the_password__no_core_but_from_a_careless_one(self):
        self.assertFalse(self.crash(""))
        self.assertFalse(self.crash("limit"))
        self.assertTrue(self.crash("limit dumpable"))


if __name__ == "__main__":
    esigntest.main()
