package code

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// dialect is how a language's kernel is started and asked.
type dialect struct {
	// program is what must be in the template.
	program string
	argv    func(program, kernels string) []string
	request func(request) ([]byte, error)
	// requestsOnInput: requests come on descriptor 0, as a shell reads them; otherwise on 3.
	requestsOnInput bool
}

// request is one run as a kernel is asked for it.
type request struct {
	Code  string            `json:"code"`
	Count int               `json:"count"`
	Envs  map[string]string `json:"envs,omitempty"`
}

func jsonRequest(r request) ([]byte, error) {
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

var dialects = map[string]dialect{
	"python": {
		program: "python3",
		argv: func(program, kernels string) []string {
			return []string{program, filepath.Join(kernels, "python/kernel.py")}
		},
		request: jsonRequest,
	},
	"javascript": node("javascript"),
	"typescript": node("typescript"),
	"bash": {
		program: "bash",
		argv: func(program, kernels string) []string {
			return []string{program, "--noprofile", "--noediting", "--rcfile", filepath.Join(kernels, "bash/kernel.bash"), "-i"}
		},
		request:         bashRequest,
		requestsOnInput: true,
	},
}

func node(language string) dialect {
	return dialect{
		program: "node",
		argv: func(program, kernels string) []string {
			return []string{program, "--no-warnings=ExperimentalWarning", filepath.Join(kernels, "javascript/kernel.mjs"), language}
		},
		request: jsonRequest,
	}
}

// bashRequest is what the shell's reader runs, three lines, of which each is reached whatever became of the one before: the
// environment and the code, the run, its end. All that comes from the request is quoted.
func bashRequest(r request) ([]byte, error) {
	var lines bytes.Buffer
	lines.WriteString("__cofferdam_begin ")
	lines.WriteString(strconv.Itoa(len(r.Envs)))
	for name, value := range r.Envs {
		lines.WriteString(" " + name + " " + quoted(value))
	}
	lines.WriteString("; __cofferdam_code=" + quoted(r.Code) + "\n")
	lines.WriteString(". \"$__cofferdam_run\" </dev/null 3>&- 4>&-\n__cofferdam_end $?\n")
	return lines.Bytes(), nil
}

// quoted is text as one word of a shell, whatever is in it.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var aliases = map[string]string{"": "python", "py": "python", "js": "javascript", "ts": "typescript", "sh": "bash"}

// languageOf is the language for the name that a client used; empty for one that nobody speaks here.
func languageOf(name string) string {
	name = strings.ToLower(name)
	if known, ok := aliases[name]; ok {
		return known
	}
	if _, ok := dialects[name]; ok {
		return name
	}
	return ""
}

// languageNames lists them for an error's text.
func languageNames() string {
	names := make([]string, 0, len(dialects))
	for name := range dialects {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
