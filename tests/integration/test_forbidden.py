"""The programs as they are released try, from within, what they must not do."""

import ctypes
import os
import re
import shutil
import signal
import unittest

import esigntest
from esigntest import Instance, req, wait_for

# build: release

# The order of tests/fault/forbidden.c.
TRIES = ["open", "list", "create", "inet", "exec", "fork", "ptrace", "read_process", "keyring",
         "unshare", "executable"]
KILLED = "killed by SIGSYS"
EPERM, EACCES, ENOENT, ESRCH, ENOKEY = 1, 13, 2, 3, 126
# What comes of each in esignd: files are refused, everything else ends the process.
IN_ESIGND = {name: KILLED for name in TRIES} | {"open": EACCES, "list": EACCES, "create": EACCES}
# In a supervisor: it forks, and reaches no file.
IN_SUPERVISOR = IN_ESIGND | {"fork": 0, "create": KILLED}
# In a worker of esign-hash or esign-document.
IN_WORKER = {name: KILLED for name in TRIES}
# With a vendor's module: what a program can do to others or to the kernel fails.
IN_TOKEN = {name: EPERM for name in ("exec", "ptrace", "read_process", "keyring", "unshare")}


def filters_of(pid):
    """How many filters a process has; 0 if it has gone."""
    try:
        with open("/proc/%d/status" % pid, encoding="utf-8") as file:
            return int(re.search(r"^Seccomp_filters:\s+(\d+)", file.read(), re.M).group(1))
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Attempt:
    """An instance whose services try what they are told to."""

    def __init__(self, environment=None):
        self.esignd = Instance()
        library = os.path.join(self.esignd.root, "forbidden.so")
        shutil.copy(os.path.join(esigntest.BUILD, "fault", "forbidden.so"), library)
        os.chmod(library, 0o755)
        self.esignd.environment.update({"LD_PRELOAD": library, **(environment or {})})
        self.esignd.ready()

    def log(self, service):
        path = os.path.join(self.esignd.root, "run", "launch", service + ".log")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def outcome(self, service, name, pid=None):
        """The errno with which the call ended, 0: it was let through; or KILLED."""
        before, starts = self.log(service), self.esignd.status()[service]["starts"]
        victim = pid or self.esignd.pid(service)
        value = ctypes.c_void_p(TRIES.index(name))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.sigqueue(victim, int(signal.SIGUSR2), value) != 0:
            raise OSError(ctypes.get_errno(), "sigqueue")

        def told():
            said = self.log(service)[len(before):].split("forbidden %s errno=" % name)
            if len(said) > 1 and "\n" in said[1]:
                return "told", int(said[1].split("\n")[0])
            if pid is None and self.esignd.status()[service]["starts"] > starts:
                return "told", KILLED
            if pid is not None and "pid=%d signal=%d" % (pid, signal.SIGSYS) in self.log(service):
                return "told", KILLED
            return None

        result = wait_for(told, "what came of " + name)[1]
        if result == KILLED:
            wait_for(lambda: self.esignd.status()[service]["state"] == "ready", "ready again")
        return result


class Forbidden(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.attempt = Attempt()
        cls.addClassCleanup(cls.attempt.esignd.close)

    @req("design 2", "11.10(d)")
    def test_esignd__forbidden_calls__refused_or_killed(self):
        found = {name: self.attempt.outcome("esignd", name) for name in TRIES}
        self.assertEqual(found, IN_ESIGND)

    def in_worker(self, service, name):
        """In a worker whose start is over: where it confines itself, it has two filters."""
        filters = 1 if service.startswith("token-") else 2

        def ready():
            workers = self.attempt.esignd.workers(service)
            return [pid for pid in workers if filters_of(pid) >= filters]

        pid = wait_for(ready, service + " has a worker")[0]
        return self.attempt.outcome(service, name, pid)

    @req("design 2", "11.10(d)")
    def test_hash__forbidden_calls__refused_or_killed(self):
        found = {name: self.attempt.outcome("hash", name) for name in TRIES}
        self.assertEqual(found, IN_SUPERVISOR)
        found = {name: self.in_worker("hash", name) for name in TRIES}
        self.assertEqual(found, IN_WORKER)

    @req("design 2", "11.10(d)")
    def test_document__forbidden_calls__refused_or_killed(self):
        found = {name: self.attempt.outcome("document", name) for name in TRIES}
        self.assertEqual(found, IN_SUPERVISOR)
        found = {name: self.in_worker("document", name) for name in TRIES}
        self.assertEqual(found, IN_WORKER)

    @req("design 2", "11.10(d)")
    def test_token__forbidden_calls__refused_in_supervisor_and_workers(self):
        for where in (self.attempt.outcome, self.in_worker):
            self.assertEqual({name: where("token-signers", name) for name in IN_TOKEN}, IN_TOKEN)


class Unconfined(unittest.TestCase):
    """The counter-test: what is seen above comes from the sandbox and nothing else."""

    @req("design 2")
    def test_programs__without_their_sandbox__every_call_is_let_through(self):
        attempt = Attempt({"ESIGN_UNCONFINED": "1"})
        self.addCleanup(attempt.esignd.close)
        self.addCleanup(lambda: os.path.exists("/tmp/esign-forbidden") and
                        os.unlink("/tmp/esign-forbidden"))
        let_through = {name: 0 for name in TRIES} | {"exec": ENOENT, "ptrace": ESRCH,
                                                     "keyring": ENOKEY}
        found = {name: attempt.outcome("esignd", name) for name in TRIES}
        self.assertEqual(found, let_through)
        self.assertIn("has no Landlock", attempt.log("esignd"))
        for name in IN_TOKEN:
            self.assertEqual(attempt.outcome("token-signers", name), let_through[name], name)


if __name__ == "__main__":
    esigntest.main()
