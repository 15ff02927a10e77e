package process

import (
	"encoding/base64"
	"strconv"

	"cofferdam/guest/child"
	"cofferdam/guest/connect"
)

// Config is a command as the protocol has it.
type Config struct {
	Command string            `json:"cmd"`
	Args    []string          `json:"args"`
	Envs    map[string]string `json:"envs"`
	Cwd     string            `json:"cwd,omitempty"`
}

// Size is a terminal's.
type Size struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

// Terminal asks for one.
type Terminal struct {
	Size *Size `json:"size"`
}

// Selector names a process by number or by tag.
type Selector struct {
	PID int    `json:"pid"`
	Tag string `json:"tag"`
}

// Input is bytes for a process; JSON decodes base64.
type Input struct {
	Stdin []byte `json:"stdin"`
	PTY   []byte `json:"pty"`
}

type startRequest struct {
	Process  *Config   `json:"process"`
	Terminal *Terminal `json:"pty"`
	Tag      string    `json:"tag"`
	Stdin    *bool     `json:"stdin"`
}

type selectRequest struct {
	Process *Selector `json:"process"`
}

type updateRequest struct {
	Process  *Selector `json:"process"`
	Terminal *Terminal `json:"pty"`
}

type inputRequest struct {
	Process *Selector `json:"process"`
	Input   *Input    `json:"input"`
}

type signalRequest struct {
	Process *Selector `json:"process"`
	Signal  string    `json:"signal"`
}

type listed struct {
	Config Config `json:"config"`
	PID    int    `json:"pid"`
	Tag    string `json:"tag,omitempty"`
}

type listResponse struct {
	Processes []listed `json:"processes"`
}

type empty struct{}

const keepaliveEvent = `{"event":{"keepalive":{}}}`

func startEvent(pid int) []byte {
	return []byte(`{"event":{"start":{"pid":` + strconv.Itoa(pid) + `}}}`)
}

// dataEvent encodes a chunk of output once for all who listen.
func dataEvent(stream string, chunk []byte) []byte {
	head := `{"event":{"data":{"` + stream + `":"`
	const tail = `"}}}`
	event := make([]byte, 0, len(head)+base64.StdEncoding.EncodedLen(len(chunk))+len(tail))
	event = append(event, head...)
	event = base64.StdEncoding.AppendEncode(event, chunk)
	return append(event, tail...)
}

func endEvent(end child.End) []byte {
	exited, status, failure := "true", "exit status "+strconv.Itoa(end.ExitCode), ""
	signal := ""
	if end.Signal != 0 {
		exited, status = "false", "signal: "+end.Signal.String()
		failure = status
		signal = signalName(end.Signal)
	} else if end.ExitCode != 0 {
		failure = status
	}
	event := `{"event":{"end":{"exitCode":` + strconv.Itoa(end.ExitCode) + `,"exited":` + exited +
		`,"status":` + strconv.Quote(status) + `,"reason":"` + string(end.Reason) + `"`
	if failure != "" {
		event += `,"error":` + strconv.Quote(failure)
	}
	if signal != "" {
		event += `,"signal":"` + signal + `"`
	}
	return []byte(event + "}}}")
}

func badRequest(message string) *connect.Error {
	return connect.Errorf(connect.InvalidArgument, message)
}
