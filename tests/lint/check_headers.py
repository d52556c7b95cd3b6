"""Each header compiles alone; include/ also as C99 with -pedantic and as C++."""

import concurrent.futures
import os
import subprocess

import tree

INSIDE = ["gcc", "-std=gnu2x", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
          "-Wno-unused-function", "-Wno-unused-parameter", "-Idaemon", "-I.", "-Iinclude",
          "-Iclient", "-Iclient/lib", "-Itests/unit"]
OUTSIDE = [
    ["gcc", "-x", "c", "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Iinclude"],
    ["g++", "-x", "c++", "-std=c++11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror",
     "-Iinclude"],
]
MODULES = ["p11-kit-1", "jansson", "libcrypto", "sqlite3", "libmicrohttpd", "libcurl", "libconfig"]


def compile_alone(job):
    argv, name = job
    done = subprocess.run(argv + ["-fsyntax-only", "-"], cwd=tree.SOURCE, check=False,
                          input=b'#include "%s"\n' % os.path.abspath(
                              os.path.join(tree.SOURCE, name)).encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return "" if done.returncode == 0 else "%s: %s" % (name, done.stdout.decode()[:600])


def jobs():
    flags = subprocess.run(["pkg-config", "--cflags", *MODULES], check=True,
                           stdout=subprocess.PIPE).stdout.decode().split()
    for name in tree.files(".h", under=("daemon", "pkcs11", "client")) + ["tests/unit/req.h"]:
        yield INSIDE + flags + ["-x", "c"], name
    for name in tree.files(".h", under=("include",)):
        for argv in OUTSIDE:
            yield argv, name


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    tree.finish(found for found in pool.map(compile_alone, list(jobs())) if found)
