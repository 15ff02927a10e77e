// Package process is process.Process: starting, following, feeding and ending processes over the wire.
package process

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"cofferdam/guest/child"
	"cofferdam/guest/connect"
	"cofferdam/guest/settings"
)

const (
	// keepEnded is how many ended processes a late Connect can still ask for, and keepFor how long.
	keepEnded = 256
	keepFor   = 5 * time.Minute
	// killWithin bounds how long a kill may take before it is reported as failed.
	killWithin = 10 * time.Second
)

// Service holds the processes that were started over the wire.
type Service struct {
	table    *child.Table
	settings *settings.Holder
	mutex    sync.Mutex
	byPID    map[int]*running
}

// NewService makes one.
func NewService(table *child.Table, holder *settings.Holder) *Service {
	return &Service{table: table, settings: holder, byPID: map[int]*running{}}
}

// Register puts the calls on a mux.
func (s *Service) Register(mux *http.ServeMux) {
	const at = "/process.Process/"
	mux.Handle(at+"List", connect.Unary(s.list))
	mux.Handle(at+"Start", connect.Stream(keepaliveEvent, s.serveStart))
	mux.Handle(at+"Connect", connect.Stream(keepaliveEvent, s.serveConnect))
	mux.Handle(at+"Update", connect.Unary(s.update))
	mux.Handle(at+"SendInput", connect.Unary(s.sendInput))
	mux.Handle(at+"StreamInput", http.HandlerFunc(s.streamInput))
	mux.Handle(at+"SendSignal", connect.Unary(s.sendSignal))
	mux.Handle(at+"CloseStdin", connect.Unary(s.closeStdin))
}

func (s *Service) register(process *running) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.byPID[process.child.PID] = process
	if len(s.byPID) > keepEnded {
		s.forgetEnded()
	}
}

// forgetEnded drops what ended long ago, and the oldest of the others when there are too many.
func (s *Service) forgetEnded() {
	type ended struct {
		pid int
		at  time.Time
	}
	var over []ended
	for pid, process := range s.byPID {
		process.mutex.Lock()
		if process.end != nil {
			over = append(over, ended{pid, process.endedAt})
		}
		process.mutex.Unlock()
	}
	slices.SortFunc(over, func(a, b ended) int { return a.at.Compare(b.at) })
	for i, one := range over {
		if time.Since(one.at) > keepFor || i < len(over)-keepEnded/2 {
			delete(s.byPID, one.pid)
		}
	}
}

func (s *Service) find(selector *Selector) (*running, *connect.Error) {
	if selector == nil {
		return nil, badRequest("process: expected a pid or a tag")
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if selector.PID != 0 {
		if process, known := s.byPID[selector.PID]; known {
			return process, nil
		}
	} else if selector.Tag != "" {
		for _, process := range s.byPID {
			if process.tag == selector.Tag {
				return process, nil
			}
		}
	}
	return nil, connect.Errorf(connect.NotFound, "process not found")
}

// findLiving refuses a process that is over.
func (s *Service) findLiving(selector *Selector) (*running, *connect.Error) {
	process, failure := s.find(selector)
	if failure != nil {
		return nil, failure
	}
	if process.isOver() {
		return nil, connect.Errorf(connect.NotFound, "process is over")
	}
	return process, nil
}

func (s *Service) list(*connect.Call, *empty) (*listResponse, *connect.Error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	response := &listResponse{Processes: []listed{}}
	for pid, process := range s.byPID {
		if !process.isOver() {
			response.Processes = append(response.Processes, listed{Config: process.config, PID: pid, Tag: process.tag})
		}
	}
	slices.SortFunc(response.Processes, func(a, b listed) int { return a.PID - b.PID })
	return response, nil
}

func (s *Service) serveStart(call *connect.Call, request *startRequest, out *connect.Sender) *connect.Error {
	process, failure := s.start(call, request)
	if failure != nil {
		return failure
	}
	if call.Timeout > 0 {
		timer := time.AfterFunc(call.Timeout, func() { s.kill(process, child.TimedOut) })
		go func() {
			<-process.child.Done()
			timer.Stop()
		}()
	}
	one := process.listen()
	process.begin()
	failure = relay(call.Context, process, one, out)
	if failure == nil && process.wasTimedOut() {
		return connect.Errorf(connect.DeadlineExceeded, "the command took longer than its time-out")
	}
	if failure == nil && process.isOver() {
		_ = out.Queue(process.endEvent())
	}
	return failure
}

func (s *Service) serveConnect(call *connect.Call, request *selectRequest, out *connect.Sender) *connect.Error {
	process, failure := s.find(request.Process)
	if failure != nil {
		return failure
	}
	failure = relay(call.Context, process, process.listen(), out)
	if failure == nil && process.isOver() {
		_ = out.Queue(process.endEvent())
	}
	return failure
}

// relay sends events up to the end, or until the client leaves; the process does not mind.
func relay(ctx context.Context, process *running, one *listener, out *connect.Sender) *connect.Error {
	defer process.leave(one)
	if out.SendRaw(startEvent(process.child.PID)) != nil {
		return nil
	}
	for {
		select {
		case event, open := <-one.events:
			if !open {
				return nil
			}
			if out.SendRaw(event) != nil {
				return nil
			}
		case <-ctx.Done():
			return connect.Errorf(connect.Canceled, "the client went away")
		}
	}
}

func (s *Service) kill(process *running, reason child.Reason) error {
	ctx, cancel := context.WithTimeout(context.Background(), killWithin)
	defer cancel()
	return process.child.KillTree(ctx, reason)
}

func (s *Service) update(_ *connect.Call, request *updateRequest) (*empty, *connect.Error) {
	process, failure := s.findLiving(request.Process)
	if failure != nil {
		return nil, failure
	}
	if request.Terminal == nil || request.Terminal.Size == nil || !request.Terminal.Size.valid() {
		return nil, badRequest("pty.size: expected cols and rows from 1 to 4096")
	}
	if process.master == nil {
		return nil, connect.Errorf(connect.FailedPrecondition, "the process has no terminal")
	}
	if err := resize(process.master, *request.Terminal.Size); err != nil {
		return nil, connect.Errorf(connect.Internal, "resize: "+err.Error())
	}
	return &empty{}, nil
}

func (s *Service) sendSignal(_ *connect.Call, request *signalRequest) (*empty, *connect.Error) {
	signal, known := requested[request.Signal]
	if !known {
		return nil, badRequest("signal: expected SIGNAL_SIGKILL, SIGNAL_SIGTERM or SIGNAL_SIGINT")
	}
	process, failure := s.findLiving(request.Process)
	if failure != nil {
		return nil, failure
	}
	if signal == syscall.SIGKILL {
		if err := s.kill(process, child.Killed); err != nil {
			return nil, connect.Errorf(connect.Internal, "the process tree is still there: "+err.Error())
		}
		return &empty{}, nil
	}
	if !process.child.Signal(signal) {
		return nil, connect.Errorf(connect.NotFound, "process is over")
	}
	return &empty{}, nil
}
