"""A smart card reader of our own, and PIV cards to put into it: pcscd with the virtual reader of
vsmartcard, and the card of tests/card. Nothing of the machine is touched: pcscd sees a /run of its
own, and the reader's ports are its own.

    reader = Reader().start()
    card = Card(reader).insert()
    subprocess.run([…], env={**os.environ, **reader.environment})   # a client, with OpenSC's module
    card.pull()
    card.stop()
    reader.stop()

Keys and certificates are files of card.folder: 9a.key (PEM) and 9a.crt (DER; RSA-2048, PIN once),
9c (P-256, PIN for each signature), 9e (P-256, no PIN). They are made with the
card; a certificate that is written there is on the card from the next insert() on.
"""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile

import esigntest

MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/opensc-pkcs11.so"
DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
SLOTS = 2  # of a reader; each has its port
PORTS = range(20000, 32000, SLOTS)  # below those that the kernel gives to others
PORT_TRIES = 20
PRIVATE_RUN = 'mount --bind "$1" /run && shift && exec "$@"'


def is_free(port):
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports():
    """The first of SLOTS ports side by side that nobody uses."""
    for _ in range(PORT_TRIES):
        first = random.choice(PORTS)
        if all(is_free(first + i) for i in range(SLOTS)):
            return first
    raise AssertionError("no free ports for a reader")


def end(process, number=signal.SIGKILL):
    """A process of ours, waited for."""
    if process.poll() is None:
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
    process.wait(esigntest.WAIT_S)


class Reader:
    """pcscd with a reader of two slots."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="esign-reader-")
        os.chmod(self.folder, 0o755)
        self.process = None
        self.port = free_ports()
        os.mkdir(os.path.join(self.folder, "conf"))
        os.mkdir(os.path.join(self.folder, "run"))
        self.write("conf/reader", 'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x%X\n'
                   "LIBPATH %s\nCHANNELID 0x%X\n" % (self.port, DRIVER, self.port))
        self.write("opensc.conf", "app default {\n  card_drivers = PIV-II;\n  framework pkcs15 {\n"
                   "    use_pin_caching = false;\n    use_file_caching = no;\n  }\n}\n")
        atexit.register(self.stop)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(text)

    @property
    def socket(self):
        return os.path.join(self.folder, "run", "pcscd", "pcscd.comm")

    @property
    def environment(self):
        """What a client of this reader needs."""
        return {"PCSCLITE_CSOCK_NAME": self.socket,
                "OPENSC_CONF": os.path.join(self.folder, "opensc.conf")}

    def start(self):
        """Start pcscd, also once more after kill()."""
        unshare = esigntest.own_mounts() + ([] if esigntest.ROOT else ["--map-root-user"])
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", PRIVATE_RUN, "sh",
                 os.path.join(self.folder, "run"), "pcscd", "--foreground", "--error", "--config",
                 os.path.join(self.folder, "conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        esigntest.wait_for(self.answers, "pcscd answers")
        return self

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                raise AssertionError("pcscd ended with %d: %s" % (self.process.returncode,
                                                                 log.read()))
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.socket) == 0

    def lives(self):
        return self.process.poll() is None

    def kill(self):
        """As a crash; all cards are out afterwards."""
        end(self.process)
        os.unlink(self.socket)

    def stop(self):
        atexit.unregister(self.stop)
        if self.process:
            end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Card:
    """A PIV card. Another card of the same reader can be in its other slot (slot=1) at the same
    time. folder: a card that was there before, with its keys; its counters are new. tries: of PIN
    and PUK; 0: blocked."""

    pin, puk = "123456", "12345678"

    def __init__(self, reader, slot=0, folder=None, delay_ms=0, tries=3):
        self.folder = folder or tempfile.mkdtemp(prefix="esign-card-")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", os.path.join(esigntest.BUILD, "card", "card"),
             "--port", str(reader.port + slot), "--state", self.folder, "--pin", self.pin, "--puk",
             self.puk, "--tries", str(tries), "--delay-ms", str(delay_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        atexit.register(self.stop)
        self.status()  # once it answers, its files are there

    def path(self, name):
        """A file of the card: "9c.crt"."""
        return os.path.join(self.folder, name)

    def tell(self, line, answer=None):
        self.process.stdin.write(line + "\n")
        said = self.process.stdout.readline().strip()
        if answer is not None and said != answer:
            raise AssertionError("card: %s: %s" % (line, said or "it has ended"))
        return said

    def status(self):
        """Numbers by name: inserted, seen (by the reader), pin_left, puk_left, verified and refused
        (PINs), signatures."""
        return {name: int(value) for name, value in
                (pair.split("=") for pair in self.tell("status").split())}

    def insert(self):
        """Put it in and wait until the reader has seen it."""
        self.tell("insert", "inserted")
        esigntest.wait_for(lambda: self.status()["seen"], "the reader has seen the card")
        return self

    def pull(self):
        self.tell("pull", "pulled")
        return self

    def delay(self, milliseconds):
        """What each command takes from now on."""
        self.tell("delay %d" % milliseconds, "ok")

    def at_sign(self, what):
        """What happens in the middle of the next signature: "pull", "hang" or "nothing"."""
        self.tell("at-sign " + what, "ok")

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def release(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, keep=False):
        """Out of the reader, and gone unless its folder is kept for another Card()."""
        atexit.unregister(self.stop)
        end(self.process)
        self.process.stdin.close()
        self.process.stdout.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
