"""opencryptoki's software token. Its state is the machine's: /etc/group, /var/lib/opencryptoki,
/dev/shm, System V shared memory, /run. Here it is in a mount and an IPC namespace of its own, so
that none of it is seen outside and two can run at once."""

import os
import shutil
import signal
import subprocess

import esigntest
from tokens import zoo

LIBRARY = "/usr/lib/x86_64-linux-gnu"
GROUP = "pkcs11"
# Members of the group must stand in /etc/group: the module reads that file, not its process.
PREPARE = """set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib/opencryptoki
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind "$1/group" /etc/group
mount --bind "$1/opencryptoki.conf" /etc/opencryptoki/opencryptoki.conf
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ
mkdir -p /var/log/opencryptoki
mount -t tmpfs tmpfs /var/log/opencryptoki
for place in /run/lock /var/lib; do
    chgrp -R pkcs11 $place/opencryptoki
    find $place/opencryptoki -type d -exec chmod 770 {} +
done
echo ready
exec cat
"""


class Opencryptoki(zoo.Module):
    name = "opencryptoki"
    module = LIBRARY + "/pkcs11/libopencryptoki.so"
    keeper = daemon = None
    calls_backend = False  # it is asked by C_Initialize alone

    @property
    def enter(self):
        if not self.keeper:
            return []
        return ["nsenter", "--target", str(self.keeper.pid), "--mount", "--ipc", "--root",
                "--wd", "--"]

    def begin(self):
        with open("/etc/group", encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines()
                     if not line.startswith(GROUP + ":")]
            file.seek(0)
            number = [line.split(":")[2] for line in file if line.startswith(GROUP + ":")]
        if not number:
            raise zoo.Failure("there is no group pkcs11; the package makes it")
        self.write("group", "\n".join(lines + ["%s:x:%s:root,%s" % (GROUP, number[0], self.user)])
                   + "\n")
        self.write("opencryptoki.conf", "version opencryptoki-3.8\nslot 3\n{\n"
                   "stdll = libpkcs11_sw.so\n}\n")
        self.keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *esigntest.own_mounts(), "--ipc", "--",
             "sh", "-c", PREPARE, "sh", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        self.processes.append(self.keeper)
        if self.keeper.stdout.readline() != b"ready\n":
            raise zoo.Failure("opencryptoki: no namespace: " + self.keeper.stderr.read().decode())
        self.restart_backend()
        first = "87654321"  # the PIN of the security officer of a new token
        self.run("pkcsconf", "-I", "-c", "3", "-S", first, text=self.label + "\n")
        self.run("pkcsconf", "-P", "-c", "3", "-S", first, "-n", self.so_pin)
        self.run("pkcsconf", "-u", "-c", "3", "-S", self.so_pin, "-n", "12345677")
        self.run("pkcsconf", "-p", "-c", "3", "-U", "12345677", "-n", self.pin)

    def end(self):
        for stream in (self.keeper.stdin, self.keeper.stdout, self.keeper.stderr):
            stream.close()

    def listens(self):
        return subprocess.run([*self.enter, "test", "-S", "/run/pkcsslotd.socket"],
                              check=False).returncode == 0

    def kill_backend(self):
        zoo.end_process(self.daemon, signal.SIGKILL)
        self.run("rm", "-f", "/run/pkcsslotd.socket")

    def remove(self):
        """Without the daemon no process can begin to use the token."""
        self.kill_backend()

    def put_back(self):
        self.restart_backend()

    def restart_backend(self):
        self.daemon = self.spawn("pkcsslotd", "-f", ready=self.listens)
        self.backend = self.daemon.pid
