package filesystem

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAFailedUploadLeavesTheOldContent(t *testing.T) {
	m := serveFiles(t)
	must(t, os.Mkdir(m.path("small"), 0o777))
	if err := syscall.Mount("none", m.path("small"), "tmpfs", 0, "size=64k,mode=777"); err != nil {
		t.Skip("skip: no tmpfs: " + err.Error())
	}
	defer func() { must(t, syscall.Unmount(m.path("small"), 0)) }()
	if got := m.write(m.path("small/file"), "", "before"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := m.write(m.path("small/file"), "", strings.Repeat("x", 8<<20)); got.status != 507 {
		t.Errorf("%d %s", got.status, got.body)
	}
	there, err := os.ReadDir(m.path("small"))
	must(t, err)
	if m.content(m.path("small/file")) != "before" || len(there) != 1 {
		t.Errorf("%q, %v", m.content(m.path("small/file")), there)
	}
}

func TestAReplacedFileKeepsItsModeAndItsLink(t *testing.T) {
	m := serveFiles(t)
	if got := m.write(m.path("file"), "", "first"); got.status != 200 {
		t.Fatalf("%s", got.body)
	}
	must(t, os.Chmod(m.path("file"), 0o640))
	must(t, os.Symlink("file", m.path("link")))
	if got := m.write(m.path("link"), "", "second"); got.status != 200 {
		t.Fatalf("%s", got.body)
	}
	info, err := os.Lstat(m.path("file"))
	must(t, err)
	target, err := os.Readlink(m.path("link"))
	must(t, err)
	if target != "file" || info.Mode() != 0o640 || m.content(m.path("file")) != "second" || m.ownerOf(m.path("file")) != strangerID {
		t.Errorf("%s %v %q", target, info.Mode(), m.content(m.path("file")))
	}
}

func TestAWatchTellsAReplacementAsAWrite(t *testing.T) {
	m := serveFiles(t)
	if got := m.write(m.path("file"), "", "first"); got.status != 200 {
		t.Fatalf("%s", got.body)
	}
	watch := m.watch(map[string]any{"path": m.dir}, nil).started()
	if got := m.write(m.path("file"), "", "second"); got.status != 200 {
		t.Fatalf("%s", got.body)
	}
	for _, one := range watch.until(eventWrite, "file") {
		if one.Name != "file" {
			t.Errorf("%+v", one)
		}
	}
}
