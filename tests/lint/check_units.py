"""systemd-analyze verify on the units, and every service has its user, socket and hardening."""

import os
import re
import subprocess
import tempfile

import tree

FOLDER = "packaging/systemd"
HARDENING = ("NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict",
             "PrivateDevices=yes", "RestrictAddressFamilies=AF_UNIX", "MemoryDenyWriteExecute=yes",
             "SystemCallFilter=@system-service", "LimitCORE=0", "ProtectHome=yes", "PrivateTmp=yes",
             "PrivateMounts=yes", "PrivateNetwork=yes", "ProtectKernelModules=yes",
             "ProtectKernelTunables=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
             "ProtectProc=invisible", "RestrictNamespaces=yes", "RestrictSUIDSGID=yes",
             "RestrictRealtime=yes", "LockPersonality=yes", "KeyringMode=private",
             "SystemCallArchitectures=native", "UMask=0077", "LimitMEMLOCK=64M", "MemorySwapMax=0")
WATCHED = "esignd.service.in"  # the only program that sends WATCHDOG=1
WATCHDOG_S_MIN = 30  # half of it is more than a slow disk or token needs
EXPOSURE_MAX = 15  # tenths, of systemd-analyze security: 0 is best, 100 worst


def instances(folder):
    """Write the units with programs that exist; templates become one instance."""
    for name in tree.files(".in", under=(FOLDER,)):
        text = tree.read(name).replace("@CMAKE_INSTALL_FULL_LIBEXECDIR@/esignd", folder)
        for program in re.findall(r"^ExecStart=(\S+)", text, re.M):
            with open(program, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n")
            os.chmod(program, 0o755)
        unit = os.path.basename(name)[:-3]
        with open(os.path.join(folder, unit), "w", encoding="utf-8") as file:
            file.write(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
        yield unit.replace("@.", "@signers.")


def exposures(folder):
    """What systemd itself thinks of the services, from their files alone."""
    for unit in sorted(u for u in os.listdir(folder) if u.endswith(".service")):
        path = os.path.join(folder, unit.replace("@.", "@signers."))
        os.rename(os.path.join(folder, unit), path)
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               "--threshold=%d" % EXPOSURE_MAX, path],
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            yield "%s: %s" % (unit, (done.stdout.decode().strip().splitlines() or ["?"])[-1])


def lines_of(name):
    return tree.read(name).splitlines()


def findings():
    for name in tree.files(".service.in", under=(FOLDER,)):
        lines = lines_of(name)
        for wanted in HARDENING:
            if wanted not in lines:
                yield "%s: %s is missing" % (name, wanted)
        granted = re.findall(r"^WatchdogSec=(\d+)$", tree.read(name), re.M)
        if os.path.basename(name) == WATCHED and \
                "ExecReload=/bin/kill -HUP $MAINPID" not in lines_of(name):
            yield "%s: it has no ExecReload" % name
        if os.path.basename(name) != WATCHED and granted:
            yield "%s: WatchdogSec, but the program sends nothing" % name
        if os.path.basename(name) == WATCHED and [s for s in granted
                                                  if int(s) >= WATCHDOG_S_MIN] == []:
            yield "%s: WatchdogSec of at least %d is missing" % (name, WATCHDOG_S_MIN)
    users = tree.read(FOLDER + "/esignd.sysusers")
    for name in tree.files(".service.in", under=(FOLDER,)):
        user = re.search(r"^User=(\S+)", tree.read(name), re.M).group(1).replace("%i", "signers")
        if not re.search(r"^u %s\s" % re.escape(user), users, re.M):
            yield "%s: user %s is not in esignd.sysusers" % (name, user)
    with tempfile.TemporaryDirectory() as folder:
        units = list(instances(folder))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                               *(os.path.join(folder, unit) for unit in units)],
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode()
        for line in text.splitlines():
            if re.search(r"Failed to (open|connect|create).*(bus|D-Bus|socket)", line):
                continue  # no service manager runs here: the files themselves were read
            if line.strip() and (done.returncode != 0 or "esign" in line):
                yield line
        yield from exposures(folder)


tree.finish(findings())
