package machine_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cofferdam/supervisor/sweep"
)

// gvisor runs a test with the runtime that brings memory to the disk.
func gvisor(t *testing.T, check func(t *testing.T, b *bench, r runtime)) {
	each(t, func(t *testing.T, b *bench, r runtime) {
		if r.name != "gvisor" {
			t.Skip("its memory stays on the host")
		}
		check(t, b, r)
	})
}

// brought pauses a machine and answers when nothing of it is left but files, its memory among them.
func (m *made) brought() {
	m.t.Helper()
	asked := m.dial("CONTROL")
	if said := ask(m.t, asked, `{"id":1,"op":"pause","kept":"memory"}`); said != `{"event":"paused"}` {
		m.t.Fatal(said)
	}
	if said := next(m.t, asked); said != `{"id":1,"ok":true,"rests":true}` {
		m.t.Fatal(said)
	}
	if reason := m.wait(); reason != "" {
		m.t.Error(reason)
	}
	m.rests()
}

// resumed starts a supervisor for a paused machine.
func (m *made) resumed() *made {
	m.t.Helper()
	one := m.b.begin(m.t, m.id, "resume", m.directory+"/plan.json", "60000", "1")
	if said := one.report(); !said.OK {
		m.t.Fatalf("%+v", said)
	}
	return one
}

func TestMemoryThatWasBroughtToTheDiskGoesOnAndIsRefusedToAnotherVersion(t *testing.T) {
	gvisor(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, func(fields) {})
		m.brought()
		other := b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "2")
		if said := other.report(); said.OK || said.Error.Code != "unsupported" || said.Error.Field != "memory" {
			t.Errorf("%+v", said)
		}
		other.wait()
		m.rests()
		one := m.resumed()
		if said := one.inside("say", "on"); !strings.Contains(said, "on") {
			t.Error(said)
		}
		one.brought()
		one = m.resumed()
		ask(t, one.dial("CONTROL"), `{"id":1,"op":"kill"}`)
		one.wait()
		m.leavesNothing()
	})
}

// A supervisor that is killed leaves a machine that runs no more, or one that is paused with its memory and goes on.
func TestSupervisorKilledAtAnyInstantOfAPauseLosesNoMachineThatIsPaused(t *testing.T) {
	gvisor(t, func(t *testing.T, b *bench, r runtime) {
		kept := 0
		for round := range 12 {
			m := b.ready(t, r, func(fields) {})
			asked := m.dial("CONTROL")
			if _, err := asked.Write([]byte(`{"id":1,"op":"pause","kept":"memory"}` + "\n")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.IntN(30*(round+1))) * time.Millisecond)
			_ = m.command.Process.Kill()
			_ = m.command.Wait()
			if _, err := sweep.Sweep(b.state); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(m.directory, "paused.json")); err != nil {
				m.leavesNothing()
				continue
			}
			kept++
			m.rests()
			m.resumed().brought()
		}
		t.Logf("%d of 12 were paused when their supervisor died", kept)
	})
}

func TestSupervisorKilledAtAnyInstantOfAResumeLosesNoMemory(t *testing.T) {
	gvisor(t, func(t *testing.T, b *bench, r runtime) {
		m := b.ready(t, r, func(fields) {})
		m.brought()
		for range 12 {
			one := b.begin(t, m.id, "resume", m.directory+"/plan.json", "60000", "1")
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			_ = one.command.Process.Kill()
			_ = one.command.Wait()
			if _, err := sweep.Sweep(b.state); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(m.directory, "paused.json")); err != nil {
				// It ran already, and ended with its supervisor.
				m.leavesNothing()
				return
			}
			m.rests()
		}
		m.resumed().brought()
	})
}
