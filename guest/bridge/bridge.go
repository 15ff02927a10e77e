// Package bridge carries the channel between a host and its agent, the connections that are handed over on it included, over
// one stream of bytes: to a machine with a kernel of its own no descriptor can be given.
//
// Each side has one end of the channel, a socket of whole messages: on the host the supervisor has the other, in the machine
// the agent. A message that comes with a descriptor goes over as a message with a number, and from then on the two sides copy
// between the stream and what the descriptor is. No side sends more of a connection than the other has room for, so one that
// is not read stops itself alone. Both sides bound what the other can make them hold.
package bridge

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxConnections bounds how many connections there are at once.
const maxConnections = 512

// Options of one side.
type Options struct {
	// Opens says that connections come from this side's channel; the host's.
	Opens bool
	// First goes with the first message to this side's channel.
	First *os.File
	// Intercept answers a message of this side's channel by itself; nil: it goes over. In the machine.
	Intercept func(raw []byte) []byte
	// Heed takes a message of the other side that is not for the channel, and answers it; nil: it is. In the machine.
	Heed func(raw []byte) func() []byte
}

// Bridge is one side.
type Bridge struct {
	stream  io.ReadWriteCloser
	channel *net.UnixConn
	options Options

	writing  sync.Mutex
	outgoing []byte

	mutex sync.Mutex
	lanes map[uint32]*lane
	last  uint32
}

// New makes a side of a stream and of a channel, which must be a SOCK_SEQPACKET socket; both are the bridge's from here on.
func New(stream io.ReadWriteCloser, channel *net.UnixConn, options Options) *Bridge {
	return &Bridge{stream: stream, channel: channel, options: options, lanes: map[uint32]*lane{}}
}

// Run carries until one of both ends is over, and closes everything.
func (b *Bridge) Run() error {
	over := make(chan error, 2)
	go func() { over <- b.fromChannel() }()
	go func() { over <- b.fromStream() }()
	err := <-over
	b.stream.Close()
	b.channel.Close()
	b.closeAll()
	<-over
	return err
}

func (b *Bridge) closeAll() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for id, one := range b.lanes {
		one.stop()
		delete(b.lanes, id)
	}
}

// fromChannel brings what comes on the channel to the stream.
func (b *Bridge) fromChannel() error {
	buffer := make([]byte, maxPayloadBytes)
	control := make([]byte, syscall.CmsgSpace(4))
	for {
		n, controlBytes, _, _, err := b.channel.ReadMsgUnix(buffer, control)
		if err != nil {
			return err
		}
		file := descriptor(control[:controlBytes])
		if n == 0 {
			closeFile(file)
			return io.EOF
		}
		if err := b.send(buffer[:n], file); err != nil {
			return err
		}
	}
}

// send sends a message of the channel, and makes a connection of the descriptor that came with it.
func (b *Bridge) send(raw []byte, file *os.File) error {
	if b.options.Intercept != nil && file == nil {
		if answer := b.options.Intercept(raw); answer != nil {
			_, err := b.channel.Write(answer)
			return err
		}
	}
	if file == nil || !b.options.Opens {
		closeFile(file)
		return b.write(frame{message, 0, raw})
	}
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil
	}
	one := b.open(conn)
	if one == nil {
		conn.Close()
		return nil
	}
	if err := b.write(frame{message, one.id, raw}); err != nil {
		return err
	}
	one.start()
	return nil
}

// open gives a connection its number; nil: there are too many.
func (b *Bridge) open(conn net.Conn) *lane {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.lanes) >= maxConnections {
		return nil
	}
	b.last++
	return b.add(b.last, conn)
}

func (b *Bridge) add(id uint32, conn net.Conn) *lane {
	one := newLane(b, id, conn)
	b.lanes[id] = one
	return one
}

func (b *Bridge) lane(id uint32) *lane {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lanes[id]
}

func (b *Bridge) forget(one *lane) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.lanes[one.id] == one {
		delete(b.lanes, one.id)
	}
}

// write writes a frame whole.
func (b *Bridge) write(one frame) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.outgoing = one.append(b.outgoing[:0])
	_, err := b.stream.Write(b.outgoing)
	return err
}

// fromStream takes the other side's frames. It waits for no connection, and writes nothing to the stream: two sides that
// waited for each other to read would wait for ever.
func (b *Bridge) fromStream() error {
	buffer := make([]byte, maxPayloadBytes)
	for {
		one, err := readFrame(b.stream, buffer)
		if err == nil {
			err = b.take(one)
		}
		if err != nil {
			return err
		}
	}
}

func (b *Bridge) take(one frame) error {
	if one.kind == message {
		return b.deliver(one)
	}
	// One that is not there any more is over on this side, and the other will hear of it.
	to := b.lane(one.id)
	if to == nil {
		return nil
	}
	switch one.kind {
	case data:
		return to.receive(one.payload)
	case credit:
		if len(one.payload) != 4 {
			return errFrame
		}
		return to.allow(int(binary.BigEndian.Uint32(one.payload)))
	case end:
		to.receiveEnd()
	case reset:
		to.stop()
		b.forget(to)
	}
	return nil
}

// deliver gives a message to this side's channel, with the end of a connection where one comes with it.
func (b *Bridge) deliver(one frame) error {
	if one.id == 0 {
		return b.Deliver(one.payload)
	}
	if b.options.Opens || b.lane(one.id) != nil {
		return errFrame
	}
	near, far, err := pair()
	if err != nil {
		go func() { _ = b.write(frame{reset, one.id, nil}) }()
		return nil
	}
	b.mutex.Lock()
	full := len(b.lanes) >= maxConnections
	var made *lane
	if !full {
		made = b.add(one.id, near)
	}
	b.mutex.Unlock()
	if full {
		near.Close()
		far.Close()
		return errFrame
	}
	made.start()
	return b.give(one.payload, far)
}

// Deliver gives a message of the other side to whom it is for. Before Run, one that was heard before there was a bridge.
func (b *Bridge) Deliver(raw []byte) error {
	if b.options.Heed != nil {
		if answer := b.options.Heed(raw); answer != nil {
			go func() {
				if reply := answer(); reply != nil {
					_ = b.write(frame{message, 0, reply})
				}
			}()
			return nil
		}
	}
	first := b.options.First
	b.options.First = nil
	return b.give(raw, first)
}

// give writes a message to the channel, and gives the file away with it.
func (b *Bridge) give(raw []byte, file *os.File) error {
	if file == nil {
		_, err := b.channel.Write(raw)
		return err
	}
	defer file.Close()
	_, _, err := b.channel.WriteMsgUnix(raw, syscall.UnixRights(int(file.Fd())), nil)
	return err
}

func pair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	near, far := os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	conn, err := net.FileConn(near)
	near.Close()
	if err != nil {
		far.Close()
		return nil, nil, err
	}
	return conn, far, nil
}

func descriptor(control []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	for _, fd := range fds[1:] {
		syscall.Close(fd)
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "handed over")
}

func closeFile(file *os.File) {
	if file != nil {
		file.Close()
	}
}

// Say writes a message to a stream that has no bridge yet.
func Say(stream io.Writer, raw []byte) error {
	_, err := stream.Write(frame{message, 0, raw}.append(nil))
	return err
}

// Hear reads a message from a stream that has no bridge yet.
func Hear(stream io.Reader) ([]byte, error) {
	one, err := readFrame(stream, make([]byte, maxPayloadBytes))
	if err == nil && (one.kind != message || one.id != 0) {
		err = errFrame
	}
	return one.payload, err
}
