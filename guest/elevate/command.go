package elevate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cofferdam/guest/child"
	"cofferdam/guest/settings"
	"cofferdam/guest/users"
)

// kept are the variables that pass without -E.
var kept = []string{"TERM", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "COLORTERM", "DEBIAN_FRONTEND"}

// spec says what a client's command is: from its own arguments, environment and directory, as the kernel has them.
func (s *Server) spec(client string) (*child.Spec, error) {
	caller, err := s.caller(client)
	if err != nil {
		return nil, err
	}
	arguments, err := words(client + "/cmdline")
	if err != nil || len(arguments) == 0 {
		return nil, errors.New("the command cannot be read")
	}
	parsed, err := parse(arguments[1:])
	if err != nil {
		return nil, err
	}
	target, err := users.Lookup(strings.TrimPrefix(parsed.user, "#"))
	if err != nil {
		return nil, fmt.Errorf("unknown user %s", parsed.user)
	}
	environment, err := words(client + "/environ")
	if err != nil {
		return nil, errors.New("the environment cannot be read")
	}
	argv := commandLine(parsed, target)
	env := variables(parsed, target, environment)
	env = append(env, "SUDO_USER="+caller.Name, "SUDO_UID="+strconv.Itoa(int(caller.UID)),
		"SUDO_GID="+strconv.Itoa(int(caller.GID)), "SUDO_COMMAND="+strings.Join(argv, " "))
	env = append(env, parsed.variables...)
	directory, err := os.Readlink(client + "/cwd")
	if err != nil || parsed.login {
		directory = target.Home
	}
	path, err := find(argv[0], directory)
	if err != nil {
		return nil, err
	}
	argv[0] = path
	return &child.Spec{Argv: argv, Dir: directory, Env: env, User: target}, nil
}

// caller is who asks: root, or the user that the machine is for.
func (s *Server) caller(client string) (*users.User, error) {
	raw, err := os.ReadFile(client + "/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "Uid:" {
			continue
		}
		caller, err := users.Lookup(fields[1])
		if err != nil {
			return nil, err
		}
		own, err := s.holder.User("")
		if caller.UID == 0 || err == nil && own.UID == caller.UID {
			return caller, nil
		}
		return nil, errors.New(caller.Name + " may not run sudo")
	}
	return nil, errors.New("the caller cannot be told")
}

func commandLine(parsed *options, target *users.User) []string {
	if !parsed.login && !parsed.shell {
		return append([]string{}, parsed.command...)
	}
	shell := target.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	line := []string{shell}
	if parsed.login {
		line = append(line, "-l")
	}
	if len(parsed.command) > 0 {
		quoted := make([]string, len(parsed.command))
		for index, word := range parsed.command {
			quoted[index] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		line = append(line, "-c", strings.Join(quoted, " "))
	}
	return line
}

func variables(parsed *options, target *users.User, environment []string) []string {
	passed := map[string]bool{}
	for _, name := range kept {
		passed[name] = true
	}
	var env []string
	hasHome := false
	for _, variable := range environment {
		name, _, ok := strings.Cut(variable, "=")
		own := name == "USER" || name == "LOGNAME" || name == "PATH" || name == child.MarkName
		if !ok || own || !(passed[name] || parsed.keepEnvironment) {
			continue
		}
		if name == "HOME" {
			if parsed.ownHome || parsed.login {
				continue
			}
			hasHome = true
		}
		env = append(env, variable)
	}
	if !hasHome {
		env = append(env, "HOME="+target.Home)
	}
	return append(env, "USER="+target.Name, "LOGNAME="+target.Name, "PATH="+settings.DefaultPath)
}

func find(name, directory string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(directory, name)
		}
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			return name, nil
		}
	} else {
		for _, place := range filepath.SplitList(settings.DefaultPath) {
			path := filepath.Join(place, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", errors.New(name + ": command not found")
}
