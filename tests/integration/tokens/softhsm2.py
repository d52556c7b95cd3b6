"""SoftHSM2 with a folder of its own."""

import os

from tokens import zoo


class SoftHsm2(zoo.Module):
    name = "softhsm2"
    module = "/usr/lib/softhsm/libsofthsm2.so"
    has_backend = False

    @property
    def environment(self):
        return {"SOFTHSM2_CONF": os.path.join(self.folder, "softhsm2.conf")}

    @property
    def tokens(self):
        return os.path.join(self.folder, "tokens")

    def begin(self):
        self.write("softhsm2.conf", "directories.tokendir = %s\nobjectstore.backend = file\n"
                   "log.level = ERROR\n" % self.directory("tokens"))
        self.run(*self.as_user(), "softhsm2-util", "--init-token", "--free", "--label", self.label,
                 "--pin", self.pin, "--so-pin", self.so_pin)
        self.keep_token_object()

    def keep_token_object(self):
        """As packaging/launch does it: a login would truncate and rewrite the file."""
        for where, _, files in os.walk(self.tokens):
            if "token.object" in files:
                path = os.path.join(where, "token.object")
                os.chown(path, 0 if os.geteuid() == 0 else -1, -1)
                os.chmod(path, 0o444)

    def remove(self):
        os.rename(self.tokens, self.tokens + ".away")

    def put_back(self):
        os.rename(self.tokens + ".away", self.tokens)
