package code

import (
	"strings"
	"testing"
)

func TestBashKeepsItsState(t *testing.T) {
	_, server := machine(t)
	for _, one := range []struct{ code, want string }{
		{"x=5\nf() { echo \"f $1 $x\"; }\ncd /tmp\nexport Y=exported\nalias greet='echo hello'", ""},
		{"f a; pwd; sh -c 'echo $Y'; greet you", "f a 5\n/tmp\nexported\nhello you\n"},
		{"cat <<EOT\nhere $x 'quoted'\nEOT", "here 5 'quoted'\n"},
		{"(exit 3); echo $?", "3\n"},
		{"yes | head -1", "y\n"},
		{"sleep 60 & echo begun", "begun\n"},
		{"kill %1; read line; echo \"rc $?\"", "rc 1\n"},
		{"# nothing", ""},
		{"printf '%s' \"é\u2028😀\"", "é\u2028😀"},
	} {
		if out := speak(t, server, "bash", one.code); out.stdout != one.want || out.failure != nil || out.stderr != "" {
			t.Errorf("%s: %q %q %+v", one.code, out.stdout, out.stderr, out.failure)
		}
	}
}

func TestBashTellsItsExitStatus(t *testing.T) {
	_, server := machine(t)
	speak(t, server, "bash", "x=5")
	for _, one := range []struct{ code, value, stdout, stderr string }{
		{"false", "exit status 1", "", ""},
		{"echo before; (exit 7)", "exit status 7", "before\n", ""},
		{"no-such-command", "exit status 127", "", "no-such-command: command not found"},
		{"if then", "exit status 2", "", "syntax error"},
		{"echo 'open", "exit status 2", "", "unexpected EOF"},
		{"kill -TERM $BASHPID & wait $!", "exit status 143 (TERM)", "", ""},
		{"set -u\necho $nowhere\necho after", "exit status 1", "", "nowhere: unbound variable"},
		{"set +u; set -e\necho before\nfalse\necho after", "exit status 1", "before\n", ""},
		{"f() { false; echo after; }; f; echo after", "exit status 1", "", ""},
		{"set +e; false; echo ${y:?is missing}", "exit status 1", "", "y: is missing"},
	} {
		out := speak(t, server, "bash", one.code)
		if out.failure == nil || out.failure.Name != "Error" || out.failure.Value != one.value || out.stdout != one.stdout ||
			!strings.Contains(out.stderr, one.stderr) {
			t.Errorf("%s: %+v %q %q", one.code, out.failure, out.stdout, out.stderr)
		}
	}
	if out := speak(t, server, "bash", "false; echo $x"); out.stdout != "5\n" || out.failure != nil {
		t.Errorf("%+v", out)
	}
}

func TestBashIsInterruptedAndReportsItsExit(t *testing.T) {
	_, server := machine(t)
	speak(t, server, "bash", "x=5")
	for _, code := range []string{"sleep 60; echo no", "while :; do :; done", "while :; do echo flood; done", "cat /dev/zero | wc -c"} {
		out := runIn(t, server, map[string]any{"code": code, "language": "bash", "timeout_ms": 300})
		if out.failure == nil || out.failure.Reason != "timed-out" || out.failure.StateLost {
			t.Errorf("%s: %+v", code, out.failure)
		}
	}
	if out := speak(t, server, "bash", "echo $x"); out.stdout != "5\n" {
		t.Errorf("%+v", out)
	}
	out := speak(t, server, "bash", "echo last words; exit 4")
	if out.failure == nil || out.failure.Name != "KernelDied" || !strings.Contains(out.failure.Value, "status 4") || out.stdout != "last words\n" {
		t.Errorf("%+v", out)
	}
	if out := speak(t, server, "bash", "echo back ${x-gone}"); out.stdout != "back gone\n" {
		t.Errorf("%+v", out)
	}
}
