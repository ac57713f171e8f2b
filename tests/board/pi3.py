#!/usr/bin/env python3
"""Runs one aarch64 program on an emulated Raspberry Pi 3 with a camera, a screen and an SD card.

The camera is the kernel's own virtual one (vivid) as /dev/video0; the screen is /dev/fb0, 640x480 in 16 bits.
In the guest, COMMAND is a shell line; what it leaves in /out comes home in OUT, beside:
  console.log  the serial console      screen.png  the screen when the command had ended

usage: pi3.py --out OUT --program FILE [--file HOST:GUEST]... [--limit SECONDS] -- COMMAND
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time

import initramfs
from qmp import Qmp

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("IGPT_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "igpt-edge"
)
BOARD = os.path.join(CACHE, "board")
CARD_BYTES = 64 << 20  # QEMU wants a power of two
MODULES = {
    # One capture device, no menu of simulated errors; frames as the sensor "sees" them.
    "vivid": "n_devs=1 node_types=0x1 no_error_inj=1",
    # The SD card's host controllers and its block device.
    "sdhci_iproc": "",
    "bcm2835": "",
    "mmc_block": "",
}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for what comes back")
    parser.add_argument("--program", required=True, help="aarch64 executable, /bin/<name> in the guest")
    parser.add_argument("--file", action="append", default=[], metavar="HOST:GUEST", help="another file to bring")
    parser.add_argument("--limit", type=float, default=240, help="seconds until the machine is given up")
    parser.add_argument("command", nargs="+", help="the shell line to run in the guest")
    return parser.parse_args()


def one(pattern):
    """The file that setup.sh unpacked under this name."""
    found = sorted(glob.glob(os.path.join(BOARD, pattern)))
    if not found:
        raise SystemExit(f"{os.path.join(BOARD, pattern)} is missing: run tests/board/setup.sh")
    return found[-1]


def prepare(options, scratch):
    """Writes initrd, device tree and an empty SD card into the scratch folder."""
    files = {"/command": (" ".join(options.command) + "\n").encode()}
    for spec in options.file:
        host, _, guest = spec.rpartition(":")
        files[guest] = initramfs.read(host)
    image = initramfs.build(
        kernel=os.path.join(BOARD, "kernel"),
        busybox=one("busybox/bin/busybox"),
        init=os.path.join(HERE, "init"),
        modules=MODULES,
        program=(options.program, "/bin/" + os.path.basename(options.program)),
        library_folder="/usr/aarch64-linux-gnu/lib",
        files=files,
    )
    with open(os.path.join(scratch, "initrd"), "wb") as f:
        f.write(image)
    dtb = one("kernel/usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb")
    subprocess.run([os.path.join(HERE, "screen_dtb.sh"), dtb, os.path.join(scratch, "dtb")], check=True)
    with open(os.path.join(scratch, "card"), "wb") as f:
        f.truncate(CARD_BYTES)


def machine(scratch, console):
    """Starts QEMU; its control socket lies in the scratch folder (a socket's path must be short)."""
    path = lambda name: os.path.join(scratch, name)
    return subprocess.Popen(
        ["qemu-system-aarch64", "-M", "raspi3b", "-display", "none", "-monitor", "none", "-no-reboot"]
        + ["-kernel", one("kernel/boot/vmlinuz-*"), "-initrd", path("initrd"), "-dtb", path("dtb")]
        + ["-drive", f"if=sd,format=raw,file={path('card')}"]
        # The first serial port is the PL011; Linux's console is the second, the mini UART.
        + ["-serial", "null", "-serial", f"file:{console}"]
        + ["-qmp", f"unix:{path('qmp')},server=on,wait=off"]
        # No blinking text cursor in the picture.
        + ["-append", "console=ttyS1,115200 rdinit=/init loglevel=3 panic=-1 vt.global_cursor_default=0"],
        stdin=subprocess.DEVNULL,
    )


def follow(qemu, console, limit):
    """Prints the console as it grows, until the guest is done. Returns all of it."""
    deadline, shown, text = time.monotonic() + limit, 0, ""
    while True:
        ended = qemu.poll() is not None
        if os.path.exists(console):
            with open(console, errors="replace") as f:
                text = f.read().replace("\r", "")
        whole = text.rfind("\n") + 1
        sys.stdout.write(text[shown:whole])
        sys.stdout.flush()
        shown = max(shown, whole)
        if re.search(r"^BOARD \S+ done$", text, re.M):
            return text
        if ended:
            raise SystemExit(f"QEMU ended (code {qemu.returncode}) before the guest was done; its console: {console}")
        if time.monotonic() > deadline:
            raise SystemExit(f"the board was not done within {limit:.0f} s; its console: {console}")
        time.sleep(0.1)


def unpack(card, out):
    """Takes the guest's files off the SD card."""
    try:
        with tarfile.open(card, "r:") as tar:
            # Debian 12's first Python 3.11 does not know the argument yet.
            tar.extractall(out, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    except tarfile.TarError as error:
        raise SystemExit(f"the SD card holds no files from the guest: {error}")


def main():
    """Prepares, boots, waits, brings the results home. Fails if the command failed."""
    options = arguments()
    os.makedirs(options.out, exist_ok=True)
    console, screen = (os.path.abspath(os.path.join(options.out, n)) for n in ("console.log", "screen.png"))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pi3.") as scratch:
        prepare(options, scratch)
        if os.path.exists(console):
            os.remove(console)
        qemu = machine(scratch, console)
        try:
            qmp = Qmp(os.path.join(scratch, "qmp"))
            text = follow(qemu, console, options.limit)
            qmp.command("screendump", filename=screen, format="png")
            qmp.command("quit")
            qemu.wait(timeout=30)
        finally:
            if qemu.poll() is None:
                qemu.kill()
                qemu.wait()
        unpack(os.path.join(scratch, "card"), options.out)
    code = re.search(r"^BOARD \S+ exit (\d+)$", text, re.M)
    print(f"pi3: {time.monotonic() - start:.1f} s, the command's exit code: {code[1] if code else 'unknown'}")
    if not code or code[1] != "0":
        sys.exit(1)


if __name__ == "__main__":
    main()
