package elevate

import (
	"reflect"
	"testing"
)

func TestFlagsVariablesAndTheCommandAreToldApart(t *testing.T) {
	for _, one := range []struct {
		words []string
		want  options
	}{
		{[]string{"-n", "id", "-u"}, options{user: "root", command: []string{"id", "-u"}}},
		{[]string{"-u", "user", "ls"}, options{user: "user", command: []string{"ls"}}},
		{[]string{"-uuser", "ls"}, options{user: "user", command: []string{"ls"}}},
		{[]string{"--user=user", "ls"}, options{user: "user", command: []string{"ls"}}},
		{[]string{"-nEH", "A=1", "B=", "env", "C=3"}, options{user: "root", keepEnvironment: true, ownHome: true,
			variables: []string{"A=1", "B="}, command: []string{"env", "C=3"}}},
		{[]string{"-i"}, options{user: "root", login: true, command: []string{}}},
		{[]string{"-s", "--", "-x"}, options{user: "root", shell: true, command: []string{"-x"}}},
		{[]string{"-v"}, options{user: "root", onlyCheck: true, command: []string{}}},
	} {
		got, err := parse(one.words)
		if err != nil {
			t.Errorf("%q: %v", one.words, err)
			continue
		}
		if !reflect.DeepEqual(*got, one.want) {
			t.Errorf("%q: got %+v, want %+v", one.words, *got, one.want)
		}
	}
}

func TestWhatIsNoCallOfSudoIsRefused(t *testing.T) {
	for _, words := range [][]string{nil, {"-u"}, {"-x", "ls"}, {"--unknown", "ls"}, {"A=1"}, {"-n"}} {
		if got, err := parse(words); err == nil {
			t.Errorf("%q was taken as %+v", words, *got)
		}
	}
}

func TestARequestIsSixNumbers(t *testing.T) {
	if got, ok := parseNumbers("12 0 1 2 4 5\n"); !ok || got != (numbers{12, 0, 1, 2, 4, 5}) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, line := range []string{"", "\n", "12 0 1 2 4\n", "1 0 1 2 4 5\n", "12 0 1 2 4 -5\n", "12 0 1 2 4 x\n", "12 0 1 2 4 5 6\n"} {
		if got, ok := parseNumbers(line); ok {
			t.Errorf("%q was taken as %v", line, got)
		}
	}
}
