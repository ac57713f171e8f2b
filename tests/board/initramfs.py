"""Packs the emulated board's root file system: busybox, an init, kernel modules in the order of their dependencies,
the program under test with its shared libraries, and other files. Neither root, cpio, kmod nor depmod is needed."""

import gzip
import lzma
import os
import re
import stat

from elf import Elf


class Cpio:
    """A "newc" archive, which the kernel unpacks into its first root file system."""

    def __init__(self):
        self.out, self.inode, self.made = bytearray(), 1, set()

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self.inode += 1
        self.out += b"070701" + "".join(f"{f:08X}" for f in fields).encode() + name
        self.out += b"\0" * (-len(self.out) % 4) + data
        self.out += b"\0" * (-len(self.out) % 4)

    def folder(self, path):
        """A folder with its parents, once."""
        parts = [p for p in path.split("/") if p]
        for n in range(1, len(parts) + 1):
            name = "/".join(parts[:n])
            if name not in self.made:
                self.made.add(name)
                self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        """A regular file with its folders, once."""
        path = path.lstrip("/")
        if path not in self.made:
            self.folder(os.path.dirname(path))
            self.made.add(path)
            self._entry(path, stat.S_IFREG | mode, data)

    def character_device(self, path, major, minor):
        """A device node: the kernel opens /dev/console before anything mounts devtmpfs."""
        self._entry(path.lstrip("/"), stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self):
        """The archive's bytes."""
        self._entry("TRAILER!!!", 0)
        return bytes(self.out)


def read(path):
    """A file's bytes."""
    with open(path, "rb") as f:
        return f.read()


class Modules:
    """Kernel modules of an unpacked Debian kernel package, gathered in the order in which they must be loaded."""

    def __init__(self, kernel):
        self.kernel, self.paths, self.builtin = kernel, {}, set()
        self.order, self.blobs = [], {}
        for folder, _, names in os.walk(os.path.join(kernel, "lib/modules")):
            for name in names:
                path = os.path.join(folder, name)
                if found := re.fullmatch(r"(.+)\.ko(\.xz)?", name):
                    self.paths[found[1].replace("-", "_")] = path
                elif name == "modules.builtin":
                    lines = read(path).decode().split()
                    self.builtin = {os.path.basename(l)[:-3].replace("-", "_") for l in lines}

    def need(self, name):
        """Adds a module, after all that it depends on."""
        name = name.replace("-", "_")
        if name in self.blobs or name in self.builtin:
            return
        if name not in self.paths:
            raise SystemExit(f"{self.kernel}: its kernel has no module {name}, neither built in nor as a file")
        blob = read(self.paths[name])
        if self.paths[name].endswith(".xz"):
            blob = lzma.decompress(blob)
        self.blobs[name] = blob
        for dependency in Elf(blob, name).module_depends():
            self.need(dependency)
        self.order.append(name)


def add_program(cpio, source, target, library_folder):
    """Adds an executable and, recursively, the shared libraries that it names."""
    blob = read(source)
    cpio.file(target, blob, 0o755)
    needed, loader = Elf(blob, source).needed_libraries()
    for library in needed:
        path = os.path.join(library_folder, library)
        if not os.path.exists(path):
            raise SystemExit(f"{source} needs {library}, which is not in {library_folder}")
        if f"lib/{library}" not in cpio.made:
            add_program(cpio, path, f"lib/{library}", library_folder)
    if loader:
        cpio.file(loader, read(os.path.join(library_folder, os.path.basename(loader))), 0o755)


def build(kernel, busybox, init, modules, program, library_folder, files):
    """The compressed archive. `modules`: name to parameters; `program`: (source, target); `files`: target to bytes."""
    gathered = Modules(kernel)
    for name in modules:
        gathered.need(name)
    cpio = Cpio()
    for folder in "bin dev lib mod proc run sys tmp".split():
        cpio.folder(folder)
    cpio.character_device("/dev/console", 5, 1)
    cpio.character_device("/dev/null", 1, 3)
    cpio.file("/bin/busybox", read(busybox), 0o755)
    cpio.file("/init", read(init), 0o755)
    for name in gathered.order:
        cpio.file(f"/mod/{name}.ko", gathered.blobs[name])
    lines = [f"{name} {modules.get(name, '')}".rstrip() for name in gathered.order]
    cpio.file("/mod/order", ("\n".join(lines) + "\n").encode())
    add_program(cpio, *program, library_folder)
    for target, data in files.items():
        cpio.file(target, data)
    # Level 1: the emulated processor unpacks any level equally slowly, the host packs this one quickly.
    return gzip.compress(cpio.finish(), 1, mtime=0)
