// Package thread runs code on threads of its own, whose namespaces and cgroups nobody else shares.
package thread

import (
	"runtime"
	"syscall"
)

// Once runs do on a fresh thread that ends with it, so that whatever do changed about the thread is gone.
func Once(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			// The main thread would outlive this goroutine; held here, it cannot be taken for the next one.
			done <- Once(do)
			runtime.UnlockOSThread()
			return
		}
		done <- do()
	}()
	return <-done
}

// Mounts is a thread in a mount namespace of its own. Its working directory is its own too.
type Mounts struct {
	jobs      chan job
	namespace int
}

type job struct {
	do   func() error
	done chan error
}

// NewMounts makes the namespace. What the host mounts and unmounts reaches it; nothing goes the other way.
func NewMounts(directory string) (*Mounts, error) {
	mounts := &Mounts{jobs: make(chan job)}
	begun := make(chan error)
	go Once(func() error {
		err := mounts.begin(directory)
		begun <- err
		if err != nil {
			return err
		}
		for one := range mounts.jobs {
			one.done <- one.do()
		}
		return nil
	})
	if err := <-begun; err != nil {
		return nil, err
	}
	return mounts, nil
}

func (m *Mounts) begin(directory string) error {
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := syscall.Chdir(directory); err != nil {
		return err
	}
	namespace, err := syscall.Open("/proc/thread-self/ns/mnt", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	m.namespace = namespace
	return err
}

// Do runs a function in the namespace, one at a time.
func (m *Mounts) Do(do func() error) error {
	one := job{do: do, done: make(chan error, 1)}
	m.jobs <- one
	return <-one.done
}

// Enter puts the calling thread into the namespace; it must be a thread of Once.
func (m *Mounts) Enter() error {
	if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
		return err
	}
	if _, _, errno := syscall.RawSyscall(sysSetns, uintptr(m.namespace), syscall.CLONE_NEWNS, 0); errno != 0 {
		return errno
	}
	return nil
}

// Close ends the thread; with the last process in it, the namespace and its mounts go.
func (m *Mounts) Close() {
	close(m.jobs)
	syscall.Close(m.namespace)
}
