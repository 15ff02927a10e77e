package engine

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cofferdam/supervisor/machine"
	"cofferdam/supervisor/paused"
	"cofferdam/supervisor/plan"
)

// fakeEngine lists containers by their machines' ids, knows others by name, and notes which it is told to remove.
type fakeEngine struct {
	state   string
	listed  []string
	named   map[string]string
	removed []string
}

func (f *fakeEngine) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	path := strings.TrimPrefix(request.URL.Path, "/v1.41/containers/")
	switch {
	case path == "json":
		_ = json.NewEncoder(response).Encode(f.list())
	case request.Method == http.MethodDelete:
		f.removed = append(f.removed, path)
		response.WriteHeader(http.StatusNotFound)
	default:
		state, known := f.named[strings.TrimSuffix(path, "/json")]
		if !known {
			response.WriteHeader(http.StatusNotFound)
			return
		}
		labels := map[string]string{StateLabel: state}
		_ = json.NewEncoder(response).Encode(map[string]any{"Id": "id-of-" + state, "Config": map[string]any{"Labels": labels}})
	}
}

func (f *fakeEngine) list() []map[string]any {
	all := []map[string]any{}
	for _, id := range f.listed {
		labels := map[string]string{StateLabel: f.state, MachineLabel: id}
		all = append(all, map[string]any{"Id": "listed-" + id, "Labels": labels})
	}
	return all
}

// sweeping is a state directory, and an Engine that knows it.
type sweeping struct {
	t        *testing.T
	stateDir string
	address  Address
	engine   *fakeEngine
}

func newSweeping(t *testing.T) *sweeping {
	t.Helper()
	stateDir := t.TempDir()
	engine := &fakeEngine{state: StateName(stateDir), named: map[string]string{}}
	return &sweeping{t, stateDir, Address{serve(t, engine), "v1.41"}, engine}
}

// serve listens at a socket whose path is short enough for one.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "eng")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(directory, "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		os.RemoveAll(directory)
	})
	return socket
}

// machine makes a directory with the files, each with its content, that nobody has touched for an hour.
func (s *sweeping) machine(id string, files map[string]string) string {
	s.t.Helper()
	directory := filepath.Join(s.stateDir, "machines", id)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(directory, old, old); err != nil {
		s.t.Fatal(err)
	}
	return directory
}

func (s *sweeping) planOf(id, socket string) string {
	s.t.Helper()
	raw, err := json.Marshal(Plan{
		Version: 1, ID: id, Driver: "docker", StateDir: s.stateDir, Directory: filepath.Join(s.stateDir, "machines", id),
		Engine: Address{socket, "v1.41"}, Container: Container{ContainerName(id), json.RawMessage("{}")},
		Limits: Limits{1, 1, 1}, Setup: json.RawMessage("{}"), Lease: plan.Lease{LifetimeMs: 1}, StartTimeoutMs: 1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

func (s *sweeping) expect(removed, containers []string) {
	s.t.Helper()
	gone, err := Sweep(s.stateDir, s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(gone)
	slices.Sort(s.engine.removed)
	if !slices.Equal(gone, removed) || !slices.Equal(s.engine.removed, containers) {
		s.t.Fatalf("removed %v with the containers %v, not %v with %v", gone, s.engine.removed, removed, containers)
	}
	for _, id := range removed {
		if _, err := os.Stat(filepath.Join(s.stateDir, "machines", id)); err == nil {
			s.t.Fatalf("the directory of %s is there", id)
		}
	}
}

func TestSweepRemovesWhatItsSupervisorLeft(t *testing.T) {
	s := newSweeping(t)
	s.machine("with-lock", map[string]string{machine.LockName: "", "plan.json": s.planOf("with-lock", s.address.Socket)})
	s.machine("unlisted", map[string]string{machine.LockName: "", "plan.json": s.planOf("unlisted", s.address.Socket)})
	s.machine("no-plan", nil)
	s.machine("all-but-gone", map[string]string{machine.LockName: "", "supervisor.log": ""})
	s.engine.listed = []string{"with-lock", "no-directory", "../machines", ""}
	s.engine.named[ContainerName("unlisted")] = s.engine.state
	s.expect(
		[]string{"all-but-gone", "no-directory", "no-plan", "unlisted", "with-lock"},
		[]string{"id-of-" + s.engine.state, "listed-no-directory", "listed-with-lock"},
	)
}

// An Engine may list whatever it likes, and so may an image's labels.
func TestSweepLeavesOtherDriversMachines(t *testing.T) {
	s := newSweeping(t)
	foreign := `{"version":1,"id":"idle-machine","driver":"qemu","root":{}}`
	s.machine("idle-machine", map[string]string{machine.LockName: "", "plan.json": foreign, "memory": "m"})
	s.machine("paused-machine", map[string]string{machine.LockName: "", paused.Name: "{}", "memory": "m"})
	s.machine("paused-engine", map[string]string{
		machine.LockName: "", paused.Name: "{}", "plan.json": s.planOf("paused-engine", s.address.Socket),
	})
	s.machine("other-name", map[string]string{machine.LockName: "", "plan.json": s.planOf("another-id", s.address.Socket)})
	s.machine("no-plan-but-disk", map[string]string{machine.LockName: "", "disk": "d"})
	s.engine.listed = namesIn(filepath.Join(s.stateDir, "machines"))
	s.expect(nil, nil)
}

func TestSweepLeavesAnotherEnginesMachines(t *testing.T) {
	s := newSweeping(t)
	other := serve(t, &fakeEngine{})
	s.machine("of-another", map[string]string{machine.LockName: "", "plan.json": s.planOf("of-another", other)})
	s.machine("of-one-gone", map[string]string{machine.LockName: "", "plan.json": s.planOf("of-one-gone", "/gone.sock")})
	s.engine.listed = []string{"of-another"}
	s.expect(nil, nil)
	link := filepath.Join(s.stateDir, "link.sock")
	if err := os.Symlink(s.address.Socket, link); err != nil {
		t.Fatal(err)
	}
	s.machine("by-a-link", map[string]string{machine.LockName: "", "plan.json": s.planOf("by-a-link", link)})
	s.expect([]string{"by-a-link"}, nil)
}

func TestSweepLeavesAnotherStateDirectorysContainer(t *testing.T) {
	s := newSweeping(t)
	s.machine("same-name", map[string]string{machine.LockName: "", "plan.json": s.planOf("same-name", s.address.Socket)})
	s.engine.named[ContainerName("same-name")] = "another"
	s.expect([]string{"same-name"}, nil)
}
