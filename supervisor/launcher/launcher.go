// Package launcher starts supervisors for a host process that is large: to fork one copies all of its page tables, to fork
// this process copies next to nothing.
//
// It reads a request a line and writes what happens a line. It ends when its input does; supervisors stay.
package launcher

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// A supervisor's first line, and a request, are at most this long.
const maxLine = 256 << 10

// request asks for a supervisor, or has one that was started end.
type request struct {
	ID int64 `json:"id"`
	// Words are the supervisor's arguments; none: it is to end.
	Words []string `json:"words"`
	// Log gets its standard error; empty: nothing does.
	Log string `json:"log"`
}

// event says what has happened to a supervisor: started, its first line, its exit, or that it could not be started.
type event struct {
	ID     int64   `json:"id"`
	Pid    int     `json:"pid,omitempty"`
	Line   *string `json:"line,omitempty"`
	Exited bool    `json:"exited,omitempty"`
	Error  string  `json:"error,omitempty"`
}

type launcher struct {
	program  string
	mutex    sync.Mutex
	out      *json.Encoder
	children map[int64]*os.Process
}

// Serve starts the program as often as it is asked to, until the requests end.
func Serve(program string, requests io.Reader, events io.Writer) error {
	l := &launcher{program: program, out: json.NewEncoder(events), children: map[int64]*os.Process{}}
	lines := bufio.NewScanner(requests)
	lines.Buffer(make([]byte, 4096), maxLine)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if len(asked.Words) == 0 {
			l.terminate(asked.ID)
		} else if err := l.start(asked); err != nil {
			l.tell(event{ID: asked.ID, Error: err.Error()})
		}
	}
	return lines.Err()
}

func (l *launcher) start(asked request) error {
	child := exec.Command(l.program, asked.Words...)
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if asked.Log != "" {
		log, err := os.OpenFile(asked.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer log.Close()
		child.Stderr = log
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	l.mutex.Lock()
	l.children[asked.ID] = child.Process
	l.mutex.Unlock()
	l.tell(event{ID: asked.ID, Pid: child.Process.Pid})
	go l.follow(asked.ID, child, output)
	return nil
}

// follow tells of the first line, and waits for the end.
func (l *launcher) follow(id int64, child *exec.Cmd, output io.ReadCloser) {
	if line, err := firstLine(output); err == nil {
		l.tell(event{ID: id, Line: &line})
	}
	output.Close()
	_ = child.Wait()
	l.mutex.Lock()
	delete(l.children, id)
	l.mutex.Unlock()
	l.tell(event{ID: id, Exited: true})
}

// firstLine reads with a buffer that is soon given back: there are hundreds of supervisors.
func firstLine(output io.Reader) (string, error) {
	held := make([]byte, 0, 512)
	for {
		if end := bytes.IndexByte(held, '\n'); end >= 0 {
			return string(held[:end]), nil
		}
		if len(held) >= maxLine {
			return "", errors.New("the first line is too long")
		}
		piece := make([]byte, 512)
		count, err := output.Read(piece)
		held = append(held, piece[:count]...)
		if err != nil && count == 0 {
			return "", err
		}
	}
}

// terminate signals a supervisor that has not been waited for, so that its number is nobody else's.
func (l *launcher) terminate(id int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if child := l.children[id]; child != nil {
		_ = child.Signal(syscall.SIGTERM)
	}
}

// tell writes an event; when nobody reads them, the requests end, too.
func (l *launcher) tell(what event) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_ = l.out.Encode(what)
}
