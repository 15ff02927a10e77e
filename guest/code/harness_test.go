package code

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// rootfs is the root file system in which kernels really run: a code-interpreter template's, or this machine's own.
func rootfs(t testing.TB) string {
	if os.Getuid() != 0 {
		t.Skip("skip: kernels are started in a root file system of their own, which needs root")
	}
	if root := os.Getenv("COFFERDAM_TEST_ROOTFS"); root != "" {
		return root
	}
	return "/"
}

// envs makes the system's Python win over one that somebody has built beside it.
var envs = map[string]string{"PATH": "/usr/bin:/bin:/usr/local/bin"}

// needs skips a test whose program or modules the root file system does not have.
func needs(t testing.TB, program string, arguments ...string) {
	t.Helper()
	command := exec.Command("chroot", append([]string{rootfs(t), program}, arguments...)...)
	command.Env = []string{"PATH=" + envs["PATH"] + ":/usr/sbin"}
	if said, err := command.CombinedOutput(); err != nil {
		t.Skipf("skip: %s %s: %v: %s", program, strings.Join(arguments, " "), err, said)
	}
}

type execProcess struct {
	command *exec.Cmd
	done    chan struct{}
}

func (p *execProcess) Interrupt()            { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGINT) }
func (p *execProcess) Kill()                 { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }
func (p *execProcess) Done() <-chan struct{} { return p.done }

func (p *execProcess) End() End {
	status := p.command.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return End{ExitCode: 128 + int(status.Signal()), Signal: signalName(status.Signal())}
	}
	return End{ExitCode: status.ExitStatus()}
}

func chrooted(root string) Launch {
	return func(p Program) (Process, error) {
		command := exec.Command(p.Argv[0])
		command.Args = p.Argv
		command.Path = p.Argv[0]
		command.Err = nil
		command.Dir = p.Dir
		for name, value := range p.Envs {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Stdin, command.Stdout, command.Stderr = p.Files[0], p.Files[1], p.Files[2]
		command.ExtraFiles = p.Files[3:]
		command.SysProcAttr = &syscall.SysProcAttr{
			Chroot: root, Setsid: true, Credential: &syscall.Credential{Uid: 1000, Gid: 1000},
		}
		process := &execProcess{command: command, done: make(chan struct{})}
		if err := command.Start(); err != nil {
			return nil, err
		}
		go func() {
			_ = command.Wait()
			close(process.done)
		}()
		return process, nil
	}
}

// machine serves kernels that run in a private layer above the root file system.
func machine(t testing.TB) (*Kernels, *httptest.Server) {
	lower := rootfs(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	root := filepath.Join(base, "root")
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(source, target, kind string, flags uintptr, data string) {
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(source, target, kind, flags, data); err != nil {
			t.Fatalf("mount %s: %v", target, err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	}
	if err := os.MkdirAll(base+"/upper/home/user", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(base+"/upper/home/user", 1000, 1000); err != nil {
		t.Fatal(err)
	}
	data := "lowerdir=" + lower + ",upperdir=" + base + "/upper,workdir=" + base + "/work"
	mount("overlay", root, "overlay", 0, data)
	mount("proc", root+"/proc", "proc", 0, "")
	mount("/dev", root+"/dev", "", syscall.MS_BIND, "")
	mount(programs(here), root+"/.cofferdam/kernels", "", syscall.MS_BIND, "")
	kernels := New(Options{
		Machine: func() (Machine, error) {
			return Machine{Launch: chrooted(root), User: "user", Home: "/home/user", Workdir: "/home/user", Envs: envs}, nil
		},
		Directory: "/.cofferdam/kernels", Root: root,
	})
	server := httptest.NewServer(kernels)
	t.Cleanup(func() {
		for _, c := range kernels.List() {
			_ = kernels.Remove(c.ID)
		}
		server.Close()
	})
	return kernels, server
}

// programs is where the kernels lie as they were built.
func programs(here string) string {
	return filepath.Join(here, "../../build/native/kernels")
}

type told struct {
	Type, Text, Name, Value, Traceback, Reason, HTML, PNG string
	StateLost                                             bool `json:"state_lost"`
	Main                                                  bool `json:"is_main_result"`
	JSON, Chart                                           any
	Data                                                  map[string][]any
	Count                                                 int `json:"execution_count"`
}

type outcome struct {
	events         []told
	stdout, stderr string
	results        []told
	failure        *told
	status         int
	refusal        string
}

// text is the main result's.
func (o outcome) text() string {
	for _, result := range o.results {
		if result.Main {
			return result.Text
		}
	}
	return ""
}

func runIn(t testing.TB, server *httptest.Server, ask map[string]any) outcome {
	t.Helper()
	return runUntil(t, context.Background(), server, ask)
}

func runUntil(t testing.TB, ctx context.Context, server *httptest.Server, ask map[string]any) (out outcome) {
	t.Helper()
	body, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/execute", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return out
		}
		t.Fatal(err)
	}
	defer response.Body.Close()
	out.status = response.StatusCode
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 128<<20)
	var stdout, stderr strings.Builder
	for lines.Scan() {
		if out.status != http.StatusOK {
			out.refusal += lines.Text()
			continue
		}
		for _, c := range lines.Bytes() {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in an event", c)
			}
		}
		var one told
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatalf("%v: %.200s", err, lines.Text())
		}
		switch one.Type {
		case "stdout":
			stdout.WriteString(one.Text)
		case "stderr":
			stderr.WriteString(one.Text)
		case "result":
			out.results = append(out.results, one)
		case "error":
			out.failure = &one
		}
		out.events = append(out.events, one)
	}
	out.stdout, out.stderr = stdout.String(), stderr.String()
	if ctx.Err() == nil && out.status == http.StatusOK {
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if last := out.events[len(out.events)-1].Type; last != "end_of_execution" {
			t.Fatalf("the last event is %s", last)
		}
	}
	return out
}

func python(t testing.TB, server *httptest.Server, code string) outcome {
	t.Helper()
	return runIn(t, server, map[string]any{"code": code})
}

func speak(t testing.TB, server *httptest.Server, language, code string) outcome {
	t.Helper()
	return runIn(t, server, map[string]any{"code": code, "language": language})
}
