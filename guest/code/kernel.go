package code

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	// A run that has been interrupted and goes on this long is ended with its kernel.
	interruptGrace = time.Second
	// How long a dead kernel's last answers are waited for when a child of its keeps the line open.
	lastWords = 100 * time.Millisecond
)

// kernel is one process that runs code and keeps its state.
type kernel struct {
	dialect  dialect
	process  Process
	requests *os.File
	answers  *os.File
	frames   *frames
	outputs  [2]*output

	mu sync.Mutex
	// ended says why the agent itself has killed it; empty when it died by itself.
	ended string
	once  sync.Once

	acks uint64
	run  atomic.Pointer[run]
}

// spawn starts a kernel; it is usable once ready has returned nil.
func spawn(d dialect, launch Launch, program Program) (*kernel, error) {
	k := &kernel{dialect: d}
	var theirs []*os.File
	defer func() {
		for _, file := range theirs {
			file.Close()
		}
	}()
	undo := func(err error) (*kernel, error) {
		k.close()
		return nil, err
	}
	devNull, err := os.Open(os.DevNull)
	if err != nil {
		return undo(err)
	}
	theirs = append(theirs, devNull)
	for i, kind := range []string{"stdout", "stderr"} {
		ours, end, err := newOutput(kind)
		if err != nil {
			return undo(err)
		}
		k.outputs[i] = ours
		theirs = append(theirs, end)
	}
	reader, writer, err := pipe()
	if err != nil {
		return undo(err)
	}
	theirs = append(theirs, os.NewFile(uintptr(reader), "requests"))
	k.requests = nonblocking(writer, "requests")
	if reader, writer, err = pipe(); err != nil {
		return undo(err)
	}
	theirs = append(theirs, os.NewFile(uintptr(writer), "answers"))
	k.answers = nonblocking(reader, "answers")
	k.frames = newFrames(k.answers)
	if d.requestsOnInput {
		theirs[0], theirs[3] = theirs[3], theirs[0]
	}
	program.Files = theirs
	if k.process, err = launch(program); err != nil {
		return undo(err)
	}
	for _, output := range k.outputs {
		go output.watch()
	}
	go k.mourn()
	return k, nil
}

func nonblocking(fd int, name string) *os.File {
	_ = syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// mourn makes a reader of answers notice a death, even when a child of the kernel's has inherited the other end.
func (k *kernel) mourn() {
	<-k.process.Done()
	k.drain()
	// Normally the end of the pipe comes at once, after what was sent last.
	soon := time.Now().Add(lastWords)
	_ = k.answers.SetReadDeadline(soon)
	_ = k.requests.SetWriteDeadline(soon)
}

func (k *kernel) dead() bool {
	select {
	case <-k.process.Done():
		return true
	default:
		return false
	}
}

// kill ends the process tree; the first reason counts.
func (k *kernel) kill(reason string) {
	k.mu.Lock()
	if k.ended == "" && !k.dead() {
		k.ended = reason
	}
	k.mu.Unlock()
	k.process.Kill()
}

func (k *kernel) reason() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// close gives back the descriptors. The process must be dead, or never have been.
func (k *kernel) close() {
	k.once.Do(func() {
		for _, output := range k.outputs {
			if output != nil {
				output.close()
			}
		}
		for _, file := range []*os.File{k.requests, k.answers} {
			if file != nil {
				file.Close()
			}
		}
	})
}

// discard kills the kernel, waits for its end and gives back what it held.
func (k *kernel) discard(reason string) {
	k.kill(reason)
	<-k.process.Done()
	k.close()
}

func (k *kernel) redirect(to sink) {
	for _, output := range k.outputs {
		output.redirect(to)
	}
}

func (k *kernel) drain() {
	for _, output := range k.outputs {
		output.drain()
	}
}

// ready waits until the kernel has said that it is. What it printed until then is in the error if there is one.
func (k *kernel) ready() error {
	printed := &tail{}
	k.redirect(printed)
	defer k.redirect(nil)
	_ = k.answers.SetReadDeadline(time.Now().Add(startTimeout))
	kind, err := k.frames.kind()
	var text []byte
	if err == nil {
		text, err = k.frames.text(maxPlainBytes)
	}
	if err == nil && kind == '=' {
		k.drain() // what a start prints is not the first run's
		return k.answers.SetReadDeadline(time.Time{})
	}
	if err == nil && kind == 'F' {
		var refusal struct{ Message string }
		if json.Unmarshal(text, &refusal) == nil {
			return failed(Unsupported, refusal.Message)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !k.dead() {
		return failed(Unavailable, fmt.Sprintf("the kernel did not start within %v: %s", startTimeout, printed.text()))
	}
	return failed(Unavailable, "the kernel could not start: "+printed.text())
}

// ask sends a request.
func (k *kernel) ask(r request) error {
	line, err := k.dialect.request(r)
	if err == nil {
		_, err = k.requests.Write(line)
	}
	return err
}

// answer reads the answers to a request into the stream until the run is over. An error means that the kernel is not
// to be used any more.
func (k *kernel) answer(to *stream, timedOut *atomic.Bool) error {
	for {
		fresh := !k.frames.buffered()
		kind, err := k.frames.kind()
		if err != nil {
			return err
		}
		if fresh {
			k.drain()
		}
		switch kind {
		case 'D':
			err = to.object(k.frames, maxResultBytes, `"type":"result","is_main_result":false}`)
			if err == nil {
				err = k.acknowledge(to)
			}
		case 'R':
			err = to.object(k.frames, maxResultBytes, `"type":"result","is_main_result":true}`)
		case 'E':
			if timedOut.Load() {
				err = k.frames.body(maxErrorBytes, ignore)
			} else {
				err = to.object(k.frames, maxErrorBytes, `"type":"error"}`)
			}
		case '.':
			return k.frames.body(maxPlainBytes, ignore)
		default:
			err = errNotJSON
		}
		if err != nil {
			return err
		}
	}
}

func ignore([]byte) error { return nil }

// acknowledge lets the kernel go on after something displayed, which the client gets at once.
func (k *kernel) acknowledge(to *stream) error {
	to.flush()
	k.acks++
	_, err := fmt.Fprintf(k.requests, "+%d\n", k.acks)
	return err
}

// broke says whether an error of answer means that the kernel has broken the protocol, and not that it has died.
func broke(err error) bool {
	return !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed)
}

// tail keeps the end of what a kernel printed while it started.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 2048

func (t *tail) output(_ string, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
}

func (t *tail) flush() {}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
