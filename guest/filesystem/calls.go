package filesystem

import (
	"context"
	"errors"
	"os"
	"path"
	"syscall"

	"cofferdam/guest/connect"
	"cofferdam/guest/users"
)

const (
	fileMode      = 0o644
	directoryMode = 0o755
)

type pathRequest struct {
	Path string `json:"path"`
}

type moveRequest struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

type entryResponse struct {
	Entry *entry `json:"entry"`
}

type empty struct{}

func (s *Service) stat(call *connect.Call, request *pathRequest) (*entryResponse, *connect.Error) {
	user, at, failure := s.begin(call, request.Path)
	if failure != nil {
		return nil, failure
	}
	return s.entryAfter(call.Context, user, at, func() error { return nil })
}

// entryAfter does something as a user and describes what is there then.
func (s *Service) entryAfter(ctx context.Context, user *users.User, at string, do func() error) (*entryResponse, *connect.Error) {
	response := &entryResponse{}
	err := s.threads.as(ctx, user, func() error {
		if err := do(); err != nil {
			return err
		}
		described, err := currentNames().describe(at)
		response.Entry = described
		return err
	})
	if err != nil {
		return nil, explain(err, at).connect()
	}
	return response, nil
}

func (s *Service) makeDir(call *connect.Call, request *pathRequest) (*entryResponse, *connect.Error) {
	user, at, failure := s.begin(call, request.Path)
	if failure != nil {
		return nil, failure
	}
	return s.entryAfter(call.Context, user, at, func() error {
		var there syscall.Stat_t
		err := stat(at, &there)
		if err == nil && there.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			return invalid("path '" + at + "' already exists and is not a directory")
		}
		if err == nil {
			return syscall.EEXIST
		}
		return os.MkdirAll(at, directoryMode)
	})
}

func (s *Service) move(call *connect.Call, request *moveRequest) (*entryResponse, *connect.Error) {
	user, source, failure := s.begin(call, request.Source)
	if failure != nil {
		return nil, failure
	}
	destination, wrong := s.resolve(request.Destination, user)
	if wrong != nil {
		return nil, wrong.connect()
	}
	return s.entryAfter(call.Context, user, destination, func() error {
		var there syscall.Stat_t
		if err := lstat(source, &there); err != nil {
			return explain(err, source)
		}
		if err := os.MkdirAll(path.Dir(destination), directoryMode); err != nil {
			return err
		}
		err := syscall.Rename(source, destination)
		if errors.Is(err, syscall.EXDEV) {
			return moveByCopy(call.Context, source, destination)
		}
		return err
	})
}

func (s *Service) remove(call *connect.Call, request *pathRequest) (*empty, *connect.Error) {
	user, at, failure := s.begin(call, request.Path)
	if failure != nil {
		return nil, failure
	}
	if at == "/" {
		return nil, invalid("path: the root directory is not removed").connect()
	}
	if err := s.threads.as(call.Context, user, func() error { return removeAll(call.Context, at) }); err != nil {
		return nil, explain(err, at).connect()
	}
	return &empty{}, nil
}
