package filesystem

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"cofferdam/guest/access"
	"cofferdam/guest/settings"
)

const token = "the-token"

// The users of the tests; numbers without an account have the same group and the home "/".
const (
	stranger      = "65534"
	strangerID    = 65534
	otherStranger = "54321"
)

// machine is the service on a unix socket, and a directory in which everybody may write.
type machine struct {
	t        *testing.T
	isTenant atomic.Bool
	client   *http.Client
	dir      string
}

func serveFiles(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skip: the service acts as other users, which needs root")
	}
	// Below a directory that its users may enter, which the tests' own is not.
	dir, err := os.MkdirTemp("", "filesystem-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	current, err := settings.Parse([]byte(`{"defaultUser":"` + stranger + `","accessToken":"` + token + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: filepath.Join(dir, "open")}
	if err := os.Mkdir(m.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(m.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	Register(mux, settings.NewHolder(current))
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	socket := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		if m.isTenant.Load() {
			return access.WithKind(ctx, access.Public)
		}
		return access.WithKind(ctx, access.Host)
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	m.client = &http.Client{Transport: transport}
	return m
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) message() string {
	var failure struct{ Message string }
	_ = json.Unmarshal(a.body, &failure)
	return failure.Message
}

func (m *machine) ask(method, address string, header map[string]string, body io.Reader) answer {
	m.t.Helper()
	request, err := http.NewRequest(method, "http://machine"+address, body)
	if err != nil {
		m.t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := m.client.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, content}
}

// at is the address of a file, for a user; empty: the default one.
func at(path, user string) string {
	query := url.Values{"path": {path}}
	if user != "" {
		query.Set("username", user)
	}
	return "/files?" + query.Encode()
}

func (m *machine) read(path, user string) answer {
	m.t.Helper()
	return m.ask(http.MethodGet, at(path, user), nil, nil)
}

func (m *machine) write(path, user, content string) answer {
	m.t.Helper()
	return m.ask(http.MethodPost, at(path, user), octets, strings.NewReader(content))
}

var octets = map[string]string{"Content-Type": "application/octet-stream"}

// call is a unary call as a user; the answer is unpacked into response. It answers the error's code, or nothing.
func (m *machine) call(method, user string, message map[string]any, response any) string {
	m.t.Helper()
	body, err := json.Marshal(message)
	if err != nil {
		m.t.Fatal(err)
	}
	header := map[string]string{"Content-Type": "application/json"}
	if user != "" {
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
	}
	told := m.ask(http.MethodPost, "/filesystem.Filesystem/"+method, header, bytes.NewReader(body))
	if told.status != http.StatusOK {
		var failure struct{ Code, Message string }
		if err := json.Unmarshal(told.body, &failure); err != nil {
			m.t.Fatalf("%s: %d %q", method, told.status, told.body)
		}
		return failure.Code
	}
	if response != nil {
		if err := json.Unmarshal(told.body, response); err != nil {
			m.t.Fatalf("%s: %v in %.200q", method, err, told.body)
		}
	}
	return ""
}

func (m *machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.dir}, parts...)...)
}

func (m *machine) put(content string, parts ...string) string {
	m.t.Helper()
	path := m.path(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func (m *machine) ownerOf(path string) uint32 {
	m.t.Helper()
	var own syscall.Stat_t
	if err := syscall.Lstat(path, &own); err != nil {
		m.t.Fatal(err)
	}
	return own.Uid
}

func (m *machine) content(path string) string {
	m.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(content)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
