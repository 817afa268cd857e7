"""malv.py: looks into a MaLV-OS machine with gdb.

    malv run --gdb 1234 -- COMMAND &
    gdb -x tools/gdb/malv.py build/microlake.elf.full
    (gdb) malv-connect [PORT | PATH]   to QEMU's gdb server (1234), at a TCP port or a Unix socket
    (gdb) malv-cpus                    what each CPU does
    (gdb) malv-threads                 all threads, and where those that do not run stand
    (gdb) malv-modules [FOLDER]        load the symbols of the loaded modules (build/modules)
    (gdb) malv-log                     the kernel's log ring

Nothing in the machine is changed. Give the commands while it is stopped (Ctrl-C, a breakpoint).
"""
import os
import struct

import gdb

PAGE = 4096
FRAMES = 12
SAVED_REGISTERS = 6  # what context_switch() pushes: r15 is lowest, rbp the fifth
SAVED_RBP = 4
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4


class Malv(gdb.Command):
    """A command whose errors are one line."""

    def __init__(self, name, doc):
        self.__doc__ = doc
        super().__init__(name, gdb.COMMAND_USER)

    def run(self, words):
        raise NotImplementedError

    def invoke(self, argument, from_tty):
        try:
            if not gdb.selected_inferior().pid and not isinstance(self, Connect):
                raise gdb.GdbError("no machine: malv-connect first")
            self.run(gdb.string_to_argv(argument))
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"{error}: the kernel has not set its memory up yet; let it run on")
        except gdb.error as error:
            raise gdb.GdbError(f"{error} (this needs build/microlake.elf.full of the same build)")


def static(path, name):
    """A static variable of one file of the nucleus."""
    return gdb.parse_and_eval(f"'{path}'::{name}")


def entries(head, type_name, link):
    """The structures of an intrusive list."""
    kind = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == link)
    at = head["next"]
    while int(at) != int(head.address):
        yield gdb.Value(int(at) - offset).cast(kind.pointer()).dereference()
        at = at["next"]


def place(address):
    """An address as function, offset and line."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    text = text.split(" in section ")[0] if " in section " in text else "?"
    line = gdb.find_pc_line(address)
    where = f" at {line.symtab.filename}:{line.line}" if line.symtab else ""
    return f"{text}{where}"


def word(address):
    return int(gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer()).dereference())


def frames(rip, rbp):
    """The chain of frame pointers, return addresses only."""
    for _ in range(FRAMES):
        yield rip
        if rbp < 1 << 63 or rbp & 7:
            return
        try:
            outer, rip = word(rbp), word(rbp + 8)
        except gdb.MemoryError:
            return
        if rip == 0:
            return
        if outer <= rbp:
            yield rip
            return
        rbp = outer


def frames_print(rip, rbp):
    for number, address in enumerate(frames(rip, rbp)):
        # A return address may lie behind the function's last instruction.
        print(f"        #{number:<2} {address:#018x} {place(address - 1)}")


def cpus():
    """The struct cpu of every CPU that is up."""
    table = gdb.parse_and_eval("cpus")
    count = int(static("kernel/arch/x86/smp.c", "online"))
    return [table[i].dereference() for i in range(count)]


def gdb_thread(cpu):
    """QEMU's thread of a CPU: it numbers them from 1 in the order of their APIC ids."""
    number = int(cpu["apic_id"]) + 1
    return next((t for t in gdb.selected_inferior().threads() if t.num == number), None)


def registers(cpu):
    """rip, rbp and whether it is in user mode; the selected thread stays selected."""
    thread, before = gdb_thread(cpu), gdb.selected_thread()
    if not thread:
        return None
    thread.switch()
    frame = gdb.newest_frame()
    rip = int(frame.read_register("rip"))
    rbp = int(frame.read_register("rbp")) & (2**64 - 1)
    before.switch()
    return rip, rbp, rip < 1 << 47


def name_of(thread):
    return f"{int(thread['id'])} '{thread['name'].string()}'"


def counter(cpu, path, name):
    return int(cpu["counters"][int(static(path, f"counter_{name}")["slot"])])


class Connect(Malv):
    def run(self, words):
        where = words[0] if words else "1234"
        if "/" not in where and not where.isdigit():
            raise gdb.GdbError("malv-connect takes a TCP port, or a socket's path with a /")
        gdb.execute(f"target remote {where if '/' in where else f'localhost:{where}'}")


class Cpus(Malv):
    def run(self, words):
        for cpu in cpus():
            current = cpu["current"].dereference()
            at = registers(cpu)
            switches = counter(cpu, "kernel/thread/sched.c", "context_switches")
            mode = "in user mode" if at and at[2] else f"at {place(at[0])}" if at else "not seen"
            print(f"CPU {int(cpu['id'])}: thread {name_of(current)}, {int(cpu['queue']['ready'])} ready, "
                  f"preemption {'off' if int(cpu['preempt_count']) else 'on'}, "
                  f"{switches} switches, {mode}")


class Threads(Malv):
    def run(self, words):
        running = {int(cpu["current"]): cpu for cpu in cpus()}
        for thread in entries(static("kernel/thread/thread.c", "all_threads"), "struct thread",
                              "all_link"):
            state = str(thread["state"]).replace("THREAD_", "").lower()
            cpu = running.get(int(thread.address))
            if state == "running" and not cpu:
                state = "ready"  # it was preempted
            print(f"thread {name_of(thread)}: {state}, CPU {int(thread['cpu'])}, "
                  f"{int(thread['cpu_time']) / 1e6:.3f} ms, {int(thread['switches'])} switches")
            if cpu:
                self.print_running(cpu)
            elif state not in ("new", "dead"):
                self.print_saved(int(thread["stack_pointer"]))

    @staticmethod
    def print_running(cpu):
        at = registers(cpu)
        if at and at[2]:
            print(f"        in user mode at {at[0]:#x}")
        elif at:
            frames_print(at[0] + 1, at[1])

    @staticmethod
    def print_saved(stack_pointer):
        frames_print(word(stack_pointer + 8 * SAVED_REGISTERS), word(stack_pointer + 8 * SAVED_RBP))


def sections(path):
    """(name, flags, size, alignment) of what an ELF file has loaded, in the file's order."""
    with open(path, "rb") as file:
        data = file.read()
    start, size, count, names = struct.unpack_from("<Q10xHHH", data, 40)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, start + i * size) for i in range(count)]
    text = headers[names][4]
    for name, _, flags, _, _, length, _, _, alignment, _ in headers:
        if flags & SHF_ALLOC and length:
            end = data.index(b"\0", text + name)
            yield data[text + name:end].decode(), flags, length, max(alignment, 1)


class Modules(Malv):
    loaded = {}  # path: base

    def run(self, words):
        folder = words[0] if words else "build/modules"
        for module in entries(static("kernel/module/table.c", "modules"), "struct module", "link"):
            name, base = module["name"].string(), int(module["base"])
            path = os.path.join(folder, f"{name}.kmod.full")
            print(f"module {name} {module['version'].string()} at {base:#x}")
            if not os.path.exists(path):
                print(f"        no symbols: there is no {path}")
                continue
            if self.loaded.get(path) != base:
                self.symbols_load(path, module, base)

    def symbols_load(self, path, module, base):
        """The places of the sections, as kmodpack lays them out: three areas, each section aligned."""
        areas, used, places = [base], [0, 0, 0], []
        for i in range(2):
            areas.append(areas[i] + int(module["area_pages"][i]) * PAGE)
        for name, flags, size, alignment in sections(path):
            area = 0 if flags & SHF_EXECINSTR else 1 if flags & SHF_WRITE else 2
            offset = -(-used[area] // alignment) * alignment
            used[area] = offset + size
            places.append(f"-s {name} {areas[area] + offset:#x}")
        if path in self.loaded:
            gdb.execute(f"remove-symbol-file {path}", to_string=True)
        gdb.execute(f"add-symbol-file {path} {' '.join(places)}", to_string=True)
        self.loaded[path] = base


class Log(Malv):
    def run(self, words):
        ring = static("kernel/lib/log.c", "ring")
        size, end = ring.type.sizeof, int(static("kernel/lib/log.c", "ring_end"))
        data = gdb.selected_inferior().read_memory(int(ring.address), size).tobytes()
        text = data[:end] if end <= size else data[end % size:] + data[:end % size]
        print(text.decode("utf-8", "replace"), end="")


Connect("malv-connect", "malv-connect [PORT | PATH]: connect to QEMU's gdb server (port 1234).")
Cpus("malv-cpus", "malv-cpus: what each CPU of the machine does.")
Threads("malv-threads", "malv-threads: all threads of the machine, with where they stand.")
Modules("malv-modules", "malv-modules [FOLDER]: load the symbols of loaded modules (build/modules).")
Log("malv-log", "malv-log: print the kernel's log ring.")
gdb.execute("set pagination off")
gdb.execute("set confirm off")
