// Package elevate is sudo for a kernel that runs no set-user-ID program, where the agent is root of that kernel alone.
// The client asks the agent by a FIFO; the agent takes the client's own words and streams from /proc and starts them.
package elevate

import (
	"errors"
	"strings"
)

// options are what sudo was asked for.
type options struct {
	user string
	// keepEnvironment and ownHome are -E and -H.
	keepEnvironment, ownHome bool
	// login and shell are -i and -s.
	login, shell bool
	// onlyCheck is -v and -l: nothing is run.
	onlyCheck bool
	// variables are NAME=value words before the command.
	variables []string
	command   []string
}

var errUsage = errors.New("usage: sudo [-EHinSs] [-u user] [NAME=value …] [command …]")

// ignored are flags about passwords and time stamps, of which there are none.
const ignored = "nSkKAbP"

var longNames = map[string]string{
	"--user": "u", "--preserve-env": "E", "--set-home": "H", "--login": "i", "--shell": "s", "--non-interactive": "n",
	"--stdin": "S", "--validate": "v", "--list": "l", "--reset-timestamp": "k", "--remove-timestamp": "K",
}

// parse reads the words after sudo's own name.
func parse(words []string) (*options, error) {
	parsed := &options{user: "root"}
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		word := words[0]
		words = words[1:]
		if word == "--" {
			break
		}
		if name, value, given := strings.Cut(word, "="); longNames[name] != "" {
			word = "-" + longNames[name]
			if given && word == "-u" {
				word += value
			}
		}
		rest, err := parsed.take(word[1:], words)
		if err != nil {
			return nil, err
		}
		words = rest
	}
	for len(words) > 0 && strings.Index(words[0], "=") > 0 {
		parsed.variables = append(parsed.variables, words[0])
		words = words[1:]
	}
	parsed.command = words
	if len(words) == 0 && !parsed.login && !parsed.shell && !parsed.onlyCheck {
		return nil, errUsage
	}
	return parsed, nil
}

// take reads one word of flags; it answers the words that are left.
func (o *options) take(flags string, words []string) ([]string, error) {
	for index, flag := range flags {
		switch flag {
		case 'E':
			o.keepEnvironment = true
		case 'H':
			o.ownHome = true
		case 'i':
			o.login = true
		case 's':
			o.shell = true
		case 'v', 'l':
			o.onlyCheck = true
		case 'u':
			if value := flags[index+1:]; value != "" {
				o.user = value
				return words, nil
			}
			if len(words) == 0 {
				return nil, errUsage
			}
			o.user = words[0]
			return words[1:], nil
		default:
			if !strings.ContainsRune(ignored, flag) {
				return nil, errUsage
			}
		}
	}
	return words, nil
}
