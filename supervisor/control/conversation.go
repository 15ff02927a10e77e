package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/paused"
)

const (
	maxLineBytes     = 4 << 10
	maxConversations = 1024
	writePatience    = 10 * time.Second
)

// Host is the machine behind the protocol. An error is a refusal.
type Host interface {
	Info() (Info, error)
	Metrics() (Metrics, error)
	Lifetime(lifetime time.Duration) error
	Own() error
	Disown()
	Busy() error
	Rest()
	// Pause and Resume answer when it is done.
	// rests is called when the machine has no supervisor from here on; the answer comes with Rested then.
	Pause(kept paused.Kept, rests func()) error
	Resume(lifetime time.Duration) error
	// Snapshot copies the disk, and the memory where that is to be kept, into a directory beside the snapshots.
	Snapshot(directory string, kept paused.Kept) (Copy, error)
	// Kill begins the machine's end; the answer comes with Farewell.
	Kill()
}

// Conversations are a machine's open control connections.
type Conversations struct {
	mutex sync.Mutex
	open  map[*conversation]struct{}
}

// conversation is one of them. Its mutex guards what a farewell needs.
type conversation struct {
	file    *os.File
	host    Host
	mutex   sync.Mutex
	fd      int
	closed  bool
	kills   []int64
	pauses  []int64
	owner   bool
	working bool
}

// Serve answers a connection's requests until it closes; then its owner and its uses are gone.
func (c *Conversations) Serve(file *os.File, host Host) {
	one := &conversation{file: file, host: host, fd: -1}
	if socket, err := file.SyscallConn(); err == nil {
		_ = socket.Control(func(fd uintptr) { one.fd = int(fd) })
	}
	if !c.add(one) {
		file.Close()
		return
	}
	_ = file.SetReadDeadline(time.Time{})
	one.talk()
	c.mutex.Lock()
	delete(c.open, one)
	c.mutex.Unlock()
	one.end()
}

func (c *Conversations) add(one *conversation) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.open == nil {
		c.open = map[*conversation]struct{}{}
	}
	if len(c.open) >= maxConversations {
		return false
	}
	c.open[one] = struct{}{}
	return true
}

// Farewell tells every connection why the machine ended and answers those that asked for it. It never waits.
func (c *Conversations) Farewell(reason string, problem error) {
	event, err := json.Marshal(map[string]string{"event": "ended", "reason": reason})
	if err != nil {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for one := range c.open {
		one.farewell(append(event, '\n'), problem)
	}
}

// Tell tells every connection what became of the machine. It never waits.
func (c *Conversations) Tell(event string) {
	line, err := json.Marshal(map[string]string{"event": event})
	if err != nil {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for one := range c.open {
		one.tell(append(line, '\n'))
	}
}

func (c *conversation) tell(line []byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.closed {
		c.send(line)
	}
}

func (c *conversation) farewell(event []byte, problem error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return
	}
	text := event
	for _, id := range c.kills {
		reply := answer{ID: id, OK: problem == nil}
		if problem != nil {
			reply.Error = failure.From(problem)
		}
		text = append(text, lineOf(reply)...)
	}
	c.send(text)
}

// Rested answers those that asked for a pause after which the machine has no supervisor. It never waits.
func (c *Conversations) Rested() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for one := range c.open {
		one.rested()
	}
}

func (c *conversation) rested() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var text []byte
	for _, id := range c.pauses {
		text = append(text, lineOf(answer{ID: id, OK: true, Rests: true})...)
	}
	if !c.closed && len(text) > 0 {
		c.send(text)
	}
}

func (c *conversation) pause(request Request) error {
	rests := false
	err := c.host.Pause(request.Kept, func() {
		rests = true
		c.mutex.Lock()
		c.pauses = append(c.pauses, request.ID)
		c.mutex.Unlock()
	})
	if rests {
		return errLater
	}
	return err
}

func (c *conversation) send(text []byte) {
	_ = syscall.Sendmsg(c.fd, text, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func lineOf(reply answer) []byte {
	line, err := json.Marshal(reply)
	if err != nil {
		return nil
	}
	return append(line, '\n')
}

func (c *conversation) end() {
	c.mutex.Lock()
	c.closed = true
	c.file.Close()
	c.mutex.Unlock()
	if c.working {
		c.host.Rest()
	}
	if c.owner {
		c.host.Disown()
	}
}

func (c *conversation) talk() {
	changes := make(chan Request, mostChanges)
	defer close(changes)
	go c.makeChanges(changes)
	lines := bufio.NewReaderSize(c.file, maxLineBytes)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			_ = c.write(answer{Error: failure.New(failure.Invalid, "a control line is longer than %d bytes", maxLineBytes)})
			return
		}
		if err != nil {
			return
		}
		request, err := ParseRequest(line)
		switch {
		case err != nil:
			err = c.reply(request, answer{ID: request.ID}, err)
		case isSlow(request.Op):
			err = c.change(changes, request)
		default:
			err = c.obey(request)
		}
		if err != nil {
			return
		}
	}
}

// mostChanges bounds those that wait on one connection.
const mostChanges = 16

// isSlow tells of what may take minutes, in which a kill must be heard.
func isSlow(op string) bool { return op == "pause" || op == "resume" || op == "snapshot" }

// change leaves what is slow to whoever does such things one after the other.
func (c *conversation) change(changes chan<- Request, request Request) error {
	select {
	case changes <- request:
		return nil
	default:
		return c.reply(request, answer{ID: request.ID}, failure.New(failure.Conflict, "too many changes are waiting"))
	}
}

// makeChanges does what is slow, until there is no more or nobody would hear of it.
func (c *conversation) makeChanges(changes <-chan Request) {
	for request := range changes {
		if c.isClosed() || c.obey(request) != nil {
			return
		}
	}
}

func (c *conversation) isClosed() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.closed
}

// obey serves a request and answers it.
func (c *conversation) obey(request Request) error {
	reply := answer{ID: request.ID}
	err := c.serve(request, &reply)
	return c.reply(request, reply, err)
}

func (c *conversation) reply(request Request, reply answer, err error) error {
	if errors.Is(err, errLater) || request.ID == 0 && (request.Op == "busy" || request.Op == "idle") {
		return nil
	}
	if err != nil {
		reply.Error = failure.From(err)
	}
	reply.OK = err == nil
	return c.write(reply)
}

var errLater = errors.New("answered later")

func (c *conversation) serve(request Request, reply *answer) (err error) {
	switch request.Op {
	case "info":
		var info Info
		info, err = c.host.Info()
		reply.Info = &info
	case "metrics":
		var metrics Metrics
		metrics, err = c.host.Metrics()
		reply.Metrics = &metrics
	case "own":
		if !c.owner {
			err = c.host.Own()
			c.owner = err == nil
		}
	case "lifetime":
		err = c.host.Lifetime(time.Duration(*request.Ms) * time.Millisecond)
	case "snapshot":
		var copied Copy
		copied, err = c.host.Snapshot(request.Directory, request.Kept)
		reply.Copy = &copied
	case "pause":
		return c.pause(request)
	case "resume":
		err = c.host.Resume(time.Duration(*request.Ms) * time.Millisecond)
	case "busy":
		if !c.working {
			err = c.host.Busy()
			c.working = err == nil
		}
	case "idle":
		if c.working {
			c.working = false
			c.host.Rest()
		}
	case "kill":
		c.mutex.Lock()
		if len(c.kills) < 16 {
			c.kills = append(c.kills, request.ID)
		}
		c.mutex.Unlock()
		c.host.Kill()
		return errLater
	}
	if err != nil {
		reply.Info, reply.Metrics, reply.Copy = nil, nil, nil
	}
	return err
}

func (c *conversation) write(reply answer) error {
	raw, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	_ = c.file.SetWriteDeadline(time.Now().Add(writePatience))
	_, err = c.file.Write(append(raw, '\n'))
	return err
}
