package process

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"cofferdam/guest/connect"
)

func (s *Service) sendInput(call *connect.Call, request *inputRequest) (*empty, *connect.Error) {
	process, failure := s.findLiving(request.Process)
	if failure != nil {
		return nil, failure
	}
	if request.Input == nil {
		return nil, badRequest("input: expected stdin or pty")
	}
	return &empty{}, process.feed(call.Context, request.Input)
}

// feed writes all of the input, waiting for the process to read, until the caller goes away.
func (r *running) feed(ctx context.Context, input *Input) *connect.Error {
	r.inputMutex.Lock()
	defer r.inputMutex.Unlock()
	to, data := r.input, input.Stdin
	if len(input.PTY) > 0 || (r.master != nil && r.input == nil) {
		to, data = r.master, append(input.PTY, input.Stdin...)
	}
	if to == nil {
		return connect.Errorf(connect.FailedPrecondition, "the process has no such input, or it is closed")
	}
	stop := context.AfterFunc(ctx, func() { _ = to.SetWriteDeadline(time.Unix(1, 0)) })
	_, err := to.Write(data)
	if !stop() {
		_ = to.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EIO):
		return connect.Errorf(connect.FailedPrecondition, "the process has closed its input")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return connect.Errorf(connect.Canceled, "the caller went away before all was read")
	default:
		return connect.Errorf(connect.Internal, "input: "+err.Error())
	}
}

func (s *Service) closeStdin(_ *connect.Call, request *selectRequest) (*empty, *connect.Error) {
	process, failure := s.findLiving(request.Process)
	if failure != nil {
		return nil, failure
	}
	if process.master != nil {
		return nil, connect.Errorf(connect.FailedPrecondition, "a terminal's input is not closed; send it Ctrl-D")
	}
	process.closeInput()
	return &empty{}, nil
}

type streamMessage struct {
	Start *selectRequest `json:"start"`
	Data  *struct {
		Input *Input `json:"input"`
	} `json:"data"`
}

// streamInput takes many inputs on one request: the process first, then data.
func (s *Service) streamInput(response http.ResponseWriter, request *http.Request) {
	failure := s.takeInputs(request)
	response.Header().Set("Content-Type", "application/connect+json")
	answer := connect.NewSender(response)
	if failure == nil {
		_ = answer.Send(empty{})
	}
	answer.End(failure)
}

func (s *Service) takeInputs(request *http.Request) *connect.Error {
	var process *running
	for {
		raw, err := connect.ReadEnvelope(request.Body, connect.MaxRequestBytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var message streamMessage
		if err != nil || json.Unmarshal(raw, &message) != nil {
			return badRequest("the stream holds something that is no enveloped message")
		}
		if message.Start != nil {
			found, failure := s.findLiving(message.Start.Process)
			if failure != nil {
				return failure
			}
			process = found
		}
		if message.Data == nil || message.Data.Input == nil {
			continue
		}
		if process == nil {
			return badRequest("the stream begins with data and not with a process")
		}
		if failure := process.feed(request.Context(), message.Data.Input); failure != nil {
			return failure
		}
	}
}
