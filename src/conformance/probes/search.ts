/**
 * Looks everywhere inside for a token that belongs outside: arguments, environments, sockets, names and new files.
 * The token arrives reversed as `values`, so the search does not find itself. Prints where it was found.
 */
export const searchProbe: string = String.raw`
import time
token = values[::-1]
raw = token.encode()
hits = []
def look(path, limit=1 << 20):
    try:
        with open(path, "rb") as f:
            if raw in f.read(limit): hits.append(path)
    except OSError: pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cmdline", "environ", "mountinfo", "maps", "cgroup"): look("/proc/%s/%s" % (pid, name))
    try:
        for fd in os.listdir("/proc/%s/fd" % pid):
            if token in os.readlink("/proc/%s/fd/%s" % (pid, fd)): hits.append("/proc/%s/fd/%s" % (pid, fd))
    except OSError: pass
for path in ("/proc/net/unix", "/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem", "/proc/mounts", "/proc/keys", "/proc/kmsg", "/proc/partitions", "/proc/locks", "/proc/cmdline"): look(path)
recently = time.time() - 3600
for top, directories, files in os.walk("/"):
    directories[:] = [d for d in directories if os.path.join(top, d) not in ("/proc", "/sys")]
    for name in directories + files:
        if token in name: hits.append(os.path.join(top, name))
    for name in files:
        path = os.path.join(top, name)
        try: s = os.lstat(path)
        except OSError: continue
        if s.st_mode & 0o170000 == 0o100000 and s.st_ctime > recently and s.st_size < 1 << 22: look(path, 1 << 22)
print(json.dumps(hits))
`;

/** What device nodes, sockets and FIFOs there are. Prints [path, kind, major, minor] of each. */
export const nodesProbe: string = String.raw`
import stat
found = []
for top, directories, files in os.walk("/"):
    directories[:] = [d for d in directories if os.path.join(top, d) not in ("/proc", "/sys")]
    for name in files:
        path = os.path.join(top, name)
        try: mode = os.lstat(path)
        except OSError: continue
        kind = {stat.S_IFCHR: "character", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode.st_mode))
        if kind: found.append([path, kind, os.major(mode.st_rdev), os.minor(mode.st_rdev)])
print(json.dumps(found))
`;

/** What each open descriptor of each process is. Prints [pid, descriptor, target, whether it is a directory]. */
export const descriptorsProbe: string = String.raw`
import stat
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try: names = os.listdir("/proc/%s/fd" % pid)
    except OSError: continue
    for name in names:
        path = "/proc/%s/fd/%s" % (pid, name)
        try: found.append([int(pid), int(name), os.readlink(path), stat.S_ISDIR(os.stat(path).st_mode)])
        except OSError: pass
print(json.dumps([found, os.getpid()]))
`;

/** Tries to reach addresses. `values` is a list of [kind, host, port]; prints one outcome each. */
export const reachProbe: string = String.raw`
import socket, errno
def reach(kind, host, port):
    family = {"unix": socket.AF_UNIX, "tcp": socket.AF_INET, "udp": socket.AF_INET, "tcp6": socket.AF_INET6}[kind]
    try:
        with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as s:
            s.settimeout(2)
            s.connect(host.replace("@", "\0", 1) if kind == "unix" else (host, port))
            s.send(b"hello from inside")
            return "sent" if kind == "udp" else "connected"
    except socket.timeout: return "timeout"
    except OSError as e: return errno.errorcode.get(e.errno, str(e.errno))
print(json.dumps([reach(*each) for each in values]))
`;
