/**
 * Tries what an attacker tries and prints what each attempt gave: "ok", or the name of the error.
 * Every attempt is chosen so that it does no harm where it succeeds.
 */
export const syscallProbe: string = String.raw`
import ctypes, errno, platform, resource, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
number = lambda a, b: a if x86 else b
results = {}
def call(name, nr, *args):
    ctypes.set_errno(0)
    if nr is None: results[name] = "ENOSYS"; return -1
    got = libc.syscall(ctypes.c_long(nr), *[ctypes.c_void_p(a) if isinstance(a, int) else a for a in args])
    results[name] = "ok" if got >= 0 else errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    return got
def attempt(name, act):
    try: act(); results[name] = "ok"
    except OSError as e: results[name] = errno.errorcode.get(e.errno, str(e.errno))
def in_child(name, act):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try: act()
        finally:
            os.write(w, results.get(name, "none").encode()); os._exit(0)
    os.close(w)
    results[name] = os.read(r, 100).decode() or "killed"
    os.waitpid(pid, 0)
text = lambda s: ctypes.c_char_p(s.encode())
buffer = ctypes.create_string_buffer(4096)
os.makedirs("/tmp/probe", exist_ok=True)

namespaces = {"user": 0x10000000, "mount": 0x20000, "network": 0x40000000, "pid": 0x20000000, "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000}
for name, flag in namespaces.items():
    in_child("unshare " + name, lambda: call("unshare " + name, number(272, 97), flag))
in_child("clone3 user", lambda: call("clone3 user", 435, ctypes.create_string_buffer(struct.pack("<11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)), 88) == 0 and os._exit(0))
for name in ("mnt", "net", "user"):
    def enter():
        fd = os.open("/proc/1/ns/" + name, os.O_RDONLY)
        if call("setns " + name, number(308, 268), fd, 0) < 0: return
    def entering():
        try: enter()
        except OSError as e: results["setns " + name] = errno.errorcode[e.errno]
    in_child("setns " + name, entering)

call("mount tmpfs", number(165, 40), text("none"), text("/tmp/probe"), text("tmpfs"), 0, text(""))
call("mount proc", number(165, 40), text("proc"), text("/tmp/probe"), text("proc"), 0, text(""))
call("mount cgroup", number(165, 40), text("cgroup"), text("/tmp/probe"), text("cgroup"), 0, text("memory"))
call("mount bind", number(165, 40), text("/etc"), text("/tmp/probe"), None, 4096, None)
call("remount", number(165, 40), None, text("/"), None, 32, None)
call("umount", number(166, 39), text("/proc/kcore"), 2)
call("pivot_root", number(155, 41), text("/tmp/probe"), text("/tmp/probe"))
call("fsopen", 430, text("tmpfs"), 0)
call("open_tree", 428, -100, text("/"), 1)
call("mount_setattr", 442, -100, text("/"), 0, ctypes.create_string_buffer(32), 32)
in_child("chroot", lambda: call("chroot", number(161, 51), text("/tmp/probe")))

call("init_module", number(175, 105), buffer, 0, text(""))
call("finit_module", number(313, 273), 0, text(""), 0)
call("delete_module", number(176, 106), text("no_such_module"), 0)
call("kexec_load", number(246, 104), 0, 0, None, 0)
call("bpf", number(321, 280), 0, ctypes.create_string_buffer(struct.pack("<IIII", 2, 4, 4, 1) + b"\0" * 112), 128)
call("perf_event_open", number(298, 241), ctypes.create_string_buffer(struct.pack("<IIQ", 1, 120, 0) + b"\0" * 104), 0, -1, -1, 0)
call("userfaultfd", number(323, 282), 0)
call("io_uring_setup", 425, 1, ctypes.create_string_buffer(120))
call("keyctl", number(250, 219), 0, -3, 1)
call("add_key", number(248, 217), text("user"), text("probe"), text("x"), 1, -2)
call("request_key", number(249, 218), text("user"), text("probe"), None, 0)
call("open_by_handle_at", number(304, 265), -100, ctypes.create_string_buffer(struct.pack("<Ii", 8, 1) + b"\2" + b"\0" * 7), 0)
call("iopl", number(172, None), 3)
call("ioperm", number(173, None), 0, 1, 1)
call("swapon", number(167, 224), text("/no/such"), 0)
call("acct", number(163, 89), None)
call("quotactl", number(179, 60), 0x80000100, text("/no/such"), 0, buffer)
call("reboot", number(169, 142), ctypes.c_uint(0xfee1dead), 672274793, 0, None)
call("syslog", number(103, 116), 3, buffer, 4096)
now = time.time_ns()
call("settimeofday", number(164, 170), ctypes.create_string_buffer(struct.pack("<qq", now // 10**9, now % 10**9 // 1000)), None)
now = time.time_ns()
call("clock_settime", number(227, 112), 0, ctypes.create_string_buffer(struct.pack("<qq", now // 10**9, now % 10**9)))
call("sethostname", number(170, 161), text("cofferdam-probe"), 15)
call("setdomainname", number(171, 162), text("cofferdam-probe"), 15)
call("capset", number(126, 91), ctypes.create_string_buffer(struct.pack("<II", 0x20080522, 0)), ctypes.create_string_buffer(struct.pack("<IIIIII", 1 << 21, 1 << 21, 0, 0, 0, 0)))
call("lookup_dcookie", number(212, 18), 0, 0, buffer, 4096)
call("nice -20", number(141, 140), 0, 0, -20)

call("ptrace 1", number(101, 117), 16, 1, 0, 0)
results["ptrace 1"] == "ok" and libc.syscall(number(101, 117), 17, 1, 0, 0)
class IoVec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
local = IoVec(ctypes.addressof(buffer), 16)
first = 0x400000
try: first = int(open("/proc/1/maps").readline().split("-")[0], 16)
except (OSError, ValueError): pass
remote = IoVec(first, 16)
call("process_vm_readv 1", number(310, 270), 1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
call("process_vm_writev 1", number(311, 271), 1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
pidfd = libc.syscall(434, 1, 0)
if pidfd >= 0: call("pidfd_getfd 1", 438, pidfd, 3, 0)
attempt("read /proc/1/mem", lambda: os.pread(os.open("/proc/1/mem", os.O_RDONLY), 16, first))
attempt("write /proc/1/mem", lambda: os.open("/proc/1/mem", os.O_WRONLY))

attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet socket", lambda: socket.socket(17, socket.SOCK_RAW, 768))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("alg socket", lambda: socket.socket(38, socket.SOCK_SEQPACKET))
attempt("bluetooth socket", lambda: socket.socket(31, socket.SOCK_RAW, 1))
def new_link():
    s = socket.socket(16, socket.SOCK_RAW, 0)
    name = b"probe0\0\0"; kind = b"dummy\0\0\0"
    info = struct.pack("<HH", 12 + 4, 18) + struct.pack("<HH", 4 + 6, 1) + kind
    body = struct.pack("<BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("<HH", 4 + 7, 3) + name + info
    s.send(struct.pack("<IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
    answer = s.recv(4096)
    code = -struct.unpack_from("<i", answer, 16)[0]
    if code: raise OSError(code, "netlink")
attempt("new network link", new_link)
for name, kind, device in (("disk", 0o060000, os.makedev(254, 0)), ("mem", 0o020000, os.makedev(1, 1)), ("kmsg", 0o020000, os.makedev(1, 11)), ("loop", 0o060000, os.makedev(7, 0)), ("fuse", 0o020000, os.makedev(10, 229)), ("tun", 0o020000, os.makedev(10, 200))):
    def make():
        path = "/tmp/probe/" + name
        os.mknod(path, kind | 0o666, device)
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    attempt("device " + name, make)
call("huge pages mmap", number(9, 222), 0, 2 << 20, 3, 0x40022, -1, 0)
call("huge pages memfd", number(319, 279), text("probe"), 4)
call("huge pages shmget", number(29, 194), 0, 2 << 20, 0x800 | 0o1600)
slots = ctypes.c_ulong(0)
call("asynchronous requests", number(206, 0), 128, ctypes.byref(slots))
def crash_is_handled():
    # A core_pattern that names a program gets every crash but those of processes whose limit is 1.
    if resource.getrlimit(resource.RLIMIT_CORE) == (1, 1): raise OSError(errno.EPERM, "nobody gets it")
attempt("crash to the host's core handler", crash_is_handled)
for wide in (0, 1 << 32):
    limit = ctypes.create_string_buffer(struct.pack("<QQ", 0, 0))
    in_child("core limit %d" % wide, lambda: call("core limit %d" % wide, number(302, 261), 0, wide | 4, limit, 0))
attempt("stall trigger", lambda: os.close(os.open("/proc/pressure/cpu", os.O_RDWR)))
attempt("setuid 0", lambda: os.getuid() == 0 or os.setuid(0))
attempt("lower oom score", lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"))
attempt("lower oom score of 1", lambda: os.write(os.open("/proc/1/oom_score_adj", os.O_WRONLY), b"-1000"))
print(json.dumps(results))
`;

/** Tries to read and write what belongs to the host's kernel; writes put back what was read. */
export const kernelFilesProbe: string = String.raw`
import errno, glob
results = {}
def opened(name, path, flags, act):
    try:
        fd = os.open(path, flags | os.O_NONBLOCK)
        try: act(fd); results[name + " " + path] = "ok"
        finally: os.close(fd)
    except OSError as e: results[name + " " + path] = errno.errorcode.get(e.errno, str(e.errno))
def needs_bytes(fd):
    if not os.read(fd, 64).strip(b"\0\n "): raise OSError(errno.ENODATA, "empty")
def same(path):
    try: return open(path, "rb").read(4096)
    except OSError: return b"1"
reads = ["/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/sched_debug",
  "/proc/timer_list", "/proc/keys", "/proc/kpagecount", "/sys/kernel/debug/sched/debug", "/sys/kernel/notes-probe", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/loop0",
  "/dev/loop-control", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vhost-net", "/dev/vsock", "/dev/input/event0", "/dev/hpet", "/dev/rtc0", "/dev/snapshot", "/dev/userfaultfd", "/dev/cuse", "/dev/btrfs-control", "/dev/mapper/control", "/dev/cpu/0/msr", "/sys/firmware/dmi/tables/DMI", "/sys/firmware/efi/systab"]
for path in reads: opened("read", path, os.O_RDONLY, needs_bytes)
writes = ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sys/kernel/panic",
  "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/fs/file-max", "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/yama/ptrace_scope",
  "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/proc/acpi/wakeup", "/proc/irq/default_smp_affinity", "/proc/fs/nfsd/threads", "/proc/mtrr", "/sys/module/kernel/parameters/panic"]
for path in writes: opened("write", path, os.O_WRONLY, lambda fd: os.write(fd, same(path) or b"1"))
for pattern in ("release_agent", "devices.allow", "cgroup.subtree_control", "memory.max", "memory.limit_in_bytes", "pids.max", "notify_on_release", "cpu.max"):
    for path in [p for depth in ("", "*/", "*/*/") for p in glob.glob("/sys/fs/cgroup/" + depth + pattern)][:20]:
        opened("write", path, os.O_WRONLY, lambda fd: os.write(fd, same(path) or b"1"))
print(json.dumps(results))
`;

/**
 * Asks a terminal of its own for what types into it. Where the host's kernel refuses that by a setting, it says EIO, and for what
 * a terminal cannot do, ENOTTY. The upper half of a request is not looked at by the kernel.
 */
export const terminalProbe: string = String.raw`
import ctypes, errno, platform, pty
libc = ctypes.CDLL(None, use_errno=True)
ioctl = 16 if platform.machine() == "x86_64" else 29
pid, master = pty.fork()
if pid == 0:
    value = ctypes.create_string_buffer(64)
    results = {}
    for name, request in (("TIOCGWINSZ", 0x5413), ("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c), ("TIOCSETD", 0x5423)):
        for wide in (("", 0), (" wide", 1 << 32)) if request != 0x5413 else (("", 0),):
            ctypes.set_errno(0)
            got = libc.syscall(ctypes.c_long(ioctl), ctypes.c_long(0), ctypes.c_ulong(request | wide[1]), value)
            results[name + wide[0]] = "ok" if got >= 0 else errno.errorcode.get(ctypes.get_errno(), "none")
    print("<" + json.dumps(results) + ">", flush=True)
    os._exit(0)
said = b""
while b">" not in said: said += os.read(master, 4096)
os.waitpid(pid, 0)
print(said[said.index(b"<") + 1 : said.index(b">")].decode())
`;
