// Package child starts processes for users and ends whole trees of them. It is the only place in the agent that
// forks and the only one that waits.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cofferdam/guest/users"
)

// Reason tells why a process is over.
type Reason string

// The reasons. Killed and TimedOut are ours; OutOfMemory is the kernel's.
const (
	Exited      Reason = "exited"
	Signalled   Reason = "signalled"
	TimedOut    Reason = "timed-out"
	OutOfMemory Reason = "out-of-memory"
	Killed      Reason = "killed"
)

// Spec says what to start. The program is looked up by the caller: Argv[0] is a path.
type Spec struct {
	Argv []string
	Dir  string
	Env  []string
	User *users.User
	// Standard streams; nil is /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Extra become descriptors 3, 4, ….
	Extra []*os.File
	// Terminal makes Stdin the controlling terminal.
	Terminal bool
	// Beside names a process whose tree this one joins, where the kernel follows trees by groups; 0 for a tree of its own.
	Beside int
}

// End says how a process ended. ExitCode is 128 plus the signal for a signal, as in a shell.
type End struct {
	ExitCode int
	Signal   syscall.Signal
	Reason   Reason
}

// Child is a process that was started here.
type Child struct {
	PID    int
	table  *Table
	branch branch
	done   chan struct{}
	end    End
	// intent is the Reason that KillTree was called for; it is set before the kill.
	intent atomic.Pointer[Reason]
}

// Table starts processes and reaps all that end, its own and the orphans that fall to PID 1.
type Table struct {
	tree     tree
	fallback scanTree
	// outOfMemoryKills asks the host how many the machine has seen; nil where nobody can tell.
	outOfMemoryKills func(context.Context) (int, error)
	knownKills       atomic.Int64
	raiseScore       bool

	// A launch holds starting for reading until its pid is known; the reaper takes it before it looks a pid up.
	starting sync.RWMutex
	mutex    sync.Mutex
	living   map[int]*Child
	emptying map[*Child]struct{}
	marks    atomic.Uint64
}

// Options of a table.
type Options struct {
	// CgroupRoot is a cgroup2 directory that we may make children in; nil where there is none.
	CgroupRoot *os.File
	// CgroupMount is the path of gVisor's own cgroup file system; empty where there is none.
	CgroupMount string
	// GroupMarks follows commands by a group of users that each has for itself, where there is no cgroup to be had.
	GroupMarks bool
	// CgroupLimit is a group of another hierarchy there, one level below its root, that limits all commands together.
	CgroupLimit string
	// OutOfMemoryKills asks how many processes the kernel has killed for want of memory.
	OutOfMemoryKills func(context.Context) (int, error)
}

// NewTable makes the table. Reap must run for Wait to return.
func NewTable(options Options) *Table {
	table := &Table{
		outOfMemoryKills: options.OutOfMemoryKills,
		living:           map[int]*Child{},
		emptying:         map[*Child]struct{}{},
	}
	switch {
	case options.CgroupRoot != nil:
		table.tree = &fdTree{root: options.CgroupRoot}
	case options.CgroupMount != "":
		table.tree = &mountTree{path: options.CgroupMount, limit: options.CgroupLimit}
	case options.GroupMarks && showsGroups():
		table.tree = &groupTree{taken: map[uint32]bool{}}
	default:
		table.tree = table.fallback
	}
	if raw, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil && len(raw) > 0 && raw[0] == '-' {
		table.raiseScore = true
	}
	return table
}

// Launch starts a process in a session of its own.
func (t *Table) Launch(spec Spec) (*Child, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("no program is named")
	}
	mark := strconv.FormatUint(t.marks.Add(1), 10) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	place, err := t.place(spec.Beside, mark)
	if err != nil {
		place, _ = t.fallback.branch(mark)
	}
	child := &Child{table: t, branch: place, done: make(chan struct{})}
	env := spec.Env
	if _, scanned := place.(*scanBranch); scanned {
		env = append(append([]string{}, env...), MarkName+"="+mark)
	}
	null, err := openNull(&spec)
	if err != nil {
		place.release()
		return nil, err
	}
	if null != nil {
		defer null.Close()
	}
	attributes := &syscall.SysProcAttr{Setsid: true, Setctty: spec.Terminal}
	if _, marked := place.(*groupBranch); marked && spec.User == nil {
		attributes.Credential = &syscall.Credential{}
	}
	if spec.User != nil {
		attributes.Credential = &syscall.Credential{Uid: spec.User.UID, Gid: spec.User.GID, Groups: spec.User.Groups}
	}
	place.attributes(attributes)
	files := []uintptr{spec.Stdin.Fd(), spec.Stdout.Fd(), spec.Stderr.Fd()}
	for _, file := range spec.Extra {
		files = append(files, file.Fd())
	}
	err = t.fork(child, spec, &syscall.ProcAttr{Dir: spec.Dir, Env: env, Files: files, Sys: attributes})
	runtime.KeepAlive(spec)
	if err != nil {
		place.release()
		return nil, err
	}
	if t.raiseScore {
		_ = writeText("/proc/"+strconv.Itoa(child.PID)+"/oom_score_adj", "100")
	}
	return child, nil
}

func (t *Table) place(beside int, mark string) (branch, error) {
	if mounted, ok := t.tree.(*mountTree); ok && beside != 0 {
		return mounted.beside(beside)
	}
	return t.tree.branch(mark)
}

func (t *Table) fork(child *Child, spec Spec, attributes *syscall.ProcAttr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	leave, err := child.branch.enter()
	if err != nil {
		return fmt.Errorf("enter the command's cgroup: %w", err)
	}
	t.starting.RLock()
	pid, err := syscall.ForkExec(spec.Argv[0], spec.Argv, attributes)
	if err == nil {
		child.PID = pid
		t.mutex.Lock()
		t.living[pid] = child
		t.mutex.Unlock()
	}
	t.starting.RUnlock()
	leave()
	return err
}

// openNull puts /dev/null where the spec names no stream.
func openNull(spec *Spec) (*os.File, error) {
	if spec.Stdin != nil && spec.Stdout != nil && spec.Stderr != nil {
		return nil, nil
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for _, stream := range []**os.File{&spec.Stdin, &spec.Stdout, &spec.Stderr} {
		if *stream == nil {
			*stream = null
		}
	}
	return null, nil
}

// Reap waits for children until the context is over. Exactly one goroutine runs it.
func (t *Table) Reap(ctx context.Context, childSignals <-chan os.Signal) {
	for {
		t.reapAll()
		select {
		case <-ctx.Done():
			return
		case <-childSignals:
		}
	}
}

func (t *Table) reapAll() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		// Whoever was forked before this point is in the map once its launch lets go.
		t.starting.Lock()
		t.mutex.Lock()
		child := t.living[pid]
		delete(t.living, pid)
		t.mutex.Unlock()
		t.starting.Unlock()
		if child != nil {
			go child.finish(status)
		}
	}
}

func (c *Child) finish(status syscall.WaitStatus) {
	end := End{ExitCode: status.ExitStatus(), Reason: Exited}
	if status.Signaled() {
		end = End{ExitCode: 128 + int(status.Signal()), Signal: status.Signal(), Reason: Signalled}
	}
	switch intent := c.intent.Load(); {
	case intent != nil:
		end.Reason = *intent
	case end.Signal == syscall.SIGKILL || end.ExitCode == 128+int(syscall.SIGKILL):
		if c.table.sawMemoryKill() {
			end.Reason = OutOfMemory
		}
	}
	c.end = end
	if !c.branch.release() {
		c.table.keepEmptying(c)
	}
	c.table.releaseEmptied()
	close(c.done)
}

// sawMemoryKill tells whether the kernel has killed for memory since it was asked last.
func (t *Table) sawMemoryKill() bool {
	if t.outOfMemoryKills == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	count, err := t.outOfMemoryKills(ctx)
	if err != nil {
		return false
	}
	return t.knownKills.Swap(int64(count)) < int64(count)
}

func (t *Table) keepEmptying(c *Child) {
	t.mutex.Lock()
	t.emptying[c] = struct{}{}
	t.mutex.Unlock()
}

// releaseEmptied gives back the places of commands whose last descendant is gone.
func (t *Table) releaseEmptied() {
	t.mutex.Lock()
	waiting := make([]*Child, 0, len(t.emptying))
	for c := range t.emptying {
		waiting = append(waiting, c)
	}
	t.mutex.Unlock()
	for _, c := range waiting {
		t.mutex.Lock()
		if _, still := t.emptying[c]; still && c.branch.release() {
			delete(t.emptying, c)
		}
		t.mutex.Unlock()
	}
}

// Each calls do for every process that was started here and lives.
func (t *Table) Each(do func(*Child)) {
	t.mutex.Lock()
	living := make([]*Child, 0, len(t.living)+len(t.emptying))
	for _, c := range t.living {
		living = append(living, c)
	}
	for c := range t.emptying {
		living = append(living, c)
	}
	t.mutex.Unlock()
	for _, c := range living {
		do(c)
	}
}

// Done is closed when the process is over.
func (c *Child) Done() <-chan struct{} { return c.done }

// Wait answers when the process is over.
func (c *Child) Wait() End {
	<-c.done
	return c.end
}

// Signal sends to the process group. It answers false when the process is gone.
func (c *Child) Signal(signal syscall.Signal) bool {
	select {
	case <-c.done:
		return false
	default:
	}
	return syscall.Kill(-c.PID, signal) == nil || syscall.Kill(c.PID, signal) == nil
}

// SignalTree sends to every process of the tree.
func (c *Child) SignalTree(signal syscall.Signal) {
	members, err := c.branch.members(c.PID)
	if err != nil {
		return
	}
	for _, pid := range members {
		_ = syscall.Kill(pid, signal)
	}
}

// KillTree ends the process and all that descends from it, and answers when it is gone. The first reason stands.
func (c *Child) KillTree(ctx context.Context, reason Reason) error {
	select {
	case <-c.done:
		if !c.table.isEmptying(c) {
			return nil
		}
	default:
		c.intent.CompareAndSwap(nil, &reason)
	}
	if err := c.branch.kill(ctx, c.PID); err != nil && !isGone(err) {
		return err
	}
	select {
	case <-c.done:
		c.table.releaseEmptied()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isGone tells whether a branch was found empty and given back while it was looked at.
func isGone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EBADF)
}

// isEmptying tells whether a process is over whose descendants are not.
func (t *Table) isEmptying(c *Child) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	_, waiting := t.emptying[c]
	return waiting
}
