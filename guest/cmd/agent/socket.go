package main

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"cofferdam/guest/access"
	"cofferdam/guest/channel"
	"cofferdam/guest/child"
	"cofferdam/guest/settings"
)

const maxFirstLineBytes = 64

// serveSocket serves a unix socket whose connections begin with the line that a supervisor would have read.
func serveSocket(path string, setup []byte) error {
	current, err := settings.Parse(setup)
	if err != nil {
		return err
	}
	socket, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	handler, _ := build(settings.NewHolder(current), child.Options{})
	listener := channel.NewListener(&channel.Taken{})
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			go admit(conn, listener)
		}
	}()
	return newServer(handler).Serve(listener)
}

func admit(conn net.Conn, listener *channel.Listener) {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := readFirstLine(conn)
	if err != nil {
		conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	switch word, rest, _ := strings.Cut(line, " "); word {
	case "HOST":
		listener.Offer(access.Conn{Conn: conn, Kind: access.Host})
	case "PUBLIC":
		listener.Offer(access.Conn{Conn: conn, Kind: access.Public})
	case "PORT":
		port, err := strconv.Atoi(rest)
		if err != nil || port < 1 || port > 65535 {
			conn.Close()
			return
		}
		joinPort(conn, port)
	default:
		conn.Close()
	}
}

// readFirstLine takes no byte beyond the line's end.
func readFirstLine(conn net.Conn) (string, error) {
	var line []byte
	var next [1]byte
	for len(line) < maxFirstLineBytes {
		if _, err := conn.Read(next[:]); err != nil {
			return "", err
		}
		if next[0] == '\n' {
			return string(line), nil
		}
		line = append(line, next[0])
	}
	return "", errors.New("the first line is too long")
}
