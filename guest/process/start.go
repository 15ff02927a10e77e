package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cofferdam/guest/child"
	"cofferdam/guest/connect"
	"cofferdam/guest/users"
)

// maxCommandBytes bounds arguments and environment together; the kernel's own limit is near.
const maxCommandBytes = 2 << 20

// start launches what the request says.
func (s *Service) start(call *connect.Call, request *startRequest) (*running, *connect.Error) {
	if failure := validate(request); failure != nil {
		return nil, failure
	}
	user, err := s.settings.User(call.UserName)
	if err != nil {
		return nil, connect.Errorf(connect.Unauthenticated, "invalid username: '"+call.UserName+"'")
	}
	directory, failure := s.directory(request.Process.Cwd, user)
	if failure != nil {
		return nil, failure
	}
	envs := request.Process.Envs
	if request.Terminal != nil {
		envs = withTerminal(envs)
	}
	environment := s.settings.Environment(user, envs)
	program, failure := findProgram(request.Process.Command, directory, environment)
	if failure != nil {
		return nil, failure
	}
	process := &running{config: *request.Process, tag: request.Tag, listeners: map[*listener]struct{}{}}
	spec := child.Spec{
		Argv: append([]string{program}, request.Process.Args...), Dir: directory, Env: environment, User: user,
	}
	if request.Terminal != nil {
		return process, s.launchInTerminal(process, spec, *request.Terminal.Size)
	}
	return process, s.launchWithPipes(process, spec, request.Stdin == nil || *request.Stdin)
}

func validate(request *startRequest) *connect.Error {
	if request.Process == nil || request.Process.Command == "" {
		return badRequest("process.cmd: expected the name of a program")
	}
	if terminal := request.Terminal; terminal != nil && (terminal.Size == nil || !terminal.Size.valid()) {
		return badRequest("pty.size: expected cols and rows from 1 to 4096")
	}
	total := len(request.Process.Command)
	for _, argument := range request.Process.Args {
		total += len(argument) + 1
		if strings.ContainsRune(argument, 0) {
			return badRequest("process.args: an argument holds a NUL byte")
		}
	}
	for name, value := range request.Process.Envs {
		total += len(name) + len(value) + 2
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return badRequest("process.envs: a name is empty or holds '=', or one holds a NUL byte")
		}
	}
	if total > maxCommandBytes {
		return badRequest("process: arguments and environment are larger than 2 MiB")
	}
	if len(request.Tag) > 1024 {
		return badRequest("tag: longer than 1024 bytes")
	}
	return nil
}

func withTerminal(envs map[string]string) map[string]string {
	merged := map[string]string{"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
	for name, value := range envs {
		merged[name] = value
	}
	return merged
}

// directory resolves where the process starts; the kernel judges the user's right to be there.
func (s *Service) directory(asked string, user *users.User) (string, *connect.Error) {
	path := asked
	if path == "" {
		path = s.settings.Get().Workdir
	}
	switch {
	case path == "" || path == "~":
		path = user.Home
	case strings.HasPrefix(path, "~/"):
		path = filepath.Join(user.Home, path[2:])
	case !strings.HasPrefix(path, "/"):
		path = filepath.Join(user.Home, path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path, nil
	}
	if asked == "" {
		return "/", nil
	}
	return "", badRequest("cwd '" + path + "' does not exist")
}

func findProgram(name, directory string, environment []string) (string, *connect.Error) {
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(directory, path)
		}
		if _, err := os.Stat(path); err != nil {
			return "", connect.Errorf(connect.NotFound, "program '"+name+"' does not exist")
		}
		return path, nil
	}
	for _, variable := range environment {
		value, isPath := strings.CutPrefix(variable, "PATH=")
		if !isPath {
			continue
		}
		for _, place := range filepath.SplitList(value) {
			candidate := filepath.Join(place, name)
			if info, err := os.Stat(candidate); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
	}
	return "", connect.Errorf(connect.NotFound, "program '"+name+"' was not found in PATH")
}

const (
	launchPause    = 50 * time.Millisecond
	launchPatience = 2 * time.Second
)

func (s *Service) launchInTerminal(process *running, spec child.Spec, size Size) *connect.Error {
	master, slave, err := openTerminal(size, spec.User.UID, spec.User.GID)
	if err != nil {
		return connect.Errorf(connect.ResourceExhausted, err.Error())
	}
	defer slave.Close()
	spec.Stdin, spec.Stdout, spec.Stderr, spec.Terminal = slave, slave, slave, true
	started, err := s.launch(spec)
	if err != nil {
		master.Close()
		return launchError(err, spec.Argv[0])
	}
	process.child, process.master = started, master
	process.pumps.Add(1)
	s.register(process)
	s.run(process, []*os.File{master}, func() { go process.pump("pty", master, terminalChunkBytes) })
	return nil
}

func (s *Service) launchWithPipes(process *running, spec child.Spec, withInput bool) *connect.Error {
	var opened []*os.File
	closeOpened := func() {
		for _, file := range opened {
			file.Close()
		}
	}
	pipe := func() (reader, writer *os.File, err error) {
		reader, writer, err = os.Pipe()
		if err == nil {
			opened = append(opened, reader, writer)
		}
		return reader, writer, err
	}
	stdout, childStdout, err := pipe()
	if err != nil {
		return connect.Errorf(connect.ResourceExhausted, err.Error())
	}
	stderr, childStderr, err := pipe()
	if err != nil {
		closeOpened()
		return connect.Errorf(connect.ResourceExhausted, err.Error())
	}
	if withInput {
		childStdin, stdin, err := pipe()
		if err != nil {
			closeOpened()
			return connect.Errorf(connect.ResourceExhausted, err.Error())
		}
		spec.Stdin, process.input = childStdin, stdin
	}
	spec.Stdout, spec.Stderr = childStdout, childStderr
	started, err := s.launch(spec)
	if err != nil {
		closeOpened()
		return launchError(err, spec.Argv[0])
	}
	childStdout.Close()
	childStderr.Close()
	if withInput {
		spec.Stdin.Close()
	}
	process.child = started
	process.pumps.Add(2)
	s.register(process)
	s.run(process, []*os.File{stdout, stderr}, func() {
		go process.pump("stdout", stdout, pipeChunkBytes)
		go process.pump("stderr", stderr, pipeChunkBytes)
	})
	return nil
}

// launch starts a process, and tries again for a while when there are too many: those that were just ended leave the kernel's
// count a little later than its answer.
func (s *Service) launch(spec child.Spec) (*child.Child, error) {
	for waited := time.Duration(0); ; waited += launchPause {
		started, err := s.table.Launch(spec)
		if waited >= launchPatience || !errors.Is(err, syscall.EAGAIN) {
			return started, err
		}
		time.Sleep(launchPause)
	}
}

// run holds the pumps back until the first listener is there, so that no output is lost between fork and subscription.
func (s *Service) run(process *running, outputs []*os.File, pumps func()) {
	process.begin = func() {
		pumps()
		go process.follow(outputs)
	}
}

func launchError(err error, program string) *connect.Error {
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return connect.Errorf(connect.PermissionDenied, "program '"+program+"' may not be executed by this user")
	case errors.Is(err, syscall.ENOENT):
		return connect.Errorf(connect.NotFound, "program '"+program+"' or its interpreter does not exist")
	case errors.Is(err, syscall.ENOEXEC):
		return badRequest("program '" + program + "' has no executable format")
	case errors.Is(err, syscall.E2BIG):
		return badRequest("process: arguments and environment are too large")
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE):
		return connect.Errorf(connect.ResourceExhausted, "no process can be started: "+err.Error())
	default:
		return connect.Errorf(connect.Internal, "the process could not be started: "+err.Error())
	}
}
