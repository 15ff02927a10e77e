// Package filesystem is filesystem.Filesystem and /files: the guest's files over the wire, with the rights of a user.
package filesystem

import (
	"net/http"
	"sync"

	"cofferdam/guest/connect"
	"cofferdam/guest/settings"
	"cofferdam/guest/users"
)

// Service serves files. What it does to them, it does as the user that a request names.
type Service struct {
	settings *settings.Holder
	threads  *threads
	buffers  sync.Pool
	watchers watchers
}

// Register puts the calls on a mux.
func Register(mux *http.ServeMux, holder *settings.Holder) {
	s := &Service{settings: holder, threads: newThreads()}
	s.buffers.New = func() any { return new([bufferBytes]byte) }
	const at = "/filesystem.Filesystem/"
	mux.Handle(at+"Stat", connect.Unary(s.stat))
	mux.Handle(at+"MakeDir", connect.Unary(s.makeDir))
	mux.Handle(at+"Move", connect.Unary(s.move))
	mux.Handle(at+"ListDir", connect.Unary(s.listDir))
	mux.Handle(at+"Remove", connect.Unary(s.remove))
	mux.Handle(at+"WatchDir", connect.Stream(`{"keepalive":{}}`, s.watchDir))
	mux.Handle(at+"CreateWatcher", connect.Unary(s.createWatcher))
	mux.Handle(at+"GetWatcherEvents", connect.Unary(s.watcherEvents))
	mux.Handle(at+"RemoveWatcher", connect.Unary(s.removeWatcher))
	mux.HandleFunc("GET /files", s.serveRead)
	mux.HandleFunc("POST /files", s.serveWrite)
}

// caller finds the user of a call.
func (s *Service) caller(call *connect.Call) (*users.User, *connect.Error) {
	user, err := s.settings.User(call.UserName)
	if err != nil {
		return nil, connect.Errorf(connect.Unauthenticated, "invalid username: '"+call.UserName+"'")
	}
	return user, nil
}

// resolve makes a path absolute: relative ones begin at the home, the empty one is the sandbox's own directory.
func (s *Service) resolve(name string, user *users.User) (string, *problem) {
	workdir := ""
	if name == "" {
		workdir = s.settings.Get().Workdir
	}
	path, err := users.Resolve(name, user, workdir)
	if err != nil {
		return "", invalid("path: " + err.Error())
	}
	return path, nil
}

// begin finds the user and the path of a call.
func (s *Service) begin(call *connect.Call, name string) (*users.User, string, *connect.Error) {
	user, failure := s.caller(call)
	if failure != nil {
		return nil, "", failure
	}
	path, wrong := s.resolve(name, user)
	if wrong != nil {
		return nil, "", wrong.connect()
	}
	return user, path, nil
}
