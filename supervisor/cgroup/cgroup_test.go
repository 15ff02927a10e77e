package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

const (
	version1 = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 31 0:32 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
`
	unifiedBeside = `36 31 0:33 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate
`
	version2 = `31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate
`
)

func TestMountsOfEveryVersionAreUnderstood(t *testing.T) {
	for _, one := range []struct {
		name, mounts, controllers string
		places                    []string
	}{
		{"version 1", version1, "", []string{"memory", "pids", "cpu,cpuacct", "freezer"}},
		{"both", version1 + unifiedBeside, "", []string{"memory", "pids", "cpu,cpuacct", "unified"}},
		{"version 2", version2, "cpu memory pids\n", []string{""}},
	} {
		host := parseMounts(one.mounts, func(string) string { return one.controllers })
		places, err := host.places()
		want := make([]string, len(one.places))
		for index, place := range one.places {
			want[index] = filepath.Join("/sys/fs/cgroup", place)
		}
		if err != nil || !slices.Equal(places, want) {
			t.Errorf("%s: %v %v", one.name, places, err)
		}
	}
}

func TestMissingControllerIsRefusedByField(t *testing.T) {
	host := parseMounts(version2, func(string) string { return "memory pids" })
	_, err := host.places()
	var refused *failure.Failure
	if !errors.As(err, &refused) || refused.Code != failure.Unsupported || refused.Field != "resources.cpus" || refused.Mend == "" {
		t.Fatal(err)
	}
}

func testHost(t *testing.T) *Host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("control groups need root")
	}
	host, err := Look()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func testGroup(t *testing.T, host *Host, limits plan.Limits) *Group {
	t.Helper()
	parent := fmt.Sprintf("cofferdam/test-%d", os.Getpid())
	name := fmt.Sprintf("%s/i%d", parent, time.Now().UnixNano())
	group, err := Create(host, plan.Cgroup{Name: name, Limits: limits})
	if group != nil {
		t.Cleanup(func() {
			if err := errors.Join(group.Kill(5*time.Second), group.Remove(5*time.Second)); err != nil {
				t.Error(err)
			}
			RemoveEmpty(host, parent)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return group
}

var small = plan.Limits{MemoryMiB: 64, CPUs: 0.5, Pids: 20}

// within starts a shell in the group.
func within(t *testing.T, group *Group, script string) *exec.Cmd {
	t.Helper()
	directory, err := group.OpenRuntime()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "-c", script)
	if directory != nil {
		defer directory.Close()
		command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(directory.Fd())}
	}
	err = thread.Once(func() error {
		if err := group.Join(); err != nil {
			return err
		}
		return command.Start()
	})
	if err != nil {
		t.Fatal(err)
	}
	return command
}

// await waits until the group has so many processes.
func await(t *testing.T, group *Group, count int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(group.members(false)) < count; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the processes do not come")
		}
	}
}

func TestGroupIsLimitedKilledAndRemoved(t *testing.T) {
	group := testGroup(t, testHost(t), small)
	for _, one := range group.settings() {
		raw, err := os.ReadFile(filepath.Join(group.of(one.controller), one.file))
		if err != nil && one.optional {
			continue
		}
		if strings.TrimSpace(string(raw)) != one.value {
			t.Errorf("%s reads %q instead of %s", one.file, raw, one.value)
		}
	}
	command := within(t, group, "for i in 1 2 3 4 5 6; do (trap '' TERM; setsid sleep 100 &) ; done; sleep 100")
	await(t, group, 5)
	if len(group.members(true)) < len(group.members(false)) {
		t.Error("not every hierarchy has the processes")
	}
	if err := group.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if left := group.members(true); len(left) > 0 {
		t.Error("left:", left)
	}
	_ = command.Wait()
	if err := group.Remove(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, at := range group.host.hierarchies {
		if _, err := os.Stat(group.at(at)); !errors.Is(err, os.ErrNotExist) {
			t.Error(group.at(at), err)
		}
	}
	if err := errors.Join(group.Kill(time.Second), group.Remove(time.Second)); err != nil {
		t.Error("a second time:", err)
	}
}

// onlyVersion1 is this host as it would be if version 2 were not mounted.
func onlyVersion1(t *testing.T) *Host {
	t.Helper()
	host := testHost(t)
	if len(host.unifiedControllers()) > 0 || host.controllers["freezer"] == "" {
		t.Skip("this host has no version 1")
	}
	host.hierarchies = slices.DeleteFunc(host.hierarchies, func(at string) bool { return at == host.unified })
	host.unified = ""
	return host
}

func TestKillWithoutVersion2EndsWhatForksAllTheTime(t *testing.T) {
	group := testGroup(t, onlyVersion1(t), plan.Limits{MemoryMiB: 64, CPUs: 2, Pids: 1000})
	// Each process starts the next one and is over.
	chain := filepath.Join(t.TempDir(), "chain")
	if err := os.WriteFile(chain, []byte("#!/bin/sh\n\"$0\" &\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	command := within(t, group, chain+" & "+chain+" & "+chain+" & sleep 100")
	await(t, group, 3)
	if err := group.Kill(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if left := group.members(true); len(left) > 0 {
		t.Error("left:", left)
	}
}

func TestMemoryKillsAreCounted(t *testing.T) {
	group := testGroup(t, testHost(t), small)
	if group.OOMKills() != 0 {
		t.Fatal("there were some before")
	}
	command := within(t, group, "exec tail /dev/zero")
	err := command.Wait()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatal(err)
	}
	if group.OOMKills() == 0 {
		t.Fatal("none was seen")
	}
	figures := group.Read()
	if figures.CPUUsageUsec == 0 {
		t.Error(figures)
	}
}

func TestLimitThatIsNotTakenFailsTheCreation(t *testing.T) {
	group := testGroup(t, testHost(t), small)
	err := group.apply(setting{"pids", "pids.max", "-5", false})
	var refused *failure.Failure
	if !errors.As(err, &refused) || refused.Code != failure.Unsupported || refused.Field != "resources.pids" {
		t.Fatal(err)
	}
	if err := group.apply(setting{"memory", "memory.no_such_file", "1", true}); err != nil {
		t.Error("an optional file that is not there:", err)
	}
	if group.apply(setting{"memory", "memory.no_such_file", "1", false}) == nil {
		t.Error("a needed file that is not there was taken")
	}
}

func TestLentGroupLetsItsOwnerMakeChildrenAndChangeNoLimit(t *testing.T) {
	group := testGroup(t, testHost(t), small)
	if group.host.unified == "" {
		t.Skip("version 2 is not mounted")
	}
	const id = 2_000_000
	path, err := group.Lend(id)
	if err != nil {
		t.Fatal(err)
	}
	as := func(script string) error {
		command := exec.Command("sh", "-c", script)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := as("mkdir " + path + "/c1 && echo 1 > " + path + "/c1/cgroup.kill && rmdir " + path + "/c1"); err != nil {
		t.Error(err)
	}
	for _, script := range []string{
		"mkdir " + filepath.Dir(path) + "/x",
		"echo 0 > " + filepath.Dir(path) + "/cgroup.procs",
		"echo 1 > " + filepath.Dir(path) + "/cgroup.kill",
		"echo 100000000000 > " + group.of("memory") + "/memory.limit_in_bytes",
		"echo max > " + group.of("pids") + "/pids.max",
	} {
		if as(script) == nil {
			t.Errorf("%s was let through", script)
		}
	}
}
