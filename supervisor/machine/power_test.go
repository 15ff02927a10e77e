package machine_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cofferdam/supervisor/sweep"
)

// next reads an unasked line.
func next(t *testing.T, connection io.Reader) string {
	t.Helper()
	var line []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(line, []byte("\n")) {
		if _, err := connection.Read(one); err != nil {
			t.Fatal(err)
		}
		line = append(line, one[0])
	}
	return strings.TrimSpace(string(line))
}

// ask asks the supervisor and answers its next line, and not a byte more.
func ask(t *testing.T, connection io.ReadWriter, request string) string {
	t.Helper()
	if _, err := connection.Write([]byte(request + "\n")); err != nil {
		t.Fatal(err)
	}
	return next(t, connection)
}

func TestPausedMachineStandsStillAndGoesOn(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		if r.name != "runc" {
			t.Skip("its memory does not stay on the host")
		}
		m := b.ready(t, r, func(plan fields) { as(plan, "setup")["leaseMs"] = 900 })
		asked, other := m.dial("CONTROL"), m.dial("CONTROL")
		ask(t, other, `{"id":1,"op":"info"}`)
		if said := ask(t, asked, `{"id":1,"op":"resume","ms":1000}`); !strings.Contains(said, `"conflict"`) {
			t.Error(said)
		}
		m.inside("write")
		ask(t, asked, `{"id":2,"op":"pause","kept":"memory"}`)
		if said := next(t, other); said != `{"event":"paused"}` {
			t.Error(said)
		}
		if said := next(t, asked); said != `{"id":2,"ok":true}` {
			t.Error(said)
		}
		if _, err := os.Stat(filepath.Join(m.directory, "paused.json")); err != nil {
			t.Error(err)
		}
		if said := ask(t, asked, `{"id":3,"op":"info"}`); !strings.Contains(said, `"state":"paused"`) {
			t.Error(said)
		}
		if said := ask(t, asked, `{"id":4,"op":"pause","kept":"memory"}`); !strings.Contains(said, `"conflict"`) {
			t.Error(said)
		}
		if _, err := m.dial("HOST").Read(make([]byte, 1)); err == nil {
			t.Error("somebody was let in")
		}
		// Longer than the agent lives without a word of the host's.
		time.Sleep(2 * time.Second)
		damage(t, m, func() {
			if said := ask(t, asked, `{"id":5,"op":"resume","ms":60000}`); !strings.Contains(said, `"untrusted"`) {
				t.Error(said)
			}
		})
		ask(t, asked, `{"id":6,"op":"resume","ms":60000}`)
		if said := next(t, asked); said != `{"id":6,"ok":true}` {
			t.Error(said)
		}
		if said := m.inside("say", "goes on"); !strings.Contains(said, "goes on") {
			t.Error(said)
		}
		ask(t, asked, `{"id":7,"op":"pause","kept":"memory"}`)
		next(t, asked)
		if _, err := asked.Write([]byte(`{"id":8,"op":"kill"}` + "\n")); err != nil {
			t.Fatal(err)
		}
		if reason := m.wait(); reason != "killed" {
			t.Error(reason)
		}
		m.leavesNothing()
	})
}

func TestRestingMachineIsResumedFromItsFilesAlone(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, func(plan fields) { as(plan, "setup")["defaultUser"] = "root" })
		asked := m.dial("CONTROL")
		m.inside("write")
		if said := ask(t, asked, `{"id":1,"op":"pause","kept":"files"}`); said != `{"event":"paused"}` {
			t.Error(said)
		}
		if said := next(t, asked); said != `{"id":1,"ok":true,"rests":true}` {
			t.Error(said)
		}
		if reason := m.wait(); reason != "" {
			t.Error(reason)
		}
		m.rests()
		if removed, err := sweep.Sweep(b.state); err != nil || len(removed) > 0 {
			t.Error(removed, err)
		}
		damage(t, m, func() {
			one := b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "1")
			if said := one.report(); said.OK || said.Error.Code != "untrusted" {
				t.Errorf("%+v", said)
			}
			one.wait()
			m.rests()
		})
		one, other := b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "1"), b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "1")
		first, second := one.report(), other.report()
		if !first.OK {
			one, first, second = other, second, first
		}
		if !first.OK || second.OK || second.Error.Code != "conflict" {
			t.Fatalf("%+v %+v", first, second)
		}
		if said := one.inside("read"); !strings.Contains(said, "without a flush") {
			t.Error(said)
		}
		if err := one.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = one.command.Wait()
		if _, err := sweep.Sweep(b.state); err != nil {
			t.Error(err)
		}
		m.leavesNothing()
	})
}

// rests fails when more is left of a machine than what a pause keeps.
func (m *made) rests() {
	m.t.Helper()
	for _, left := range traces(m.b, m.id) {
		if left != m.directory {
			m.t.Errorf("left: %s", left)
		}
	}
	entries, err := os.ReadDir(m.directory)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case "lock", "paused.json", "memory", "disk.img", "plan.json", "bundle":
		default:
			m.t.Errorf("left: %s", entry.Name())
		}
	}
}

func TestPausedMachineWhoseSupervisorIsKilledKeepsItsFiles(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		if r.name != "runc" {
			t.Skip("its memory does not stay on the host")
		}
		for _, swept := range []bool{true, false} {
			m := b.ready(t, r, func(plan fields) { as(plan, "setup")["defaultUser"] = "root" })
			m.inside("write")
			asked := m.dial("CONTROL")
			ask(t, asked, `{"id":1,"op":"pause","kept":"memory"}`)
			next(t, asked)
			if err := m.command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = m.command.Wait()
			if swept {
				if _, err := sweep.Sweep(b.state); err != nil {
					t.Error(err)
				}
				m.rests()
			}
			one := b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "1")
			if said := one.report(); !said.OK {
				t.Fatalf("%+v", said)
			}
			if said := one.inside("read"); !strings.Contains(said, "without a flush") {
				t.Error(said)
			}
			asked = one.dial("CONTROL")
			ask(t, asked, `{"id":1,"op":"pause","kept":"memory"}`)
			next(t, asked)
			one.command.Process.Signal(syscall.SIGTERM)
			one.wait()
			m.rests()
			if out, err := exec.Command(b.supervisor, "discard", m.directory+"/plan.json").CombinedOutput(); err != nil {
				t.Errorf("%s %v", out, err)
			}
			m.leavesNothing()
		}
	})
}

func TestKillDoesNotWaitForAGuestThatDoesNotStop(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, func(fields) {})
		pausing, killing := m.dial("CONTROL"), m.dial("CONTROL")
		halt(t, b, m.id)
		if _, err := io.WriteString(pausing, `{"id":1,"op":"pause","kept":"files"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		// Until the pause is under way; before, the kill would come first and nothing be shown.
		time.Sleep(200 * time.Millisecond)
		if _, err := io.WriteString(killing, `{"id":2,"op":"kill"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(pausing)
		if !strings.Contains(string(said), `"ended"`) || strings.Contains(string(said), `"unavailable"`) {
			t.Errorf("%s", said)
		}
		if reason := m.wait(); reason != "killed" {
			t.Error(reason)
		}
		m.leavesNothing()
	})
}

// halt stops every process of a machine where it is, as a guest that does not react.
func halt(t *testing.T, b *bench, id string) {
	t.Helper()
	for _, trace := range traces(b, id) {
		_ = filepath.WalkDir(trace, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Base(path) != "cgroup.procs" {
				return nil
			}
			raw, _ := os.ReadFile(path)
			for _, word := range strings.Fields(string(raw)) {
				if pid, err := strconv.Atoi(word); err == nil {
					_ = syscall.Kill(pid, syscall.SIGSTOP)
				}
			}
			return nil
		})
	}
}

// damage changes a byte of the disk's image for the time of a check.
func damage(t *testing.T, m *made, check func()) {
	t.Helper()
	image, err := os.OpenFile(filepath.Join(m.directory, "disk.img"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	held := make([]byte, 1)
	if _, err := image.ReadAt(held, 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := image.WriteAt([]byte{held[0] ^ 1}, 5000); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := image.WriteAt(held, 5000); err != nil {
		t.Fatal(err)
	}
}
