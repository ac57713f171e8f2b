"""A connection to QEMU's machine protocol (QMP): enough to take a screen dump and to end the machine."""

import json
import socket
import time


class Qmp:
    """One QMP session over a Unix socket; QEMU may take a moment to open it."""

    def __init__(self, path, wait_s=20):
        deadline = time.monotonic() + wait_s
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() > deadline:
                    raise SystemExit(f"QEMU did not open its control socket {path} within {wait_s} s: {error}")
                time.sleep(0.05)
        self.socket.settimeout(60)
        self.stream = self.socket.makefile("rw")
        self.stream.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        """Sends a command and waits for its answer; events in between are of no interest here."""
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while line := self.stream.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise SystemExit(f"QEMU refused {name}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
        raise SystemExit(f"QEMU closed its control socket during {name}")
