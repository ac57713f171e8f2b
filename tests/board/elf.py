"""Reads the two things the board test wants to know of 64-bit little-endian ELF files: what a kernel module depends on,
and which shared libraries a program needs."""

import struct


class Elf:
    """The named sections of an ELF file."""

    def __init__(self, blob, name):
        if blob[:6] != b"\x7fELF\x02\x01":
            raise SystemExit(f"{name}: not a 64-bit little-endian ELF file")
        self.blob = blob
        (table,) = struct.unpack_from("<Q", blob, 0x28)
        size, count, names = struct.unpack_from("<HHH", blob, 0x3A)
        headers = [struct.unpack_from("<IIQQQQ", blob, table + i * size) for i in range(count)]
        names_at = headers[names][4]
        self.sections = {self.text(names_at + h[0]): (h[4], h[5]) for h in headers}

    def text(self, at):
        """The zero-terminated string at an offset of the file."""
        return self.blob[at : self.blob.index(b"\0", at)].decode(errors="replace")

    def section(self, name):
        """A section's bytes; none if it has no such section."""
        offset, size = self.sections.get(name, (0, 0))
        return self.blob[offset : offset + size]

    def module_depends(self):
        """The modules that must be loaded before this one."""
        for entry in self.section(".modinfo").split(b"\0"):
            if entry.startswith(b"depends="):
                return [m for m in entry[8:].decode().split(",") if m]
        return []

    def needed_libraries(self):
        """The shared libraries this program or library names, and its dynamic loader's path (or none)."""
        needed, strings = [], self.sections.get(".dynstr", (0, 0))[0]
        for tag, value in struct.iter_unpack("<QQ", self.section(".dynamic")):
            if tag == 1:  # DT_NEEDED
                needed.append(self.text(strings + value))
        return needed, self.section(".interp").rstrip(b"\0").decode() or None
