package machine_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cofferdam/supervisor/sweep"
)

// bench is where the tests of this package make machines: built programs, layers, a blank disk, a state directory.
type bench struct{ base, state, supervisor string }

var base = filepath.Join(os.TempDir(), fmt.Sprintf("cofferdam-machine-test-%d", os.Getpid()))

var shared = sync.OnceValues(func() (*bench, error) {
	b := &bench{base: base, state: filepath.Join(base, "state"), supervisor: filepath.Join(base, "supervisor")}
	for _, path := range []string{"state/machines", "top", "bottom/proc", "bottom/dev", "bottom/sys", "bottom/tmp", "bottom/run", "bottom/etc"} {
		if err := os.MkdirAll(filepath.Join(base, path), 0o755); err != nil {
			return nil, err
		}
	}
	script := `set -e
export CGO_ENABLED=0
go build -o "$1/supervisor" ../cmd/supervisor
go build -o "$1/top/agent" ../../guest/cmd/agent
go build -o "$1/bottom/tool" ./testdata/tool
chmod -R go+rX "$1"; chmod 700 "$1/state"
printf 'root:x:0:0:root:/:/tool\nuser:x:1000:1000::/:/tool\n' > "$1/bottom/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\n' > "$1/bottom/etc/group"
truncate -s 64M "$1/blank"
mkfs.ext4 -q -F -O ^has_journal -m 0 "$1/blank"`
	out, err := exec.Command("sh", "-c", script, "sh", base).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return b, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(base)
	os.Exit(code)
}

// runtime is one that this host may have.
type runtime struct{ name, path string }

var runtimes = []runtime{{"runc", "/opt/cofferdam/runc/runc"}, {"gvisor", "/usr/bin/runsc"}}

// each runs a test with every runtime of this host.
func each(t *testing.T, check func(t *testing.T, b *bench, r runtime)) {
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			if _, err := os.Stat(r.path); err != nil {
				t.Skip(r.path + " is not there")
			}
			b, err := shared()
			if err != nil {
				t.Fatal(err)
			}
			check(t, b, r)
		})
	}
}

type fields = map[string]any

// plan makes a machine's directory and its plan, with what the test changes.
func (b *bench) plan(t *testing.T, r runtime, change func(plan fields)) (id, directory string) {
	t.Helper()
	id = fmt.Sprintf("t%x", time.Now().UnixNano())
	directory = filepath.Join(b.state, "machines", id)
	name := sweep.GroupName(b.state) + "/" + id
	mapped := r.name == "runc"
	mountPoint := directory + "/root"
	linux := fields{"namespaces": []fields{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}, {"type": "cgroup"}}}
	agent := []string{"/agent"}
	if !mapped {
		agent = append(agent, "-leaves")
	}
	start := []string{r.path, "--root", directory + "/runtime", "--log", directory + "/runtime.log"}
	end := []string{"run", "--detach", "--pid-file", directory + "/pid", "--bundle", directory + "/bundle"}
	var idMap any
	if mapped {
		mountPoint = filepath.Join(b.base, "mount")
		linux["namespaces"] = append(linux["namespaces"].([]fields), fields{"type": "user"})
		ids := []fields{{"containerID": 0, "hostID": 3_000_000, "size": 65536}}
		linux["uidMappings"], linux["gidMappings"], linux["cgroupsPath"] = ids, ids, "/"+name+"/init"
		idMap = fields{"hostId": 3_000_000, "size": 65536}
		end = append(end, "--preserve-fds", "1", id)
	} else {
		start = append(start, "--ignore-cgroups", "--network=none", "--platform=systrap", "--overlay2=none", "--host-uds=none")
		end = append(end, "--pass-fd", "3:3", id)
	}
	powers := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL", "CAP_SYS_ADMIN"}
	config := fields{
		"ociVersion": "1.0.2", "hostname": "m", "linux": linux, "root": fields{"path": mountPoint},
		"process": fields{"args": agent, "cwd": "/", "env": []string{"PATH=/"}, "user": fields{"uid": 0, "gid": 0},
			"capabilities": fields{"bounding": powers, "effective": powers, "permitted": powers}, "noNewPrivileges": true},
		"mounts": []fields{{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}}},
	}
	plan := fields{
		"version": 1, "id": id, "driver": r.name, "stateDir": b.state, "directory": directory,
		"root": fields{"mountPoint": mountPoint, "lower": []string{b.base + "/top", b.base + "/bottom"},
			"disk": fields{"blank": b.base + "/blank", "sizeMiB": 64}, "idMap": idMap},
		"cgroup": fields{"name": name, "limits": fields{"memoryMiB": 192, "cpus": 1.5, "pids": 256}, "perCommand": mapped},
		"runtime": fields{"start": append(start, end...), "remove": []string{}, "pidFile": directory + "/pid", "environment": fields{"PATH": "/usr/bin:/bin"}, "log": directory + "/runtime.log",
			"version": "1", "checkpoint": checkpoint(r, start, directory, id)},
		"setup": fields{"id": id, "hostname": "m", "defaultUser": "user", "leaseMs": 3000, "cgroup": map[bool]string{true: "fd", false: "cgroupfs"}[mapped]},
		"lease": fields{"lifetimeMs": 120_000, "idleTimeoutMs": 0, "detached": true, "ownerGraceMs": 10_000},

		"startTimeoutMs": 60_000,
	}
	change(plan)
	for _, one := range []string{"bundle", "runtime"} {
		if err := os.MkdirAll(filepath.Join(directory, one), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]any{"bundle/config.json": config, "plan.json": plan} {
		raw, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, file), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id, directory
}

// checkpoint is how a runtime brings memory to the disk; nil where it does not.
func checkpoint(r runtime, options []string, directory, id string) any {
	if r.name != "gvisor" {
		return nil
	}
	call := func(words ...string) []string { return append(slices.Clone(options), words...) }
	return fields{
		"halt": call("pause", id), "goOn": call("resume", id),
		"save":    call("checkpoint", "--leave-running", "--compression=none", "--image-path", "{memory}", id),
		"restore": call("restore", "--detach", "--pid-file", directory+"/pid", "--bundle", directory+"/bundle", "--image-path", "{memory}", id),
		"join":    call("exec", "--user", "0:0", "--cwd", "/", "--pass-fd", "3:3", id, "/agent", "-home"),
	}
}

func as(plan fields, name string) fields { return plan[name].(fields) }

// made is a supervisor at work.
type made struct {
	t             *testing.T
	b             *bench
	id, directory string
	command       *exec.Cmd
	output        *bufio.Scanner
}

func (b *bench) run(t *testing.T, r runtime, change func(plan fields)) *made {
	t.Helper()
	id, directory := b.plan(t, r, change)
	return b.begin(t, id, "run", directory+"/plan.json")
}

// begin starts a supervisor.
func (b *bench) begin(t *testing.T, id string, words ...string) *made {
	t.Helper()
	one := &made{t: t, b: b, id: id, directory: filepath.Join(b.state, "machines", id), command: exec.Command(b.supervisor, words...)}
	one.command.Stderr = os.Stderr
	output, err := one.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	one.output = bufio.NewScanner(output)
	if err := one.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = one.command.Process.Kill()
		_ = one.command.Wait()
		if _, err := sweep.Sweep(b.state); err != nil {
			t.Error(err)
		}
	})
	return one
}

type report struct {
	OK    bool
	Error struct{ Code, Message, Mend, Field string }
}

func (m *made) report() report {
	m.t.Helper()
	var one report
	if !m.output.Scan() {
		m.t.Fatal("the supervisor said nothing")
	}
	if err := json.Unmarshal(m.output.Bytes(), &one); err != nil {
		m.t.Fatal(err)
	}
	return one
}

func (b *bench) ready(t *testing.T, r runtime, change func(plan fields)) *made {
	t.Helper()
	one := b.run(t, r, change)
	if said := one.report(); !said.OK {
		t.Fatalf("%+v", said.Error)
	}
	return one
}

// dial opens the machine's socket; the first line says what for.
func (m *made) dial(greeting string) net.Conn {
	m.t.Helper()
	connection, err := net.Dial("unix", filepath.Join(m.directory, "machine.sock"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := connection.Write([]byte(greeting + "\n")); err != nil {
		m.t.Fatal(err)
	}
	return connection
}

// wait answers when the supervisor has exited, and the reason in its note.
func (m *made) wait() (reason string) {
	m.t.Helper()
	over := make(chan error, 1)
	go func() { over <- m.command.Wait() }()
	select {
	case <-over:
	case <-time.After(60 * time.Second):
		m.t.Fatal("the supervisor does not exit")
	}
	var note struct{ Reason string }
	raw, err := os.ReadFile(filepath.Join(m.b.state, "ended", m.id+".json"))
	if err == nil {
		err = json.Unmarshal(raw, &note)
	}
	if err != nil {
		return ""
	}
	return note.Reason
}

func (m *made) leavesNothing() {
	m.t.Helper()
	for _, left := range traces(m.b, m.id) {
		m.t.Errorf("left: %s", left)
	}
}
