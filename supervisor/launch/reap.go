package launch

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cofferdam/supervisor/failure"
)

// companionPatience is how long a machine's first process may outlive what it cannot live without.
const companionPatience = time.Second

// reaper waits for every child of this process, those that fell to it too.
type reaper struct {
	// main is whose end is the machine's.
	main    int
	pidFile string
	// followed tells that the runtime has detached, and main is the machine's first process.
	followed bool
	ended    chan syscall.WaitStatus
	// early are the ends of others while the runtime has not said which is the machine's first process.
	early map[int]syscall.WaitStatus
	// detached is closed when the runtime has left the machine alone.
	detached chan struct{}
	// mutex is held while a helper is forked, so that its end is not taken for another's, and while main changes or is killed.
	mutex   sync.Mutex
	helpers map[int]chan<- syscall.WaitStatus
	// over says that nobody waits for children any more.
	over bool
}

// reapAll waits for the runtime and for all orphans below it, until there is no child left.
func reapAll(pid int, pidFile string) (*reaper, <-chan struct{}) {
	r := &reaper{
		main: pid, pidFile: pidFile, ended: make(chan syscall.WaitStatus, 1), early: map[int]syscall.WaitStatus{},
		detached: make(chan struct{}), helpers: map[int]chan<- syscall.WaitStatus{},
	}
	alone := make(chan struct{})
	go func() {
		defer close(alone)
		for {
			var status syscall.WaitStatus
			one, err := syscall.Wait4(-1, &status, 0, nil)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err == nil {
				r.reaped(one, status)
			} else if r.finish() {
				return
			}
		}
	}()
	return r, alone
}

// finish notes that no child is left and that nobody waits for another one; false when a helper was forked meanwhile.
func (r *reaper) finish() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.over = len(r.helpers) == 0
	return r.over
}

// follow forks a helper and answers how it ends. When no child is left the machine is gone, and there is nothing to help.
func (r *reaper) follow(fork func() (int, error)) (pid int, ended <-chan syscall.WaitStatus, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.over {
		return 0, nil, failure.New(failure.Lost, "the machine is ending")
	}
	pid, err = fork()
	if err != nil {
		return 0, nil, err
	}
	end := make(chan syscall.WaitStatus, 1)
	r.helpers[pid] = end
	return pid, end, nil
}

// kill ends a helper that has not ended.
func (r *reaper) kill(pid int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.helpers[pid] != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// helped takes the end of a helper.
func (r *reaper) helped(pid int, status syscall.WaitStatus) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	end, known := r.helpers[pid]
	delete(r.helpers, pid)
	if known {
		end <- status
	}
	return known
}

func (r *reaper) reaped(pid int, status syscall.WaitStatus) {
	if r.helped(pid, status) {
		return
	}
	if pid != r.main {
		r.other(pid, status)
		return
	}
	if r.pidFile == "" || status.ExitStatus() != 0 {
		r.setMain(0)
		r.ended <- status
		return
	}
	// From here on the machine's first process is followed.
	first, err := readPid(r.pidFile)
	r.pidFile = ""
	r.setMain(first)
	r.followed = true
	if over, known := r.early[first]; known {
		status, err = over, os.ErrProcessDone
	}
	r.early = nil
	if err != nil {
		r.setMain(0)
		r.ended <- status
		return
	}
	close(r.detached)
}

// other takes the end of a child that is not the machine's first process. Beside that one, a runtime that detached leaves
// only what the machine cannot live without, as gVisor's gofer. One that was killed tells so. The exit of another may be the
// consequence of the first process's own end, which then tells more; else it is made so.
func (r *reaper) other(pid int, status syscall.WaitStatus) {
	switch {
	case r.pidFile != "":
		if len(r.early) < 1024 {
			r.early[pid] = status
		}
	case r.followed && r.main != 0 && status.Signaled():
		r.setMain(0)
		r.ended <- status
	case r.followed && r.main != 0:
		time.AfterFunc(companionPatience, r.killMain)
	}
}

func (r *reaper) killMain() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.main != 0 {
		_ = syscall.Kill(r.main, syscall.SIGKILL)
	}
}

// setMain notes whose end is the machine's; 0: it has ended.
func (r *reaper) setMain(pid int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.main = pid
}

func readPid(path string) (int, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err == nil && pid <= 1 {
		err = strconv.ErrRange
	}
	return pid, err
}
