package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cofferdam/guest/child"
	"cofferdam/guest/settings"
)

// serve serves processes that run as root.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skip: processes are started for another user, which needs root")
	}
	current, err := settings.Parse([]byte(`{"defaultUser":"root"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	table := child.NewTable(child.Options{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		table.Reap(ctx, signals)
	}()
	mux := http.NewServeMux()
	NewService(table, settings.NewHolder(current)).Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		cancel()
		signal.Stop(signals)
		<-over
	})
	return server
}

type event struct {
	Event struct {
		Start *struct{ PID int }
		Data  *struct{ Stdout, Stderr, PTY []byte }
		End   *struct {
			ExitCode       int
			Reason, Signal string
		}
	}
	Error *struct{ Code, Message string }
}

// start runs a shell's script and gives its events to take until that answers false.
func start(t *testing.T, server *httptest.Server, ask map[string]any, timeoutMs int, take func(event) bool) {
	t.Helper()
	body, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	envelope := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body)))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/process.Process/Start", bytes.NewReader(append(envelope, body...)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/connect+json")
	request.Header.Set("Connect-Protocol-Version", "1")
	if timeoutMs > 0 {
		request.Header.Set("Connect-Timeout-Ms", strconv.Itoa(timeoutMs))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for {
		var head [5]byte
		if _, err := io.ReadFull(response.Body, head[:]); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(response.Body, raw); err != nil {
			t.Fatal(err)
		}
		var one event
		if err := json.Unmarshal(raw, &one); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if !take(one) {
			return
		}
	}
}

func script(text string) map[string]any {
	return map[string]any{"process": map[string]any{"cmd": "/bin/sh", "args": []string{"-c", text}}, "stdin": false}
}

func pidsOf(text string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(strings.ReplaceAll(string(raw), "\x00", " "), text) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestTheDeadlineEndsTheTreeAndIsTold(t *testing.T) {
	server := serve(t)
	mark := "98763." + strconv.Itoa(os.Getpid())
	var last event
	start(t, server, script("setsid sleep "+mark+" & echo begun; sleep "+mark), 400, func(one event) bool {
		last = one
		return true
	})
	if last.Event.End != nil || last.Error == nil || last.Error.Code != "deadline_exceeded" {
		t.Errorf("%+v", last)
	}
	if left := pidsOf("sleep " + mark); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestInputIsStreamedInOrder(t *testing.T) {
	server := serve(t)
	var output []byte
	ask := script("cat")
	ask["stdin"] = true
	start(t, server, ask, 0, func(one event) bool {
		if one.Event.Start != nil {
			pid := strconv.Itoa(one.Event.Start.PID)
			stream := envelope(`{"start":{"process":{"pid":` + pid + `}}}`)
			stream = append(stream, envelope(`{"data":{"input":{"stdin":"Zmly"}}}`)...)
			stream = append(stream, envelope(`{"keepalive":{}}`)...)
			stream = append(stream, envelope(`{"data":{"input":{"stdin":"c3Q="}}}`)...)
			send(t, server.URL+"/process.Process/StreamInput", "application/connect+json", stream)
			send(t, server.URL+"/process.Process/CloseStdin", "application/json", []byte(`{"process":{"pid":`+pid+`}}`))
		}
		if one.Event.Data != nil {
			output = append(output, one.Event.Data.Stdout...)
		}
		return true
	})
	if string(output) != "first" {
		t.Errorf("%q", output)
	}
}

func envelope(text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text))), text...)
}

func send(t *testing.T, url, kind string, body []byte) {
	t.Helper()
	response, err := http.Post(url, kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || bytes.Contains(raw, []byte("error")) {
		t.Errorf("%d %s %v", response.StatusCode, raw, err)
	}
}

func TestAClientThatLeavesEndsNoProcess(t *testing.T) {
	server := serve(t)
	mark := "98762." + strconv.Itoa(os.Getpid())
	start(t, server, script("exec sleep "+mark), 0, func(one event) bool { return one.Event.Start == nil })
	time.Sleep(200 * time.Millisecond)
	pids := pidsOf("sleep " + mark)
	if len(pids) != 1 {
		t.Fatalf("%v", pids)
	}
	body := `{"process":{"pid":` + strconv.Itoa(pids[0]) + `},"signal":"SIGNAL_SIGKILL"}`
	response, err := http.Post(server.URL+"/process.Process/SendSignal", "application/json", strings.NewReader(body))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %+v", err, response)
	}
	response.Body.Close()
	if left := pidsOf("sleep " + mark); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestEndsAreToldWithCodeSignalAndReason(t *testing.T) {
	server := serve(t)
	for text, want := range map[string]string{
		"exit 0":                "0 exited ",
		"exit 3":                "3 exited ",
		"kill -SEGV $$":         "139 signalled SIGSEGV",
		"yes | head -1; exit 5": "5 exited ",
	} {
		got := ""
		start(t, server, script(text), 0, func(one event) bool {
			if end := one.Event.End; end != nil {
				got = strconv.Itoa(end.ExitCode) + " " + end.Reason + " " + end.Signal
			}
			return true
		})
		if got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestAFloodArrivesWhole(t *testing.T) {
	server := serve(t)
	bytesSeen := 0
	start(t, server, script("head -c 200000000 /dev/zero"), 0, func(one event) bool {
		if one.Event.Data != nil {
			bytesSeen += len(one.Event.Data.Stdout)
		}
		return true
	})
	if bytesSeen != 200_000_000 {
		t.Errorf("%d bytes", bytesSeen)
	}
}
