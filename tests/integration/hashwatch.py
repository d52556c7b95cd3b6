"""What esignd has esign-hash check, seen from outside: tests/fault/hash_watch.c."""

import mmap
import os
import struct
import tempfile

import esigntest


class HashWatch:
    """environment: for an Instance, before it starts."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="esign-watch-")
        self.file.write(bytes(16))
        self.file.flush()
        os.chmod(self.file.name, 0o666)  # esignd is another user
        self.memory = mmap.mmap(self.file.fileno(), 16)
        self.environment = {
            "LD_PRELOAD": os.path.join(esigntest.BUILD, "fault", "hash_watch.so"),
            "ESIGN_HASH_WATCH": self.file.name}

    def checked(self):
        return struct.unpack_from("=q", self.memory, 0)[0]

    def plant(self, wait_ms):
        """Let a code that belongs to nobody take longer."""
        struct.pack_into("=q", self.memory, 8, wait_ms)

    def close(self):
        self.memory.close()
        self.file.close()
