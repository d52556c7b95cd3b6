""".clang-format decides the layout of C files; Python lines have at most 100 columns."""

import subprocess

import tree

C_FILES = tree.files(".c", ".h", under=("daemon", "pkcs11", "client", "include", "tests"))


def findings():
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *C_FILES], cwd=tree.SOURCE,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        for line in done.stdout.decode().splitlines():
            if "error:" in line or "warning:" in line:
                yield line
    for name in tree.files(".py") + ["packaging/launch", "packaging/trial-site"]:
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            if len(line) > 100:
                yield "%s:%d: longer than 100 columns" % (name, number)


tree.finish(findings())
