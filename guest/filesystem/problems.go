package filesystem

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"cofferdam/guest/connect"
	"cofferdam/guest/serve"
)

// problem is a refusal in the words of both protocols.
type problem struct {
	code    connect.Code
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

func (p *problem) connect() *connect.Error { return connect.Errorf(p.code, p.message) }

func (p *problem) answer(response http.ResponseWriter) { serve.Fail(response, p.status, p.message) }

func invalid(message string) *problem {
	return &problem{connect.InvalidArgument, http.StatusBadRequest, message}
}

func isDirectory(path string) *problem { return invalid("path '" + path + "' is a directory") }

func notRegular(path string) *problem { return invalid("path '" + path + "' is not a regular file") }

func unauthorised(message string) *problem {
	return &problem{connect.Unauthenticated, http.StatusUnauthorized, message}
}

func denied(message string) *problem {
	return &problem{connect.PermissionDenied, http.StatusForbidden, message}
}

func exhausted(message string) *problem {
	return &problem{connect.ResourceExhausted, http.StatusTooManyRequests, message}
}

// meaning is what one of the kernel's errors says of a path; the path stands between the two halves.
type meaning struct {
	code          connect.Code
	status        int
	before, after string
}

var meanings = map[syscall.Errno]meaning{
	syscall.ENOENT:       {connect.NotFound, 404, "path '", "' does not exist"},
	syscall.ENOTDIR:      {connect.InvalidArgument, 400, "a part of path '", "' is not a directory"},
	syscall.EISDIR:       {connect.InvalidArgument, 400, "path '", "' is a directory"},
	syscall.ENXIO:        {connect.InvalidArgument, 400, "path '", "' is not a regular file"},
	syscall.EINVAL:       {connect.InvalidArgument, 400, "path '", "' is not possible here"},
	syscall.ENAMETOOLONG: {connect.InvalidArgument, 400, "path '", "' is too long, or a part of it"},
	syscall.ELOOP:        {connect.InvalidArgument, 400, "path '", "' has too many symbolic links"},
	syscall.EEXIST:       {connect.AlreadyExists, 409, "path '", "' already exists"},
	syscall.ENOTEMPTY:    {connect.FailedPrecondition, 409, "directory '", "' is not empty"},
	syscall.EBUSY:        {connect.FailedPrecondition, 409, "path '", "' is in use"},
	syscall.ETXTBSY:      {connect.FailedPrecondition, 409, "program '", "' is running"},
	syscall.EACCES:       {connect.PermissionDenied, 403, "permission denied: '", "'"},
	syscall.EPERM:        {connect.PermissionDenied, 403, "permission denied: '", "'"},
	syscall.EROFS:        {connect.PermissionDenied, 403, "path '", "' is on a read-only file system"},
	syscall.ENOSPC:       {connect.ResourceExhausted, 507, "not enough disk space for '", "'"},
	syscall.EDQUOT:       {connect.ResourceExhausted, 507, "not enough disk quota for '", "'"},
	syscall.EFBIG:        {connect.ResourceExhausted, 413, "file '", "' would be too large"},
	syscall.EMFILE:       {connect.Unavailable, 503, "too many open files; asked for '", "'"},
	syscall.ENFILE:       {connect.Unavailable, 503, "too many open files; asked for '", "'"},
	syscall.ENOMEM:       {connect.Unavailable, 503, "not enough memory; asked for '", "'"},
}

// explain says what an error means for the path that was asked for.
func explain(err error, path string) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &problem{connect.DeadlineExceeded, http.StatusGatewayTimeout, "it took too long"}
	}
	if errors.Is(err, context.Canceled) {
		return &problem{connect.Canceled, 499, "the client went away"}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if found, listed := meanings[errno]; listed {
			return &problem{found.code, found.status, found.before + path + found.after}
		}
	}
	return &problem{connect.Internal, http.StatusInternalServerError, "'" + path + "': " + err.Error()}
}
