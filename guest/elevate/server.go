package elevate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cofferdam/guest/child"
	"cofferdam/guest/settings"
)

const (
	agentPath = "/.cofferdam/agent"
	program   = "/usr/bin/sudo"
	maxWords  = 1 << 20
)

// Server starts what clients ask for.
type Server struct {
	table  *child.Table
	holder *settings.Holder
}

// Install puts the client in the place of an image's own sudo and serves its requests; an image without one gets none.
func Install(table *child.Table, holder *settings.Holder) error {
	if _, err := os.Lstat(program); err != nil {
		return nil
	}
	_ = os.Remove(request)
	if err := syscall.Mkfifo(request, 0o600); err != nil {
		return fmt.Errorf("make the FIFO of sudo: %w", err)
	}
	if err := os.Chmod(request, 0o622); err != nil {
		return err
	}
	// Open for both, so that it is never without a writer.
	fifo, err := os.OpenFile(request, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	aside := program + ".new"
	if err := os.Symlink(agentPath, aside); err != nil {
		return err
	}
	if err := os.Rename(aside, program); err != nil {
		return err
	}
	server := &Server{table: table, holder: holder}
	go server.serve(bufio.NewReaderSize(fifo, 4096))
	return nil
}

func (s *Server) serve(requests *bufio.Reader) {
	for {
		line, err := requests.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return
		}
		if numbers, ok := parseNumbers(string(line)); ok {
			go s.answer(numbers)
		}
	}
}

// numbers are a client's process and its descriptors: input, output, errors, status, signals.
type numbers [6]int

func parseNumbers(line string) (parsed numbers, ok bool) {
	words := strings.Fields(line)
	if len(words) != len(parsed) {
		return parsed, false
	}
	for index, word := range words {
		number, err := strconv.Atoi(word)
		if err != nil || number < 0 {
			return parsed, false
		}
		parsed[index] = number
	}
	return parsed, parsed[0] > 1
}

func (s *Server) answer(asked numbers) {
	client := "/proc/" + strconv.Itoa(asked[0])
	if path, err := os.Readlink(client + "/exe"); err != nil || path != agentPath {
		return
	}
	status, err := open(client, asked[4], syscall.O_WRONLY)
	if err != nil {
		return
	}
	defer status.Close()
	started, signals, err := s.start(client, asked)
	if err != nil {
		fmt.Fprintf(status, "error %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Fprintln(status, "started")
	go pass(signals, started)
	fmt.Fprintln(status, started.Wait().ExitCode)
}

func (s *Server) start(client string, asked numbers) (*child.Child, *os.File, error) {
	spec, err := s.spec(client)
	if err != nil {
		return nil, nil, err
	}
	spec.Beside = asked[0]
	for index, one := range []**os.File{&spec.Stdin, &spec.Stdout, &spec.Stderr} {
		flags := syscall.O_WRONLY
		if index == 0 {
			flags = syscall.O_RDONLY
		}
		file, err := open(client, asked[index+1], flags)
		if err != nil {
			continue
		}
		defer file.Close()
		*one = file
	}
	signals, err := open(client, asked[5], syscall.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	started, err := s.table.Launch(*spec)
	if err != nil {
		signals.Close()
		return nil, nil, fmt.Errorf("%s: %w", spec.Argv[0], err)
	}
	return started, signals, nil
}

// pass gives the client's signals to the command, and ends it with the client.
func pass(signals *os.File, to *child.Child) {
	defer signals.Close()
	var one [1]byte
	for {
		if _, err := signals.Read(one[:]); err != nil {
			break
		}
		to.Signal(syscall.Signal(one[0]))
	}
	select {
	case <-to.Done():
	default:
		to.Signal(syscall.SIGKILL)
	}
}

// open opens another process's descriptor anew. What has no other end any more cannot be opened.
func open(client string, number, flags int) (*os.File, error) {
	path := client + "/fd/" + strconv.Itoa(number)
	fd, err := syscall.Open(path, flags|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func words(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw := make([]byte, maxWords)
	total := 0
	for total < len(raw) {
		n, err := file.Read(raw[total:])
		total += n
		if err != nil || n == 0 {
			break
		}
	}
	var found []string
	for _, word := range bytes.Split(bytes.TrimSuffix(raw[:total], []byte{0}), []byte{0}) {
		found = append(found, string(word))
	}
	return found, nil
}
