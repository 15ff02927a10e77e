package code

import (
	"bytes"
	"errors"
	"io"
)

// Bounds of what a kernel may send: code that nobody has read runs in its process.
const (
	maxResultBytes = 64 << 20
	maxErrorBytes  = 16 << 20
	maxPlainBytes  = 64 << 10
	frameBufBytes  = 32 << 10
)

var errLongLine = errors.New("a line that is too long")

// frames reads the lines of a kernel: a letter that says what it is, and a JSON object.
type frames struct {
	in         io.Reader
	buf        []byte
	start, end int
}

func newFrames(in io.Reader) *frames {
	return &frames{in: in, buf: make([]byte, frameBufBytes)}
}

// buffered says whether another line has come with the last one.
func (f *frames) buffered() bool { return f.start < f.end }

func (f *frames) fill() error {
	f.start, f.end = 0, 0
	n, err := f.in.Read(f.buf)
	f.end = n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// kind begins the next line.
func (f *frames) kind() (byte, error) {
	if !f.buffered() {
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	kind := f.buf[f.start]
	f.start++
	return kind, nil
}

// body passes what stands between the braces of the line's object to write, checked, in parts, and ends the line.
// A part is valid until write returns. What was passed before an error must not be trusted to be complete.
func (f *frames) body(limit int, write func(part []byte) error) error {
	scan := newScanner()
	total := 0
	for {
		if !f.buffered() {
			if err := f.fill(); err != nil {
				return err
			}
		}
		part := f.buf[f.start:f.end]
		newline := bytes.IndexByte(part, '\n')
		if newline >= 0 {
			part = part[:newline]
		}
		first := total == 0
		if total += len(part); total > limit {
			return errLongLine
		}
		for _, c := range part {
			if !scan.next(c) {
				return errNotJSON
			}
		}
		f.start += len(part)
		if newline >= 0 {
			f.start++
			if !scan.done {
				return errNotJSON
			}
		}
		if part = inner(part, first, scan.done); len(part) > 0 {
			if err := write(part); err != nil {
				return err
			}
		}
		if newline >= 0 {
			return nil
		}
	}
}

// inner leaves out the outermost braces: the first byte of the first part, and the last of the last.
func inner(part []byte, first, done bool) []byte {
	if len(part) > 0 && first {
		part = part[1:]
	}
	if len(part) > 0 && done {
		part = part[:len(part)-1]
	}
	return part
}

// text reads a whole short line and returns its object.
func (f *frames) text(limit int) ([]byte, error) {
	text := []byte{'{'}
	err := f.body(limit, func(part []byte) error {
		text = append(text, part...)
		return nil
	})
	return append(text, '}'), err
}
