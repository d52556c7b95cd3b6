"""The harness of the integration tests: a private, complete esignd in a temporary folder.

    import unittest
    from esigntest import Instance, req

    class Signing(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.esignd = Instance().ready()      # tokens, services, init with two officers
            cls.addClassCleanup(cls.esignd.close)
            cls.signer = cls.esignd.enrol("jdoe")  # active, with key, certificate and password

        @req("11.50(a)", "11.70")
        def test_sign__record__valid(self):
            reply = self.esignd.sign(self.signer, b"record", "batch", "B-1", "1")
            self.assertEqual(reply["state"], "signed")

    if __name__ == "__main__":
        esigntest.main()

As root every service has its own system user; the callers are a terminal and an application, each a
user id that is neither root nor esignd. As an ordinary user separation is "none" and there is one
caller, the terminal. The programs come from $ESIGN_BUILD (default: build/release of the checkout),
installed once a process. ESIGN_KEEP=1 keeps the folder.
"""

import atexit
import base64
import functools
import glob
import grp
import hashlib
import http.client
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ESIGN_BUILD", os.path.join(SOURCE, "build", "release"))
ROOT = os.geteuid() == 0
WAIT_S = 30.0
PASSWORD = "correct horse battery staple"
SANITIZER_WORDS = ("AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer")


def req(*requirements):
    """Name the requirements that a test proves; the runner writes them with its verdict."""

    def mark(function):
        function.requirements = requirements
        return function

    return mark


def wait_for(condition, what, bound_s=WAIT_S):
    """Wait until condition() is true and return its value; AssertionError after bound_s."""
    until = time.monotonic() + bound_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("not within %.0f s: %s" % (bound_s, what))
        time.sleep(0.01)


# --- callers -------------------------------------------------------------------------------------


class Caller:
    """The user under which a connection is made; None: this process's own."""

    def __init__(self, uid=None, groups=()):
        self.uid, self.groups = uid, tuple(groups)

    def argv(self):
        """Prefix of a command that runs as this caller."""
        if self.uid is None:
            return []
        return ["setpriv", "--reuid", str(self.uid), "--regid", str(self.groups[0]),
                "--groups", ",".join(str(g) for g in self.groups), "--"]


def esign_gid():
    """The group `esign`, which launch makes."""
    return grp.getgrnam("esign").gr_gid


def terminal_caller():
    return Caller(61001, (esign_gid(),)) if ROOT else Caller()


def application_caller(number=0):
    """An application: its own user and group, `esign` only as a further group."""
    return Caller(61100 + number, (61100 + number, esign_gid())) if ROOT else Caller()


ROOT_CALLER = Caller()
_identity = threading.Lock()


def connect(path, caller=ROOT_CALLER, bound_s=WAIT_S):
    """A connected stream socket; the kernel notes the caller's ids at connect()."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(bound_s)
    if caller.uid is None:
        connection.connect(path)
        return connection
    with _identity:
        before = os.getgroups()
        try:
            os.setgroups(caller.groups)
            os.setegid(caller.groups[0])
            os.seteuid(caller.uid)
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(before)
    return connection


class Connection(http.client.HTTPConnection):
    """HTTP over the Unix socket, kept alive between requests."""

    def __init__(self, path, caller=ROOT_CALLER, bound_s=WAIT_S):
        super().__init__("localhost", timeout=bound_s)
        self.path, self.caller, self.bound_s = path, caller, bound_s

    def connect(self):
        self.sock = connect(self.path, self.caller, self.bound_s)

    def send_json(self, method, path, body=None, headers=None):
        """One request. Returns (status, decoded reply)."""
        content = None if body is None else json.dumps(body).encode()
        head = dict(headers or {})
        if content is not None:
            head.setdefault("Content-Type", "application/json")
        try:
            self.request(method, path, content, head)
        except BrokenPipeError:
            pass  # refused by its header, before the body: the reply is there to be read
        reply = self.getresponse()
        data = reply.read()
        if "json" in (reply.getheader("Content-Type") or "") and \
                "jsonl" not in reply.getheader("Content-Type"):
            return reply.status, json.loads(data)
        return reply.status, data


class Refused(Exception):
    """A reply that is not 2xx: .status, .code, .reason, .body."""

    def __init__(self, status, body):
        super().__init__("%s %s" % (status, body))
        self.status, self.body = status, body
        problem = body if isinstance(body, dict) else {}
        self.code, self.reason = problem.get("code"), problem.get("reason")


class Person:
    """A signer or officer with what proves it."""

    def __init__(self, user_id, printed_name, title, password=PASSWORD, signer_id=None):
        self.user_id, self.printed_name, self.title = user_id, printed_name, title
        self.password, self.signer_id = password, signer_id

    @property
    def components(self):
        return {"user_id": self.user_id, "password": self.password}


def evidence(number="P1234567"):
    return {"method": "in-person", "document_type": "passport", "issuer": "CHE",
            "number": number, "seen": "2026-11-20"}


class Case(unittest.TestCase):
    """A test case that can expect refusals."""

    def refused(self, code, call, *arguments, reason=None, field=None, **named):
        """Call it; the body of the refusal, whose code, reason and field are those given."""
        with self.assertRaises(Refused) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.code, code, caught.exception.body)
        if reason is not None:
            self.assertEqual(caught.exception.reason, reason, caught.exception.body)
        if field is not None:
            self.assertEqual(caught.exception.body.get("field"), field, caught.exception.body)
        return caught.exception.body


# --- the programs --------------------------------------------------------------------------------


@functools.cache
def own_mounts():
    """Words before a command that gives it mounts of its own. In a chroot whose root is no mount
    there is nothing that could be told to keep them apart: they are as private as what is around.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        is_mount = any(line.split()[4] == "/" for line in file)
    return ["unshare", "--mount", *([] if is_mount else ["--propagation", "unchanged"])]


@functools.cache
def installed_prefix():
    """Install $ESIGN_BUILD into a folder that system users can read; once a process."""
    given = os.environ.get("ESIGN_PREFIX")
    if given:
        return given
    prefix = tempfile.mkdtemp(prefix="esign-prefix-")
    atexit.register(shutil.rmtree, prefix, ignore_errors=True)
    os.chmod(prefix, 0o755)
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError("cmake --install: " + done.stdout.decode("utf-8", "replace"))
    return prefix


@functools.cache
def trial_site():
    path = os.path.join(SOURCE, "packaging", "trial-site")
    loader = importlib.machinery.SourceFileLoader("trial_site", path)
    spec = importlib.util.spec_from_loader("trial_site", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def children_of(pid):
    """Direct children of a process."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="utf-8",
                  errors="replace") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def send_signal(pid, number):
    """os.kill by root: another thread may be connecting as somebody else, and then all are."""
    with _identity:
        os.kill(pid, number)


class Instance:
    """A site of its own. options: esignd.conf values by dotted name, written as they stand. policy:
    groups of policy.json whose members replace those that are shipped: {"auth": {"delay_s": []}}.
    """

    def __init__(self, options=None, environment=None, policy=None):
        self.prefix = installed_prefix()
        self.closed = False
        atexit.register(self.close)  # for a run that is broken off
        self.root = tempfile.mkdtemp(prefix="esign-")
        os.chmod(self.root, 0o755)
        trial_site().make(self.root, self.prefix, options or {})
        if policy:
            self.set_policy(**policy)
        self.config = os.path.join(self.root, "etc", "esignd.conf")
        self.socket = os.path.join(self.root, "run", "esignd.sock")
        self.environment = {"ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
        self.officers = [Person("mkeller", "Martina Keller", "QA system officer",
                                "officer one has a long password"),
                         Person("psato", "Paul Sato", "Security officer",
                                "officer two has a long password")]
        self.terminal = self.application = None
        self.enter = []  # prefix of what starts the services: namespaces
        self.enrolled = 0

    # life

    def launch(self, *command, check=True):
        """packaging/launch of the installed prefix."""
        argv = [*self.enter, os.path.join(self.prefix, "libexec", "esignd", "launch"),
                "--config", self.config, "--prefix", self.prefix]
        for name, value in self.environment.items():
            argv += ["--setenv", "%s=%s" % (name, value)]
        done = subprocess.run(argv + list(command), check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        text = done.stdout.decode("utf-8", "replace")
        if check and done.returncode != 0:
            raise RuntimeError("launch %s: %s\n%s" % (" ".join(command), text, self.logs()))
        return text

    def start(self):
        self.launch("start")
        return self

    def stop(self):
        self.launch("stop")
        return self

    def ready(self):
        """Tokens, services, init with two officers, and (as root) the application `mes`."""
        self.launch("tokens")
        self.start()
        self.terminal = terminal_caller()
        self.application = application_caller()
        self.init()
        if ROOT:
            self.add_application("mes", self.application.uid)
        return self

    def close(self):
        """Stop and remove everything; a sanitizer's report in a log is a failure."""
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        self.launch("stop", check=False)
        text = self.logs(last=None)
        if os.environ.get("ESIGN_KEEP") != "1":
            shutil.rmtree(self.root, ignore_errors=True)
        for word in SANITIZER_WORDS:
            if word in text:
                raise AssertionError(text[text.index(word) - 200:][:4000])

    def logs(self, last=20):
        directory = os.path.join(self.root, "run", "launch")
        lines = []
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if name.endswith(".log"):
                with open(os.path.join(directory, name), "rb") as file:
                    text = file.read().decode("utf-8", "replace").splitlines()
                lines += ["%s: %s" % (name, line) for line in (text[-last:] if last else text)]
        return "\n".join(lines)

    def status(self):
        """What launch says of each service: pid, state, starts."""
        path = os.path.join(self.root, "run", "launch", "status.json")
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def pid(self, service):
        """Main process of "esignd", "hash", "document", "token-signers" …; waits for one."""
        return wait_for(lambda: self.status()[service]["pid"], service + " has a process")

    def workers(self, service):
        """Worker processes of a helper's supervisor."""
        return children_of(self.pid(service))

    def kill(self, service, number=signal.SIGKILL):
        """Kill a service's main process and wait until launch has it ready again."""
        pid = self.pid(service)
        before = self.status()[service]["starts"]
        with _identity:  # another thread may be connecting as somebody else
            os.kill(pid, number)

        def again():
            row = self.status()[service]
            return row["starts"] > before and row["state"] == "ready"

        wait_for(again, service + " is ready again")

    def reload(self):
        """Have esignd read its configuration again and wait until it has."""
        pid, before = self.pid("esignd"), self.status()["esignd"]["reloads"]
        with _identity:
            os.kill(pid, signal.SIGHUP)
        wait_for(lambda: self.status()["esignd"]["reloads"] > before, "the configuration is read")

    def kill_worker(self, service, number=signal.SIGKILL):
        """Kill one worker of a helper; returns its pid. The supervisor replaces it."""
        pid = wait_for(lambda: self.workers(service), service + " has a worker")[0]
        with _identity:
            os.kill(pid, number)
        return pid

    def kill_workers(self, service, number=signal.SIGKILL):
        """Kill all workers that a helper has now."""
        with _identity:
            for pid in self.workers(service):
                os.kill(pid, number)

    def sql(self, text, *values):
        """SQL on the store's file, past the daemon; files that SQLite makes get its owner."""
        path = os.path.join(self.root, "lib", "esignd", "store.db")
        database = sqlite3.connect(path)
        rows = database.execute(text, values).fetchall()
        database.commit()
        database.close()
        owner = os.stat(os.path.dirname(path))
        for made in glob.glob(path + "*"):
            if ROOT:
                os.chown(made, owner.st_uid, owner.st_gid)
        return rows

    def set_policy(self, **sections):
        """Change members of policy.json, which init reads: set_policy(session={"idle_s": 2})."""
        path = os.path.join(self.root, "etc", "policy", "policy.json")
        with open(path, encoding="utf-8") as file:
            policy = json.load(file)
        for section, members in sections.items():
            if isinstance(members, dict):
                policy[section].update(members)
            else:
                policy[section] = members
        with open(path, "w", encoding="utf-8") as file:
            json.dump(policy, file)
        return self

    # the socket

    def connection(self, caller=ROOT_CALLER):
        return Connection(self.socket, caller)

    def ask(self, method, path, body=None, caller=None, headers=None):
        """One request on its own connection; returns the decoded reply, raises Refused."""
        connection = self.connection(caller or self.terminal or ROOT_CALLER)
        try:
            status, reply = connection.send_json(method, path, body, headers)
        finally:
            connection.close()
        if status >= 300:
            raise Refused(status, reply)
        return reply

    def get(self, path, caller=None):
        return self.ask("GET", path, caller=caller)

    def post(self, path, body, caller=None, headers=None):
        return self.ask("POST", path, body, caller, headers)

    # the command

    def esign(self, *arguments, caller=None, check=True, passwords=(), stdin=b""):
        """Run `esign`; passwords are given by descriptor, a line each. Returns the process."""
        who = caller or self.terminal or ROOT_CALLER
        argv = who.argv() + [os.path.join(self.prefix, "bin", "esign"), "--socket", self.socket]
        descriptors = []
        if passwords:
            reader, writer = os.pipe()
            os.write(writer, "".join(p + "\n" for p in passwords).encode())
            os.close(writer)
            descriptors = [reader]
            argv += ["--password-fd", str(reader)]
        try:
            with _identity:  # another thread may be connecting as somebody else
                process = subprocess.Popen(argv + list(arguments), stdin=subprocess.PIPE,
                                           pass_fds=descriptors, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
            with process:
                try:
                    out, err = process.communicate(stdin, timeout=60)
                except BaseException:
                    process.kill()
                    raise
            done = subprocess.CompletedProcess(argv, process.returncode, out, err)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if check and done.returncode != 0:
            raise AssertionError("esign %s: exit %d\n%s%s" % (
                " ".join(arguments), done.returncode, done.stdout.decode(), done.stderr.decode()))
        return done

    # the ceremony

    def init(self):
        officers = [{"user_id": p.user_id, "printed_name": p.printed_name, "title": p.title,
                     "password": p.password, "evidence": evidence("OFF%04d" % i)}
                    for i, p in enumerate(self.officers)]
        where = {"gid": esign_gid()} if ROOT else {"uid": os.geteuid()}
        reply = self.post("/v1/init", {
            "organisation": "Trial Pharma AG", "ca_name": "Trial Pharma Signing CA",
            "officers": officers,
            "terminal": {"id": "trial-terminal", "location": "Laboratory 1", **where},
        }, caller=ROOT_CALLER)
        for person, row in zip(self.officers, reply["officers"]):
            person.signer_id = row["signer_id"]
        self.initialised = reply
        return reply

    def request_approval(self, action, params, reason="needed for the test", officer=0):
        return self.post("/v1/approvals", {
            "components": self.officers[officer].components, "action": action, "reason": reason,
            "params": params})

    def approve(self, approval, officer=1):
        return self.post("/v1/approvals/%s/approve" % approval,
                         {"components": self.officers[officer].components})

    def two_officers(self, action, params):
        """Asked by one, approved by the other; returns both replies in one."""
        asked = self.request_approval(action, params)
        return {**asked, **self.approve(asked["approval"])}

    def add_application(self, name, uid, rights=("ticket", "entry_app", "verify", "read")):
        return self.two_officers("application.add", {
            "id": name, "name": "Application " + name, "uid": uid, "rights": list(rights)})

    def enrol(self, user_id, printed_name=None, title="Production operator", password=PASSWORD,
              algorithm=None, roles=("signer",), group=None):
        """Enrolled by two officers, activated by the signer; returns the Person."""
        person = Person(user_id, printed_name or "Signer " + user_id, title, password)
        self.enrolled += 1
        done = self.two_officers("signer.enroll", {
            "user_id": user_id, "printed_name": person.printed_name, "title": title,
            "roles": list(roles), "evidence": evidence("SIG%06d" % self.enrolled),
            **({"group": group} if group else {})})
        return self.activate(person, done, algorithm)

    def activate(self, person, done, algorithm=None):
        body = {"receipt": done["receipt"], "secret": done["secret"], "password": person.password,
                "accept_statement": {"code": "accountability", "version": 1}}
        if algorithm:
            body["algorithm"] = algorithm
        reply = self.post("/v1/signers/%s/activate" % person.user_id, body)
        person.signer_id = reply["signer"]["signer_id"]
        return person

    def open_session(self, person, caller=None, connection=None, **members):
        """Returns the handle."""
        body = {"components": person.components, **members}
        if connection is None:
            return self.post("/v1/sessions", body, caller)["session"]
        status, reply = connection.send_json("POST", "/v1/sessions", body)
        if status >= 300:
            raise Refused(status, reply)
        return reply["session"]

    @staticmethod
    def record(content, record_type, record_id, version, media_type="application/octet-stream"):
        return {"type": record_type, "id": record_id, "version": version,
                "media_type": media_type, "content": base64.b64encode(content).decode()}

    def ticket(self, content, record_type, record_id, version, meaning="approved", **members):
        """A ticket made by the application."""
        return self.post("/v1/tickets", {
            "record": self.record(content, record_type, record_id, version), "meaning": meaning,
            **members}, caller=self.application)

    def authorise(self, ticket, person):
        """The signer authorises a ticket at the terminal; returns the signature."""
        return self.post("/v1/tickets/%s/authorise" % ticket["ticket"], {
            "components": person.components, "nonce": ticket["nonce"],
            "presented_hash": ticket["record"]["hash"]})

    def sign(self, person, content, record_type, record_id, version, meaning="approved",
             **members):
        """Ticket and authorisation in one, by the application; returns the signature."""
        return self.post("/v1/signatures", {
            "record": self.record(content, record_type, record_id, version), "meaning": meaning,
            "components": person.components, **members}, caller=self.application)

    def validate(self, signature, content, record_type=None, record_id=None, version=None):
        """signature: DER bytes, or a signature object of the API."""
        value = signature["value"] if isinstance(signature, dict) else \
            base64.b64encode(signature).decode()
        record = {"content": base64.b64encode(content).decode()}
        for name, text in (("type", record_type), ("id", record_id), ("version", version)):
            if text is not None:
                record[name] = text
        return self.post("/v1/validations", {"signature": value, "record": record},
                         caller=self.application)

    def entries(self, after=None):
        """All audit entries, in order, as objects."""
        items, position = [], after
        while True:
            query = "?limit=500" + ("" if position is None else "&after=%s" % position)
            reply = self.get("/v1/audit/entries" + query)
            items += reply["items"]
            if "next" not in reply:
                return items
            position = reply["next"]


class Clock:
    """The time of an instance's services, moved by a file that they have mapped; made before they
    start."""

    def __init__(self, esignd):
        self.path, self.shift = os.path.join(esignd.root, "clock-shift"), 0
        # beside the site, since its services may not be able to read a build folder
        library = os.path.join(esignd.root, "clock_shift.so")
        shutil.copyfile(os.path.join(BUILD, "fault", "clock_shift.so"), library)
        with open(self.path, "wb") as file:
            file.write(bytes(8))
        os.chmod(library, 0o755)
        os.chmod(self.path, 0o644)
        esignd.environment.update({
            "LD_PRELOAD": library, "ESIGN_CLOCK_SHIFT": self.path,
            "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"})

    def advance(self, seconds):
        self.shift += seconds
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", self.shift))


# --- the runner ----------------------------------------------------------------------------------


@functools.cache
def circumstances(build=BUILD):
    """Host, commit, build and hash of its daemon: on every line of results.jsonl."""
    commit = subprocess.run(["git", "-C", SOURCE, "rev-parse", "HEAD"], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    daemon = os.path.join(build, "daemon", "esignd")
    digest = ""
    if os.path.exists(daemon):
        with open(daemon, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    return {"host": socket.gethostname(), "commit": commit.stdout.decode().strip() or "none",
            "binary": digest, "build": os.path.basename(build)}


class Result(unittest.TextTestResult):
    """Writes one JSON line a test to $ESIGN_RESULTS; a skipped test has failed."""

    def startTest(self, test):
        self.began = time.monotonic()
        self.verdict, self.detail = "passed", ""
        super().startTest(test)

    def fail_with(self, detail):
        self.verdict, self.detail = "failed", str(detail)[-2000:]

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report_outside(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.report_outside(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.fail_with(err[1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.failures.append((test, "skipped: " + reason))
        self.report_outside(test, "skipped: " + reason)

    def report_outside(self, test, detail):
        """setUpClass fails outside of any test: that is a line of its own."""
        self.fail_with(detail)
        if not isinstance(test, unittest.TestCase):
            self.write(str(test), (), 0.0)

    def stopTest(self, test):
        function = getattr(test, test._testMethodName)
        seconds = time.monotonic() - self.began
        self.write(test.id(), getattr(function, "requirements", ()), seconds)
        super().stopTest(test)

    def write(self, name, requirements, seconds):
        path = os.environ.get("ESIGN_RESULTS")
        if not path:
            return
        module = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        folder = os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0])))
        line = {"test": "%s/%s" % (folder, name.replace("__main__", module)),
                "requirements": list(requirements), "verdict": self.verdict,
                "seconds": round(seconds, 3), **circumstances()}
        if self.detail:
            line["detail"] = self.detail
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def stop_testing(*_):
    raise KeyboardInterrupt("the time for this file is over")


def main():
    """Run the tests of the calling file; arguments as unittest's.  SIGTERM takes services down."""
    signal.signal(signal.SIGTERM, stop_testing)
    unittest.main(module="__main__", verbosity=2,
                  testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Result))
