/** Fills connections over loopback that nobody reads. Prints what they took, in MiB; stops at 512. */
export const heldBySockets: string = `
import socket
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(1000)
held, total, block = [], 0, b"x" * 1048576
for _ in range(200):
    near = socket.socket(); near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
    near.settimeout(1); near.connect(server.getsockname()); held += [near, server.accept()[0]]
    near.setblocking(False)
    try:
        while True: total += near.send(block)
    except BlockingIOError: pass
    if total > 512 << 20: break
print(json.dumps(total >> 20))`;

/** Asks the kernel about interfaces and reads no answer. Prints what waits, in MiB, where the kernel tells. */
export const heldByQuestions: string = `
import socket, struct
held = []
try:
    while len(held) < 600:
        one = socket.socket(16, socket.SOCK_RAW, 0); held.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24); one.setblocking(False)
        try:
            for n in range(4000): one.send(struct.pack("<IHHIIIIII", 32, 18, 0x301, n, 0, 0, 0, 0, 0))
        except OSError: pass
except OSError: pass
total = 0
if os.path.exists("/proc/net/netlink"):
    total = sum(int(line.split()[4]) for line in open("/proc/net/netlink").readlines()[1:])
print(json.dumps(total >> 20))`;

/** Takes all terminals, watchers, queues, pending signals and contexts for requests that it can have, says so, and keeps them. */
export const hoardOfKernelObjects: string = `
import ctypes, os, platform, signal, time
libc = ctypes.CDLL(None)
setup = 206 if platform.machine() == "x86_64" else 0
held = []
try:
    while len(held) < 4000: held.append(os.posix_openpt(os.O_RDWR | os.O_NOCTTY))
except OSError: pass
for _ in range(300): libc.inotify_init()
for n in range(30): libc.mq_open(b"/hoard%d" % n, os.O_CREAT | os.O_RDWR, 0o600, None)
libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
for _ in range(200_000):
    if libc.sigqueue(os.getpid(), 40, None) != 0: break
for size in (8192, 100, 1):
    for _ in range(600):
        if libc.syscall(setup, size, ctypes.byref(ctypes.c_ulong(0))) < 0: break
print("taken", flush=True)
time.sleep(1000)`;

/** Takes one of each. Prints those of which there was none left; a kernel may have no such requests at all. */
export const takesOne: string = `
import ctypes, platform, signal
libc = ctypes.CDLL(None, use_errno=True)
missing = []
try: os.posix_openpt(os.O_RDWR | os.O_NOCTTY)
except OSError: missing.append("terminal")
if libc.inotify_init() < 0: missing.append("watcher")
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
if any(libc.sigqueue(os.getpid(), 40, None) for _ in range(8)): missing.append("signals")
setup = 206 if platform.machine() == "x86_64" else 0
if libc.syscall(setup, 64, ctypes.byref(ctypes.c_ulong(0))) < 0 and ctypes.get_errno() != 38: missing.append("requests")
print(json.dumps(missing))`;
