"""Real PKCS#11 modules for the tests, each started privately: own folders, sockets and namespaces,
nothing left on the machine. What can't start fails the test.

    module = zoo.make("opencryptoki")
    esignd = zoo.site(self, module, {"signer": "rsa3072"})   # an Instance, not yet ready
    esignd.ready()                                            # the token signs for the signers
    module.kill_backend()

A module is a class of a file beside this one, entered in MODULES. `site` puts its token in the
place of the SoftHSM2 tokens of the named roles; roles that are not named keep theirs.
"""

import atexit
import importlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile

import esigntest

# name in the table of expectations -> file and class
MODULES = {
    "softhsm2": ("softhsm2", "SoftHsm2"),
    "opencryptoki": ("opencryptoki", "Opencryptoki"),
    "nss": ("nss", "Nss"),
    "p11-kit": ("p11kit", "P11Kit"),
    "tpm2": ("tpm", "Tpm"),
    "opensc": ("opensc", "OpenSc"),
}
# with the role kek: signers enrolled with this group have keys that it wraps
WRAPPED = {"default": "K1", "groups": [{"group": "sole", "custody": "K2"}]}
# role -> the token of packaging/trial-site that has it; kek is one more
TOKENS = {"signer": "signers", "ca": "ca", "log": "log", "kek": "kek"}
BOUND_S = 30
KEY_MS = "25000"  # an RSA key on a busy machine


def kind(name):
    """The class of a module."""
    file, symbol = MODULES[name]
    return getattr(importlib.import_module("tokens." + file), symbol)


def make(name):
    """A module by its name; nothing runs yet."""
    return kind(name)()


class Failure(AssertionError):
    """A component of a module could not be started or did not do what it must."""


class Module:
    """One module with one token. A subclass has `name` and `module`, makes its token (with `label`,
    `pin`) in begin(), and says what differs below."""

    name = module = None
    label = "zoo"
    pin = "1234567"  # eight characters are the most that all take
    so_pin = "76543210"
    init_args = ""  # the token's option of this name
    has_backend = True  # whether a process stands behind the module
    backend = None  # its id
    calls_backend = True  # whether a worker that stands needs it
    makes_keys = True  # whether a site can be made with its token

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="esign-zoo-")
        os.chmod(self.folder, 0o755)
        self.user = None  # of the token's service, once started
        self.processes = []
        self.started = False
        atexit.register(self.stop)  # for a run that is broken off

    # what a site needs to be told

    @property
    def uri(self):
        """RFC 7512, as in the configuration."""
        return "pkcs11:token=" + self.label.replace(" ", "%20")

    @property
    def environment(self):
        """Variables that the module needs in the worker."""
        return {}

    @property
    def enter(self):
        """Prefix of commands that must see what the module sees: namespaces."""
        return []

    def options(self, token):
        """Options of esignd.conf for this module as the token of that name."""
        pairs = ", ".join('"%s=%s"' % pair for pair in self.environment.items())
        options = {"module": '"%s"' % self.module, "uri": '"%s"' % self.uri,
                   "environment": "( %s )" % pairs}
        if self.init_args:
            options["init_args"] = '"%s"' % self.init_args
        return {"tokens.%s.%s" % (token, name): value for name, value in options.items()}

    # life

    def start(self, user=None):
        """Make folders, start what runs, make the token. user: of its service; None: ours."""
        self.user = user or pwd.getpwuid(os.geteuid()).pw_name
        self.started = True
        self.begin()
        return self

    def begin(self):
        raise NotImplementedError

    def end(self):
        """What begin() made beyond processes and folders."""

    def stop(self):
        """Take all down; may be called more than once."""
        atexit.unregister(self.stop)
        for process in reversed(self.processes):
            end_process(process)
        self.processes = []
        if self.started:
            self.started = False
            self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # faults: a module that has no process of its own is taken away and given back by its files

    def hang_backend(self):
        """Stop the process behind the module until release_backend()."""
        os.kill(self.backend, signal.SIGSTOP)

    def release_backend(self):
        os.kill(self.backend, signal.SIGCONT)

    def kill_backend(self):
        """Kill what stands behind the module; restart_backend() starts it again."""
        raise NotImplementedError

    def restart_backend(self):
        raise NotImplementedError

    def settle(self):
        """Before another fault: mend what the last one left of other people's daemons."""

    def remove(self):
        """Take the token away: nobody can use it until put_back()."""
        raise NotImplementedError

    def put_back(self):
        raise NotImplementedError

    # helpers for subclasses

    def directory(self, name, owned=True):
        """A folder of the module, of the token's user."""
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o700 if owned else 0o755)
        if owned:
            self.give(path)
        return path

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def give(self, path):
        """To the token's user, all that is beneath too."""
        if os.geteuid() != 0:
            return
        who = pwd.getpwnam(self.user)
        for where, folders, files in os.walk(path):
            for entry in [where] + [os.path.join(where, name) for name in folders + files]:
                os.chown(entry, who.pw_uid, who.pw_gid, follow_symlinks=False)

    def as_user(self):
        """Prefix of a command that runs as the token's user."""
        if os.geteuid() != 0:
            return []
        who = pwd.getpwnam(self.user)
        return ["setpriv", "--reuid", str(who.pw_uid), "--regid", str(who.pw_gid), "--init-groups",
                "--pdeathsig", "KILL", "--"]

    def run(self, *argv, text="", environment=None):
        """A command that must succeed; what it said."""
        done = subprocess.run([*self.enter, *argv], input=text.encode(), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BOUND_S,
                              env={**os.environ, **self.environment, **(environment or {})})
        said = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            raise Failure("%s: %s: exit code %d\n%s" % (self.name, " ".join(argv), done.returncode,
                                                       said))
        return said

    def spawn(self, *argv, ready, environment=None):
        """A process that stays until stop(), ready when ready() is true."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.enter, *argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment, **(environment or {})})
        self.processes.append(process)

        def stands():
            if process.poll() is not None:
                raise Failure("%s: %s: ended with %d\n%s" % (self.name, " ".join(argv),
                                                            process.returncode, self.log()))
            return ready()

        esigntest.wait_for(stands, "%s: %s is ready" % (self.name, argv[0]), BOUND_S)
        return process

    def log(self):
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]


def end_process(process, number=signal.SIGKILL):
    """The process and its group, waited for."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
            os.killpg(process.pid, signal.SIGCONT)  # one that is stopped ends too
        except ProcessLookupError:
            pass
    process.wait(BOUND_S)


def site(test, module, roles, options=None, policy=None):
    """A site whose named roles {"signer": "p256", …} use this module's token, with keys of that
    algorithm; the module is started. test: a TestCase (or its class), which takes both down."""
    tokens = {TOKENS[role]: algorithm for role, algorithm in roles.items()}
    users = ["esign-token-" + token if esigntest.ROOT else None for token in tokens]
    changed = dict(options or {})
    if "kek" in roles:
        changed["roles.kek"] = '"kek"'
        policy = {"custody": WRAPPED, **(policy or {})}
    for token, algorithm in tokens.items():
        changed.update(module.options(token))
        changed["tokens.%s.key_algorithm" % token] = '"%s"' % algorithm
        changed.setdefault("tokens.%s.deadline_ms" % token, KEY_MS)
        # one token, one user, whatever the number of roles that it has
        if esigntest.ROOT:
            changed["tokens.%s.user" % token] = '"%s"' % users[0]
    esignd = esigntest.Instance(options=changed, policy=policy)
    add_cleanup = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    add_cleanup(module.stop)
    add_cleanup(esignd.close)
    esignd.launch("setup")
    module.start(users[0])
    esignd.enter = module.enter
    for token in tokens:
        set_pin(esignd, token, module.pin)
    return esignd


def set_pin(esignd, token, pin):
    """What the token's service gets as its PIN."""
    path = os.path.join(esignd.root, "etc", "credentials", token + ".pin")
    os.unlink(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w",
              encoding="ascii") as file:
        file.write(pin)


def wrong_pin():
    """As long as a right one, so that only its value is wrong."""
    return "9" + "".join(secrets.choice("0123456789") for _ in range(6))
