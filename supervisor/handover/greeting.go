package handover

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kind says what a connection is for.
type Kind struct {
	// Name is host, public, port or control.
	Name string
	Port int
}

const maxGreetingBytes = 16

var errGreeting = errors.New("the first line is not HOST, PUBLIC, PORT <n> or CONTROL")

// Greeting reads a connection's first line and not a byte more: what follows is for somebody else.
func Greeting(connection *os.File, deadline time.Time) (Kind, error) {
	if err := connection.SetReadDeadline(deadline); err != nil {
		return Kind{}, err
	}
	socket, err := connection.SyscallConn()
	if err != nil {
		return Kind{}, err
	}
	var kind Kind
	var problem error
	err = socket.Read(func(fd uintptr) bool {
		var line []byte
		line, problem = takeLine(int(fd))
		if line == nil && problem == nil {
			return false
		}
		if problem == nil {
			kind, problem = parseGreeting(line)
		}
		return true
	})
	return kind, errors.Join(err, problem)
}

// takeLine takes a whole line from a socket; nil while it is not all there.
func takeLine(fd int) ([]byte, error) {
	buffer := make([]byte, maxGreetingBytes)
	n, _, err := syscall.Recvfrom(fd, buffer, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	end := bytes.IndexByte(buffer[:n], '\n')
	if end < 0 {
		if n == 0 || n == len(buffer) {
			return nil, errGreeting
		}
		return nil, nil
	}
	n, err = syscall.Read(fd, buffer[:end+1])
	if err == nil && n != end+1 {
		err = errGreeting
	}
	return buffer[:end], err
}

func parseGreeting(line []byte) (Kind, error) {
	switch text := string(line); text {
	case "HOST":
		return Kind{Name: "host"}, nil
	case "PUBLIC":
		return Kind{Name: "public"}, nil
	case "CONTROL":
		return Kind{Name: "control"}, nil
	default:
		digits, found := strings.CutPrefix(text, "PORT ")
		port, err := strconv.ParseUint(digits, 10, 16)
		if !found || err != nil || port == 0 || digits[0] == '0' || digits[0] == '+' {
			return Kind{}, errGreeting
		}
		return Kind{Name: "port", Port: int(port)}, nil
	}
}
