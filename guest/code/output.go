package code

import (
	"os"
	"sync"
	"syscall"
	"unicode/utf8"
)

const chunkBytes = 32 << 10

var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// sink takes what a kernel prints.
type sink interface {
	output(kind string, text []byte)
	flush()
}

// output is one of a kernel's output pipes: stdout or stderr. It is read as fast as its sink takes it; without a sink,
// which is between runs, what comes is dropped so that background work does not hang.
type output struct {
	kind string
	file *os.File

	mu     sync.Mutex
	fd     int
	sink   sink
	held   [utf8.UTFMax]byte // the beginning of a character whose rest has not come
	nHeld  int
	closed bool
}

// newOutput makes a pipe and returns its other end, which the kernel writes to.
func newOutput(kind string) (*output, *os.File, error) {
	reader, writer, err := pipe()
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.SetNonblock(reader, true); err != nil {
		syscall.Close(reader)
		syscall.Close(writer)
		return nil, nil, err
	}
	return &output{kind: kind, fd: reader, file: os.NewFile(uintptr(reader), kind)}, os.NewFile(uintptr(writer), kind), nil
}

// pipe leaves both ends blocking, which is what a program expects of its descriptors.
func pipe() (reader, writer int, err error) {
	var ends [2]int
	err = syscall.Pipe2(ends[:], syscall.O_CLOEXEC)
	return ends[0], ends[1], err
}

// watch reads whenever there is something, until the pipe's end.
func (o *output) watch() {
	raw, err := o.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(uintptr) bool {
		more, flush := o.pump()
		if flush != nil {
			flush.flush()
		}
		return !more
	})
	o.close()
}

// drain takes what is there now. Whatever the kernel printed before it sent its last line is then in its place.
func (o *output) drain() { o.pump() }

// pump reads until the pipe is empty. more: there may come more later. flush: the sink that has something to send.
func (o *output) pump() (more bool, flush sink) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false, nil
	}
	var chunk *[chunkBytes]byte
	defer func() {
		if chunk != nil {
			chunks.Put(chunk)
		}
	}()
	for {
		if chunk == nil {
			chunk = chunks.Get().(*[chunkBytes]byte)
		}
		held := copy(chunk[:], o.held[:o.nHeld])
		n, err := syscall.Read(o.fd, chunk[held:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true, flush
		case err != nil || n <= 0:
			return false, flush
		}
		o.nHeld = 0
		if o.sink == nil {
			if held+n < chunkBytes {
				return true, nil
			}
			continue
		}
		text := chunk[:held+n]
		whole := wholeCharacters(text)
		o.nHeld = copy(o.held[:], text[whole:])
		if whole > 0 {
			o.sink.output(o.kind, text[:whole])
			flush = o.sink
		}
		if held+n < chunkBytes {
			return true, flush
		}
	}
}

// redirect gives what comes from now on to another sink, or to none.
func (o *output) redirect(to sink) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sink != nil && o.nHeld > 0 {
		o.sink.output(o.kind, o.held[:o.nHeld])
	}
	o.nHeld = 0
	o.sink = to
}

func (o *output) close() {
	o.mu.Lock()
	closed := o.closed
	o.closed = true
	o.mu.Unlock()
	// Not under the lock: Close waits for watch, which may be waiting for the lock.
	if !closed {
		o.file.Close()
	}
}

// wholeCharacters is how many bytes of text may go out before a character that is cut off at the end.
func wholeCharacters(text []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		c := text[len(text)-back]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-back:]) {
				return len(text) - back
			}
			break
		}
	}
	return len(text)
}
