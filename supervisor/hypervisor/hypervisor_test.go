package hypervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cofferdam/supervisor/plan"
)

func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	return path
}

func TestWhatTheEngineHasPutInItsSocketsPlaceIsNotFollowed(t *testing.T) {
	path := listen(t, func(connection net.Conn) { connection.Close() })
	link, file := path+".link", path+".file"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{link, file, path + ".none"} {
		if connection, err := Dial(other); err == nil {
			connection.Close()
			t.Errorf("%s was dialled", filepath.Base(other))
		}
	}
	connection, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

func TestAPortsFirstBytesAreNotTakenWithTheAnswer(t *testing.T) {
	path := listen(t, func(connection net.Conn) {
		line, _ := bufio.NewReader(connection).ReadString('\n')
		fmt.Fprintf(connection, "OK 1073741824\nfor %s", line)
		connection.Close()
	})
	connection, err := DialPort(path, 1024)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(connection)
	if err != nil || string(rest) != "for CONNECT 1024\n" {
		t.Errorf("the machine said %q, %v", rest, err)
	}
}

func TestAPortThatNobodyListensAtIsAnError(t *testing.T) {
	for _, answer := range []string{"", "NO\n", strings.Repeat("x", 1000)} {
		path := listen(t, func(connection net.Conn) {
			_, _ = io.WriteString(connection, answer)
			connection.Close()
		})
		if _, err := DialPort(path, 1); err == nil {
			t.Errorf("the answer %.10q was taken", answer)
		}
	}
}

func TestCallsEndWithTheFirstThatIsRefused(t *testing.T) {
	heard := make(chan string, 4)
	path := listen(t, func(connection net.Conn) {
		reader := bufio.NewReader(connection)
		for {
			request, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(request.Body)
			heard <- request.Method + " " + request.URL.Path + " " + string(body)
			if request.URL.Path == "/first" {
				_, _ = io.WriteString(connection, "HTTP/1.1 204 No Content\r\n\r\n")
				continue
			}
			fault := `{"fault_message":"no\u0007 such kernel"}`
			fmt.Fprintf(connection, "HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s", len(fault), fault)
		}
	})
	calls := []plan.Call{}
	for _, name := range []string{"/first", "/second", "/third"} {
		calls = append(calls, plan.Call{Method: "PUT", Path: name, Body: json.RawMessage(`{"a":1}`)})
	}
	connection, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	err = Ask(connection, calls, time.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "/second: it refused: no  such kernel") {
		t.Errorf("the calls ended with %v", err)
	}
	for _, wanted := range []string{`PUT /first {"a":1}`, `PUT /second {"a":1}`} {
		if got := <-heard; got != wanted {
			t.Errorf("the engine heard %q, not %q", got, wanted)
		}
	}
	if len(heard) > 0 {
		t.Errorf("the engine was asked on: %s", <-heard)
	}
}
