// Package boot makes a machine of a kernel that has just started the agent as its first process: modules, the stream to the
// host, disks, file systems, control groups. docs/decisions/0018 explains it.
package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"cofferdam/guest/bridge"
)

// Order is what the host says first: what the machine is made of, and what must be new in each.
type Order struct {
	Type string `json:"type"`
	// Layers are read-only disks, topmost first: names of block devices, or serial:<what the device calls itself>.
	Layers []string `json:"layers"`
	// Disk is the writable one.
	Disk string `json:"disk"`
	// Entropy is random and secret. Base64.
	Entropy []byte `json:"entropy"`
	// NowNs is the time. Nanoseconds since 1970.
	NowNs int64 `json:"nowNs"`
}

// facts of the machine that stand in the agent's set-up.
type facts struct {
	ID       string `json:"id"`
	UserPids int    `json:"userPids"`
}

// First tells whether this process is a kernel's first.
func First() bool { return os.Getpid() == 1 && os.Args[0] == "/init" }

// Start makes the machine and answers the agent's channel. When that is over, so is the machine.
func Start() (*net.UnixConn, error) {
	if err := prepareKernel(); err != nil {
		return nil, err
	}
	stream, err := openStream()
	if err != nil {
		return nil, err
	}
	// For whoever saves a machine that has booted, so that others start from it.
	if err := bridge.Say(stream, message("waiting", "")); err != nil {
		return nil, err
	}
	first, rest, err := firstMessages(stream)
	if err != nil {
		return nil, fmt.Errorf("the host's first words: %w", err)
	}
	channel, err := assemble(stream, first, rest)
	if err != nil {
		_ = bridge.Say(stream, message("failed", err.Error()))
		return nil, err
	}
	return channel, nil
}

// firstMessages are the order, and the agent's set-up as it is.
func firstMessages(stream *os.File) (*Order, []byte, error) {
	raw, err := bridge.Hear(stream)
	if err != nil {
		return nil, nil, err
	}
	order := &Order{}
	if err := json.Unmarshal(raw, order); err != nil {
		return nil, nil, err
	}
	if order.Type != "boot" {
		return nil, nil, errors.New("the first message is no order")
	}
	setup, err := bridge.Hear(stream)
	return order, setup, err
}

func assemble(stream *os.File, order *Order, setup []byte) (*net.UnixConn, error) {
	var told struct {
		Setup facts `json:"setup"`
	}
	if err := json.Unmarshal(setup, &told); err != nil {
		return nil, fmt.Errorf("the set-up: %w", err)
	}
	renew(order)
	disk, err := makeRoot(order)
	if err != nil {
		return nil, err
	}
	if err := settle(told.Setup); err != nil {
		return nil, err
	}
	groups, err := makeGroups(told.Setup.UserPids)
	if err != nil {
		return nil, err
	}
	near, far, err := channelPair()
	if err != nil {
		return nil, err
	}
	keeper := &keeper{disk: disk, groups: groups}
	side := bridge.New(stream, near, bridge.Options{First: groups.directory, Intercept: keeper.answer, Heed: keeper.heed})
	if err := side.Deliver(setup); err != nil {
		return nil, err
	}
	go func() { _ = side.Run() }()
	return far, nil
}

// channelPair are both ends of the channel that elsewhere leads out of the machine.
func channelPair() (near, far *net.UnixConn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ends := [2]*net.UnixConn{}
	for index, fd := range fds {
		file := os.NewFile(uintptr(fd), "channel")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			return nil, nil, err
		}
		ends[index] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1], nil
}

func message(kind, text string) []byte {
	raw, err := json.Marshal(map[string]string{"type": kind, "message": text})
	if err != nil {
		return []byte(`{"type":"` + kind + `"}`)
	}
	return raw
}

// PowerOff ends the machine.
func PowerOff() {
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
}
