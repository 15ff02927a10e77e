package launch

import (
	"bytes"
	"os"
	"strings"
	"sync"
)

const (
	tailBytes = 4 << 10
	headBytes = 300
)

// Tail keeps the end of what a program says, whatever it says and however much, and how it began.
type Tail struct {
	mutex sync.Mutex
	kept  []byte
	begun []byte
}

// Follow reads until there is no more.
func (t *Tail) Follow(from *os.File) {
	buffer := make([]byte, 1024)
	for {
		n, err := from.Read(buffer)
		t.add(buffer[:n])
		if err != nil {
			return
		}
	}
}

func (t *Tail) add(raw []byte) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.begun = append(t.begun, raw[:min(len(raw), headBytes-len(t.begun))]...)
	t.kept = append(t.kept, raw...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
}

// String answers what was kept, fit for a message.
func (t *Tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return Printable(t.kept)
}

// First answers the first line of it, fit for a message, or as much as is kept.
func (t *Tail) First() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	line, _, _ := bytes.Cut(bytes.TrimSpace(t.begun), []byte("\n"))
	return Printable(line)
}

// Printable makes foreign bytes fit for a message: valid, one line each, without control characters.
func Printable(raw []byte) string {
	text := strings.ToValidUTF8(string(raw), "?")
	text = strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// FileTail answers the end of a file, fit for a message; empty when it cannot be read.
func FileTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	raw := make([]byte, min(tailBytes, info.Size()))
	n, _ := file.ReadAt(raw, info.Size()-int64(len(raw)))
	return Printable(raw[:n])
}
