package machine_test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cofferdam/supervisor/sweep"
)

func unchanged(fields) {}

// inside runs the test's tool inside and answers its output and its end as the agent tells them.
func (m *made) inside(words ...string) string {
	m.t.Helper()
	connection := m.dial("HOST")
	message, err := json.Marshal(fields{"process": fields{"cmd": "/tool", "args": words}})
	if err != nil {
		m.t.Fatal(err)
	}
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	_, err = fmt.Fprintf(connection, "POST /process.Process/Start HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"+
		"content-type: application/connect+json\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
	if err != nil {
		m.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return "cut off"
	}
	raw, _ := io.ReadAll(answer.Body)
	text := string(raw)
	for {
		before, after, found := strings.Cut(text, `"stdout":"`)
		if !found {
			return text
		}
		data, rest, _ := strings.Cut(after, `"`)
		plain, _ := base64.StdEncoding.DecodeString(data)
		text = before + string(plain) + rest
	}
}

// control asks the supervisor and answers its next line.
func control(t *testing.T, connection net.Conn, request string) string {
	t.Helper()
	if _, err := fmt.Fprintln(connection, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestMachineServesUntilItIsKilledAndLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, unchanged)
		if said := m.inside("say", "hello from inside"); !strings.Contains(said, "hello from inside") {
			t.Error(said)
		}
		asked := m.dial("CONTROL")
		if said := control(t, asked, `{"id":1,"op":"info"}`); !strings.Contains(said, `"agentVersion":"`) {
			t.Error(said)
		}
		if said := control(t, asked, `{"id":2,"op":"metrics"}`); !strings.Contains(said, `"memoryTotalBytes":201326592`) || !strings.Contains(said, `"cpuCount":1.5`) {
			t.Error(said)
		}
		busy := m.dial("HOST")
		defer busy.Close()
		go m.inside("scatter")
		for !strings.Contains(m.inside("say", "x"), "x") {
			continue
		}
		if _, err := fmt.Fprintln(asked, `{"id":3,"op":"kill"}`); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(asked)
		if want := `{"event":"ended","reason":"killed"}` + "\n" + `{"id":3,"ok":true}` + "\n"; string(said) != want || err != nil {
			t.Errorf("%s %v", said, err)
		}
		m.leavesNothing()
		if reason := m.wait(); reason != "killed" {
			t.Error(reason)
		}
	})
}

func TestReasonsOfAnEndAreToldApart(t *testing.T) {
	lease := func(change fields) func(fields) {
		return func(plan fields) {
			for name, value := range change {
				as(plan, "lease")[name] = value
			}
		}
	}
	each(t, func(t *testing.T, b *bench, r runtime) {
		for _, one := range []struct {
			reason string
			change func(fields)
			act    func(m *made)
		}{
			{"lifetime", lease(fields{"lifetimeMs": 300}), func(*made) {}},
			{"idle", lease(fields{"idleTimeoutMs": 300}), func(*made) {}},
			{"owner-gone", lease(fields{"detached": false, "ownerGraceMs": 300}), func(*made) {}},
			{"owner-gone", lease(fields{"detached": false}), func(m *made) {
				owner := m.dial("CONTROL")
				control(m.t, owner, `{"id":1,"op":"own"}`)
				owner.Close()
			}},
			{"killed", unchanged, func(m *made) { _ = m.command.Process.Signal(syscall.SIGTERM) }},
			{"runtime-lost", unchanged, func(m *made) { _ = syscall.Kill(m.first(), syscall.SIGKILL) }},
		} {
			m := b.ready(t, r, one.change)
			one.act(m)
			if reason := m.wait(); reason != one.reason {
				t.Errorf("%q instead of %q", reason, one.reason)
			}
			m.leavesNothing()
		}
	})
}

// first is the machine's first process. The runtime may note it after the agent has spoken.
func (m *made) first() int {
	m.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		raw, err := os.ReadFile(m.directory + "/pid")
		if pid, notNumber := strconv.Atoi(string(raw)); err == nil && notNumber == nil {
			return pid
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%q, %v", raw, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestMemoryBombEndsAtItsLimitAndIsToldAsOne(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, unchanged)
		said := m.inside("hog")
		if strings.Contains(said, `"reason":"out-of-memory"`) {
			if said := m.inside("say", "still here"); !strings.Contains(said, "still here") {
				t.Error(said)
			}
			return
		}
		if reason := m.wait(); reason != "out-of-memory" {
			t.Errorf("the command: %s; the machine: %s", said, reason)
		}
		m.leavesNothing()
	})
}

func TestDiskFillerStopsAtItsLimit(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, func(plan fields) { as(plan, "setup")["defaultUser"] = "root" })
		said := m.inside("fill")
		if !strings.Contains(said, "no space left on device") {
			t.Error(said)
		}
		m.command.Process.Signal(syscall.SIGTERM)
		m.wait()
		m.leavesNothing()
	})
}

func TestCreationThatIsCancelledAtAnyMomentLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		for _, delay := range []int{2, 5, 8, 12, 18, 30, 60, 120} {
			m := b.run(t, r, unchanged)
			time.Sleep(time.Duration(delay) * time.Millisecond)
			if err := m.command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			line := ""
			if m.output.Scan() {
				line = m.output.Text()
			}
			m.wait()
			if m.command.ProcessState.ExitCode() == -1 {
				// The signal came before anybody listened for it; the directory is its maker's.
				_ = os.RemoveAll(m.directory)
			} else if line == "" {
				t.Errorf("nothing was said after %d ms", delay)
			}
			m.leavesNothing()
		}
	})
}

func TestStartThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		for name, one := range map[string]struct {
			code, text string
			change     func(fields)
		}{
			"a runtime that is not there": {"unsupported", "cannot be started", func(plan fields) {
				as(plan, "runtime")["start"] = []string{"/no/such/runtime"}
			}},
			"a runtime that refuses": {"internal", "bundle", func(plan fields) {
				as(plan, "runtime")["start"] = []string{r.path, "--root", plan["directory"].(string) + "/runtime", "run", "--bundle", "/no/bundle", "x"}
			}},
			"a machine that is not ready in time": {"timed-out", "not ready", func(plan fields) {
				as(plan, "runtime")["start"] = []string{"/bin/sleep", "100"}
				plan["startTimeoutMs"] = 100
			}},
			"a layer that is not there": {"internal", "no such file", func(plan fields) {
				as(plan, "root")["lower"] = []string{"/no/such/layer"}
			}},
		} {
			m := b.run(t, r, one.change)
			said := m.report()
			if said.OK || said.Error.Code != one.code || !strings.Contains(said.Error.Message, one.text) {
				t.Errorf("%s: %+v", name, said)
			}
			m.wait()
			m.leavesNothing()
		}
	})
}

func TestSweepRemovesWhatAKilledSupervisorLeftAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		alive, killed := b.ready(t, r, unchanged), b.ready(t, r, unchanged)
		_, young := b.plan(t, r, unchanged)
		defer os.RemoveAll(young)
		_, orphan := b.plan(t, r, unchanged)
		defer os.RemoveAll(orphan)
		noteDeadMaker(t, orphan)
		if err := killed.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = killed.command.Wait()
		others := make(chan error)
		go func() { others <- exec.Command(b.supervisor, "sweep", b.state).Run() }()
		if _, err := sweep.Sweep(b.state); err != nil {
			t.Error(err)
		}
		if err := <-others; err != nil {
			t.Error("the other sweep:", err)
		}
		killed.leavesNothing()
		if _, err := os.Stat(young); err != nil {
			t.Error("a machine in the making was swept:", err)
		}
		if _, err := os.Stat(orphan); !os.IsNotExist(err) {
			t.Error("a machine whose maker is dead was not swept:", err)
		}
		if said := alive.inside("say", "alive"); !strings.Contains(said, "alive") {
			t.Error(said)
		}
		alive.command.Process.Signal(syscall.SIGTERM)
		if reason := alive.wait(); reason != "killed" {
			t.Error(reason)
		}
	})
}

// noteDeadMaker writes that a process made the directory a while ago that has ended.
func noteDeadMaker(t *testing.T, directory string) {
	t.Helper()
	maker := exec.Command("true")
	if err := maker.Run(); err != nil {
		t.Fatal(err)
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	note := fmt.Sprintf("%d 1 %s\n", maker.Process.Pid, namespace)
	earlier := time.Now().Add(-10 * time.Second)
	if err := errors.Join(os.WriteFile(directory+"/maker", []byte(note), 0o600), os.Chtimes(directory, earlier, earlier)); err != nil {
		t.Fatal(err)
	}
}

func TestMachineIsMadeOnceOnly(t *testing.T) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, unchanged)
		out, err := exec.Command(b.supervisor, "run", m.directory+"/plan.json").Output()
		if err == nil || !strings.Contains(string(out), `"already-exists"`) {
			t.Errorf("%s %v", out, err)
		}
		if said := m.inside("say", "mine"); !strings.Contains(said, "mine") {
			t.Error(said)
		}
	})
}
