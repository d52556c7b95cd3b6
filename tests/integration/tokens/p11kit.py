"""p11-kit remote: a server with SoftHSM2 behind a socket, a client module in the worker."""

import os
import signal
import stat

from tokens import softhsm2, zoo


class P11Kit(zoo.Module):
    name = "p11-kit"
    module = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"

    def __init__(self):
        super().__init__()
        self.behind = softhsm2.SoftHsm2()
        self.behind.label = self.label
        self.server = None

    @property
    def socket(self):
        return os.path.join(self.folder, "run", "pkcs11")

    @property
    def environment(self):
        return {"P11_KIT_SERVER_ADDRESS": "unix:path=" + self.socket}

    def begin(self):
        self.behind.start(self.user)
        self.directory("run")
        self.restart_backend()

    def end(self):
        self.behind.stop()

    def hang_backend(self):
        """The server and the process that it has for each connection."""
        os.killpg(self.backend, signal.SIGSTOP)

    def release_backend(self):
        os.killpg(self.backend, signal.SIGCONT)

    def listens(self):
        return os.path.exists(self.socket) and stat.S_ISSOCK(os.stat(self.socket).st_mode)

    def kill_backend(self):
        """The server and what it has started for each connection."""
        zoo.end_process(self.server, signal.SIGKILL)
        if self.listens():
            os.unlink(self.socket)

    def restart_backend(self):
        self.server = self.spawn(
            *self.as_user(), "p11-kit", "server", "--foreground", "--provider", self.behind.module,
            "-n", self.socket, "pkcs11:token=" + self.label, ready=self.listens,
            environment=self.behind.environment)
        self.backend = self.server.pid

    def remove(self):
        self.kill_backend()

    def put_back(self):
        self.restart_backend()
