package code

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPythonKeepsStateAndShowsTheLastValue(t *testing.T) {
	_, server := machine(t)
	if out := python(t, server, "x = 20\nprint('hello')"); out.stdout != "hello\n" || len(out.results) != 0 || out.failure != nil {
		t.Errorf("%+v", out)
	}
	if out := python(t, server, "x + 1"); out.text() != "21" || out.events[0].Count != 2 {
		t.Errorf("%+v", out)
	}
	if out := python(t, server, "'quoted'"); out.text() != "quoted" {
		t.Errorf("%+v", out)
	}
	if out := python(t, server, "1/0"); out.failure == nil || out.failure.Name != "ZeroDivisionError" ||
		out.failure.Value != "division by zero" || !strings.Contains(out.failure.Traceback, "----> 1 1/0") {
		t.Errorf("%+v", out.failure)
	}
}

func TestOutputAndResultsKeepTheirOrder(t *testing.T) {
	_, server := machine(t)
	out := python(t, server, `
import os
for i in range(30):
    print("a", i)
    os.system("echo b %d" % i)
    display(i)
    os.write(1, b"c\n")
i`)
	var order strings.Builder
	for _, one := range out.events {
		switch one.Type {
		case "stdout":
			order.WriteString(one.Text)
		case "result":
			order.WriteString("<" + one.Text + ">\n")
		}
	}
	var want strings.Builder
	for i := range 30 {
		fmt.Fprintf(&want, "a %d\nb %d\n<%d>\nc\n", i, i, i)
	}
	want.WriteString("<29>\n")
	got := order.String()
	if got != want.String() {
		t.Errorf("got\n%s", got)
	}
}

func TestARunIsInterruptedWhenItsTimeIsOver(t *testing.T) {
	_, server := machine(t)
	python(t, server, "x = 1")
	for _, code := range []string{"while True: pass", "import time; time.sleep(60)", "!sleep 60", "await __import__('asyncio').sleep(60)"} {
		out := runIn(t, server, map[string]any{"code": code, "timeout_ms": 300})
		if out.failure == nil || out.failure.Reason != "timed-out" || out.failure.StateLost {
			t.Errorf("%s: %+v", code, out.failure)
		}
	}
	if out := python(t, server, "x"); out.text() != "1" {
		t.Errorf("state is lost: %+v", out)
	}
}

func TestAKernelThatDoesNotReactIsReplaced(t *testing.T) {
	_, server := machine(t)
	code := "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
	out := runIn(t, server, map[string]any{"code": code, "timeout_ms": 300})
	if out.failure == nil || out.failure.Reason != "timed-out" || !out.failure.StateLost {
		t.Fatalf("%+v", out.failure)
	}
	if out := python(t, server, "'alive'"); out.text() != "alive" || out.events[0].Count != 1 {
		t.Errorf("%+v", out)
	}
}

func TestADeathIsReportedAndSurvived(t *testing.T) {
	_, server := machine(t)
	for code, want := range map[string]string{
		"import os; print('last words'); os._exit(3)":                                                                                   "status 3",
		"import os; print('last words'); os.kill(os.getpid(), 11)":                                                                      "SIGSEGV",
		"import os; print('last words'); x = 1\nfor fd in range(200, 210):\n  try: os.write(fd, b'garbage\\n')\n  except OSError: pass": "protocol",
	} {
		out := python(t, server, code)
		if out.failure == nil || out.failure.Name != "KernelDied" || !strings.Contains(out.failure.Value, want) || !out.failure.StateLost {
			t.Errorf("%s: %+v", code, out.failure)
		}
		if out.stdout != "last words\n" {
			t.Errorf("%s: printed %q", code, out.stdout)
		}
		if out := python(t, server, "1+1"); out.text() != "2" {
			t.Errorf("after %s: %+v", code, out)
		}
	}
}

func TestADeathBetweenRunsIsTold(t *testing.T) {
	kernels, server := machine(t)
	python(t, server, "import os, threading; threading.Timer(0.1, lambda: os._exit(7)).start()")
	<-kernels.List()[0].current().process.Done()
	out := python(t, server, "1+1")
	if out.text() != "2" || !strings.Contains(out.stderr, "status 7") {
		t.Errorf("%+v", out)
	}
}

func TestAClientThatLeavesInterruptsItsRun(t *testing.T) {
	_, server := machine(t)
	python(t, server, "x = 5")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	runUntil(t, ctx, server, map[string]any{"code": "while True: pass"})
	if out := python(t, server, "x"); out.text() != "5" {
		t.Errorf("%+v", out)
	}
}

func TestEnvironmentOfARunIsUndone(t *testing.T) {
	_, server := machine(t)
	code := "import os; os.environ.get('ONLY_NOW'), os.popen('echo $ONLY_NOW').read()"
	if out := runIn(t, server, map[string]any{"code": code, "env_vars": map[string]string{"ONLY_NOW": "yes"}}); out.text() != "('yes', 'yes\\n')" {
		t.Errorf("%+v", out)
	}
	if out := python(t, server, "os.environ.get('ONLY_NOW')"); out.failure != nil || out.text() != "" {
		t.Errorf("%+v", out)
	}
}

func TestFiguresAndFramesAreShown(t *testing.T) {
	_, server := machine(t)
	out := python(t, server, `
import pandas as pd, matplotlib.pyplot as plt
plt.plot([1, 2]);
pd.DataFrame({"n": [1.5, float("nan")], "t": pd.to_datetime(["2020-01-01", None])})`)
	if len(out.results) != 2 {
		t.Fatalf("%d results: %+v", len(out.results), out.failure)
	}
	for _, result := range out.results {
		if result.Main {
			if !strings.Contains(result.HTML, "<table") || result.Data["n"][1] != nil || result.Data["t"][0] != "2020-01-01T00:00:00" {
				t.Errorf("%+v", result)
			}
		} else if !strings.HasPrefix(result.PNG, "iVBOR") {
			t.Errorf("%+v", result)
		}
	}
}

func TestTextOutsideASCIIArrivesWhole(t *testing.T) {
	_, server := machine(t)
	text := strings.Repeat("é\u2028😀", 20000)
	out := python(t, server, "import os\nfor b in ('é\u2028😀' * 20000).encode(): pass\nprint('é\u2028😀' * 20000, end='')\nos.write(1, b'\\xff\\xf0')\n'é😀'")
	if out.stdout != text+"\ufffd\ufffd" || out.text() != "é😀" {
		t.Errorf("%d bytes, %q", len(out.stdout), out.text())
	}
}

func TestAFloodDoesNotGrowTheAgent(t *testing.T) {
	_, server := machine(t)
	out := runIn(t, server, map[string]any{"code": "print('x' * 1000 * 1000 * 300)"})
	if len(out.stdout) != 300*1000*1000+1 {
		t.Errorf("%d bytes", len(out.stdout))
	}
}

func TestALargeResultStreamsThrough(t *testing.T) {
	_, server := machine(t)
	if out := python(t, server, "'é' * 8_000_000"); len([]rune(out.text())) != 8_000_000 {
		t.Errorf("%d characters, %+v", len(out.text()), out.failure)
	}
	if out := python(t, server, "'x' * 200_000_000"); out.failure != nil || !strings.Contains(out.text(), "[cut: ") {
		t.Errorf("%d characters, %+v", len(out.text()), out.failure)
	}
}
