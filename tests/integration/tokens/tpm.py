"""A TPM 2.0 in software: tpm2-pkcs11 over the resource manager tpm2-abrmd, on a D-Bus of its own,
over swtpm. All run as the token's user."""

import os
import re
import signal
import socket
import stat

from tokens import card, zoo

RESOURCE_MANAGER = "com.intel.tss2.Tabrmd"  # its name on the bus


class Tpm(zoo.Module):
    name = "tpm2"
    module = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"

    def __init__(self):
        super().__init__()
        self.port = card.free_ports()  # of commands; the next is that of control
        self.chip = self.bus = self.manager = None

    @property
    def bus_path(self):
        return os.path.join(self.folder, "bus", "socket")

    @property
    def environment(self):
        return {"TPM2_PKCS11_STORE": os.path.join(self.folder, "store"),
                "TPM2_PKCS11_TCTI": "tabrmd:bus_type=session",
                "DBUS_SESSION_BUS_ADDRESS": "unix:path=" + self.bus_path}

    def begin(self):
        for name in ("chip", "bus", "store", "home"):
            self.directory(name)
        self.run(*self.as_user(), "swtpm_setup", "--tpm2", "--tpmstate",
                 os.path.join(self.folder, "chip"), "--createek", "--allow-signing", "--decryption",
                 "--overwrite", environment={"HOME": os.path.join(self.folder, "home")})
        self.bus = self.spawn(*self.as_user(), "dbus-daemon", "--session", "--nofork",
                              "--nopidfile", "--address=unix:path=" + self.bus_path,
                              ready=self.bus_listens)
        self.restart_backend()
        self.tool("--slot-index", "0", "--init-token", "--label", self.label)
        self.tool("--token-label", self.label, "--init-pin", "--login", "--login-type", "so",
                  "--pin", self.pin)

    def tool(self, *arguments):
        self.run(*self.as_user(), "pkcs11-tool", "--module", self.module, "--so-pin", self.so_pin,
                 *arguments)

    def bus_listens(self):
        if not os.path.exists(self.bus_path) or not stat.S_ISSOCK(os.stat(self.bus_path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.bus_path) == 0

    def chip_listens(self):
        return not card.is_free(self.port) and not card.is_free(self.port + 1)

    def manager_answers(self):
        said = self.run(*self.as_user(), "dbus-send", "--bus=unix:path=" + self.bus_path,
                        "--print-reply", "--dest=org.freedesktop.DBus", "/",
                        "org.freedesktop.DBus.NameHasOwner", "string:" + RESOURCE_MANAGER)
        return "boolean true" in said

    def start_manager(self):
        self.manager = self.spawn(
            *self.as_user(), "tpm2-abrmd", "--session", "--flush-all",
            "--tcti=swtpm:host=127.0.0.1,port=%d" % self.port, ready=self.manager_answers)

    def kill_manager(self):
        """Only the resource manager; start_manager() starts it again."""
        zoo.end_process(self.manager, signal.SIGKILL)

    def kill_backend(self):
        """The chip, and the resource manager, which can't live without it."""
        zoo.end_process(self.chip, signal.SIGKILL)
        self.kill_manager()

    def restart_backend(self):
        self.chip = self.spawn(
            *self.as_user(), "swtpm", "socket", "--tpm2", "--tpmstate",
            "dir=" + os.path.join(self.folder, "chip"), "--ctrl",
            "type=tcp,port=%d" % (self.port + 1), "--server",
            "type=tcp,port=%d,disconnect" % self.port, "--flags", "not-need-init,startup-clear",
            ready=self.chip_listens)
        self.backend = self.chip.pid
        self.start_manager()

    # the token is a file of the store; without it the module shows a slot without a token

    def remove(self):
        os.rename(os.path.join(self.folder, "store"), os.path.join(self.folder, "away"))

    def put_back(self):
        os.rename(os.path.join(self.folder, "away"), os.path.join(self.folder, "store"))

    def forgive(self):
        """Forget what was counted."""
        self.run(*self.as_user(), "tpm2_dictionarylockout", "--clear-lockout", "-T",
                 "tabrmd:bus_type=session")

    def failures(self):
        """What the TPM has counted of refused PINs: at its limit it locks for all."""
        said = self.run(*self.as_user(), "tpm2_getcap", "properties-variable", "-T",
                        "tabrmd:bus_type=session")
        return int(re.search(r"TPM2_PT_LOCKOUT_COUNTER: 0x([0-9A-Fa-f]+)", said).group(1), 16)
