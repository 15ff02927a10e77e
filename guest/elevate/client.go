package elevate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// request is the FIFO on which clients ask.
const request = "/run/.cofferdam-sudo"

const answerTimeout = 20 * time.Second

// Client is sudo's main. It answers the exit code.
func Client(words []string) int {
	parsed, err := parse(words)
	if err != nil {
		return complain(err)
	}
	if parsed.onlyCheck {
		return 0
	}
	code, err := ask()
	if err != nil {
		return complain(err)
	}
	return code
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "sudo: "+err.Error())
	return 1
}

// streams are what the client lends to the agent, by the numbers of its own descriptors.
type streams struct {
	lent    []*os.File
	numbers []string
	copies  sync.WaitGroup
}

func ask() (int, error) {
	var s streams
	for number, file := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if err := s.lend(number, file); err != nil {
			return 0, err
		}
	}
	status, statusEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	signalsEnd, signals, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	s.add(statusEnd)
	s.add(signalsEnd)
	if err := send(strconv.Itoa(os.Getpid()) + " " + strings.Join(s.numbers, " ") + "\n"); err != nil {
		return 0, err
	}
	lines := bufio.NewReader(status)
	if err := started(status, lines); err != nil {
		return 0, err
	}
	for _, file := range s.lent {
		file.Close()
	}
	go forward(signals)
	line, err := lines.ReadString('\n')
	if err != nil {
		return 0, errors.New("the command was lost")
	}
	s.copies.Wait()
	return strconv.Atoi(strings.TrimSpace(line))
}

// lend shares a pipe or a device as it is, so that both have one reading position, and copies anything else.
func (s *streams) lend(number int, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) != 0 {
		s.numbers = append(s.numbers, strconv.Itoa(number))
		return nil
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	if number == 0 {
		s.add(reader)
		go func() {
			_, _ = io.Copy(writer, file)
			writer.Close()
		}()
		return nil
	}
	s.add(writer)
	s.copies.Add(1)
	go func() {
		defer s.copies.Done()
		_, _ = io.Copy(file, reader)
	}()
	return nil
}

func (s *streams) add(file *os.File) {
	s.lent = append(s.lent, file)
	s.numbers = append(s.numbers, strconv.Itoa(int(file.Fd())))
}

func send(line string) error {
	fifo, err := os.OpenFile(request, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return errors.New("the agent does not answer")
	}
	defer fifo.Close()
	_, err = fifo.WriteString(line)
	return err
}

// started waits until the agent has taken the streams and started the command.
func started(status *os.File, lines *bufio.Reader) error {
	_ = status.SetReadDeadline(time.Now().Add(answerTimeout))
	line, err := lines.ReadString('\n')
	if err != nil {
		return errors.New("the agent does not answer")
	}
	_ = status.SetReadDeadline(time.Time{})
	if message, failed := strings.CutPrefix(line, "error "); failed {
		return errors.New(strings.TrimSpace(message))
	}
	return nil
}

// forward passes signals on to the command. The pipe closes with this process, which ends the command.
func forward(to *os.File) {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	for one := range caught {
		if number, ok := one.(syscall.Signal); ok {
			_, _ = to.Write([]byte{byte(number)})
		}
	}
}
