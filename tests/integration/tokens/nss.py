"""NSS softokn with a database of its own. All of it runs in the worker's process."""

import os

from tokens import zoo


class Nss(zoo.Module):
    name = "nss"
    module = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
    has_backend = False
    label = "NSS Certificate DB"

    @property
    def database(self):
        return os.path.join(self.folder, "database")

    @property
    def environment(self):
        # a database made with one iteration signs ten times as fast; for tests only
        return {"NSS_MAX_MP_PBE_ITERATION_COUNT": "1"}

    @property
    def init_args(self):
        return "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=" \
            % self.database

    def begin(self):
        password = self.write("password", self.pin, 0o600)
        self.directory("database")
        self.run("certutil", "-N", "-d", "sql:" + self.database, "-f", password)
        self.give(self.database)

    def remove(self):
        os.rename(self.database, self.database + ".away")

    def put_back(self):
        os.rename(self.database + ".away", self.database)
