// Package hypervisor speaks with a program that runs a machine's kernel, through sockets in a directory that the program owns.
package hypervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	openPath     = 0x200000 // O_PATH
	dialPatience = 10 * time.Second
	longestLine  = 32
)

var errNoSocket = errors.New("the engine's socket is something else")

// Dial connects to a socket. What the engine puts in its place is not followed.
func Dial(path string) (net.Conn, error) {
	fd, err := syscall.Open(path, openPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var facts syscall.Stat_t
	if err := syscall.Fstat(fd, &facts); err != nil {
		return nil, err
	}
	if facts.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, errNoSocket
	}
	return net.DialTimeout("unix", "/proc/self/fd/"+strconv.Itoa(fd), time.Second)
}

// DialPort connects to a port of the machine, through a socket whose first line asks for it.
func DialPort(path string, port int) (net.Conn, error) {
	connection, err := Dial(path)
	if err != nil {
		return nil, err
	}
	_ = connection.SetDeadline(time.Now().Add(dialPatience))
	if err := askForPort(connection, port); err != nil {
		connection.Close()
		return nil, err
	}
	_ = connection.SetDeadline(time.Time{})
	return connection, nil
}

// askForPort reads the answer by bytes: what follows it is the machine's.
func askForPort(connection net.Conn, port int) error {
	if _, err := fmt.Fprintf(connection, "CONNECT %d\n", port); err != nil {
		return err
	}
	var line strings.Builder
	for one := make([]byte, 1); line.Len() < longestLine; {
		if _, err := connection.Read(one); err != nil {
			return err
		}
		if one[0] == '\n' {
			break
		}
		line.WriteByte(one[0])
	}
	if !strings.HasPrefix(line.String(), "OK ") {
		return errors.New("the engine did not connect")
	}
	return nil
}
