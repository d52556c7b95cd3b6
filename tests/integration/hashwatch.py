"""What esignd has esign-hash check, seen from outside: tests/fault/hash_watch.c."""

import mmap
import os
import shutil
import struct
import tempfile

import esigntest


class HashWatch:
    """environment: for an Instance, before it starts."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="esign-watch-")
        os.chmod(self.folder, 0o755)  # esignd is another user, who need not reach the build
        shim = shutil.copy(os.path.join(esigntest.BUILD, "fault", "hash_watch.so"), self.folder)
        path = os.path.join(self.folder, "watch")
        with open(path, "w+b") as file:
            file.write(bytes(16))
            file.flush()
            os.chmod(path, 0o666)
            self.memory = mmap.mmap(file.fileno(), 16)
        self.environment = {"LD_PRELOAD": shim, "ESIGN_HASH_WATCH": path}

    def checked(self):
        return struct.unpack_from("=q", self.memory, 0)[0]

    def plant(self, wait_ms):
        """Let a code that belongs to nobody take longer."""
        struct.pack_into("=q", self.memory, 8, wait_ms)

    def close(self):
        self.memory.close()
        shutil.rmtree(self.folder, ignore_errors=True)
