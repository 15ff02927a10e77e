package filesystem

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsMadeBelongsToTheUser(t *testing.T) {
	m := serveFiles(t)
	var made entryResponse
	if code := m.call("MakeDir", "", map[string]any{"path": m.path("a/b/c")}, &made); code != "" {
		t.Fatal(code)
	}
	for _, path := range []string{"a", "a/b", "a/b/c"} {
		if owner := m.ownerOf(m.path(path)); owner != strangerID {
			t.Errorf("%s belongs to %d", path, owner)
		}
	}
	if made.Entry.Type != typeDirectory || made.Entry.Permissions != "drwxr-xr-x" || made.Entry.Name != "c" || made.Entry.Mode != 0o755 {
		t.Errorf("entry: %+v", made.Entry)
	}
	if code := m.call("MakeDir", "", map[string]any{"path": m.path("a/b")}, nil); code != "already_exists" {
		t.Errorf("made twice: %q", code)
	}
	m.put("", "file")
	if code := m.call("MakeDir", "", map[string]any{"path": m.path("file")}, nil); code != "invalid_argument" {
		t.Errorf("made over a file: %q", code)
	}
}

func TestTheKernelJudgesTheUser(t *testing.T) {
	m := serveFiles(t)
	secret := m.put("secret", "private/file")
	must(t, os.Chmod(m.path("private"), 0o700))
	for method, message := range map[string]map[string]any{
		"Stat":          {"path": secret},
		"ListDir":       {"path": m.path("private")},
		"MakeDir":       {"path": m.path("private/x")},
		"Remove":        {"path": secret},
		"Move":          {"source": secret, "destination": m.path("stolen")},
		"CreateWatcher": {"path": m.path("private")},
	} {
		if code := m.call(method, stranger, message, nil); code != "permission_denied" {
			t.Errorf("%s: %q", method, code)
		}
		if code := m.call(method, "no-such-user", message, nil); code != "unauthenticated" {
			t.Errorf("%s by nobody: %q", method, code)
		}
	}
	if got := m.read(secret, stranger); got.status != 403 {
		t.Errorf("read: %d %s", got.status, got.body)
	}
	if got := m.write(secret, stranger, "x"); got.status != 403 {
		t.Errorf("write: %d %s", got.status, got.body)
	}
	if m.content(secret) != "secret" {
		t.Error("the secret changed")
	}
	if code := m.call("Stat", "root", map[string]any{"path": secret}, nil); code != "" {
		t.Errorf("root: %q", code)
	}
}

func TestUsersDoNotReachEachOthersFilesThroughLinks(t *testing.T) {
	m := serveFiles(t)
	if got := m.write(m.path("mine"), otherStranger, "mine"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	must(t, os.Chmod(m.path("mine"), 0o600))
	must(t, os.Symlink(m.path("mine"), m.path("link")))
	if got := m.read(m.path("link"), stranger); got.status != 403 {
		t.Errorf("read: %d", got.status)
	}
	if got := m.write(m.path("link"), stranger, "x"); got.status != 403 {
		t.Errorf("write: %d", got.status)
	}
	if got := m.read(m.path("link"), otherStranger); string(got.body) != "mine" {
		t.Errorf("own: %d %q", got.status, got.body)
	}
}

func TestStatFollowsLinksAndNamesTheirTarget(t *testing.T) {
	m := serveFiles(t)
	file := m.put("12345", "file")
	must(t, os.Chmod(file, 0o640))
	must(t, os.Chtimes(file, time.Unix(0, 0), time.Unix(1_700_000_000, 5000)))
	must(t, os.Symlink("file", m.path("to-file")))
	must(t, os.Symlink(m.dir, m.path("to-directory")))
	must(t, os.Symlink("missing", m.path("dangling")))
	must(t, syscall.Mkfifo(m.path("fifo"), 0o600))
	for _, one := range []struct{ name, kind, target, permissions string }{
		{"file", typeFile, "", "-rw-r-----"},
		{"to-file", typeFile, file, "lrwxrwxrwx"},
		{"to-directory", typeDirectory, m.dir, "lrwxrwxrwx"},
		{"dangling", typeSymlink, m.path("missing"), "lrwxrwxrwx"},
		{"fifo", typeUnspecified, "", "prw-------"},
	} {
		var got entryResponse
		if code := m.call("Stat", "", map[string]any{"path": m.path(one.name)}, &got); code != "" {
			t.Fatalf("%s: %s", one.name, code)
		}
		if e := got.Entry; e.Type != one.kind || e.SymlinkTarget != one.target || e.Permissions != one.permissions || e.Name != one.name {
			t.Errorf("%s: %+v", one.name, e)
		}
	}
	var got entryResponse
	m.call("Stat", "", map[string]any{"path": file}, &got)
	if e := got.Entry; e.Size != 5 || e.Mode != 0o640 || e.Owner != "root" || e.ModifiedTime != "2023-11-14T22:13:20.000005Z" {
		t.Errorf("file: %+v", e)
	}
	for path, want := range map[string]string{
		m.path("none"): "not_found", file + "/x": "invalid_argument", "a\x00b": "invalid_argument",
		strings.Repeat("/x", 3000): "invalid_argument", "/" + strings.Repeat("n", 300): "invalid_argument",
	} {
		if code := m.call("Stat", "", map[string]any{"path": path}, nil); code != want {
			t.Errorf("%.30q: %q, expected %q", path, code, want)
		}
	}
}

func TestPermissionsArePrintedAsByLs(t *testing.T) {
	for mode, want := range map[uint32]string{
		syscall.S_IFDIR | 0o1777: "drwxrwxrwt", syscall.S_IFDIR | 0o1776: "drwxrwxrwT", syscall.S_IFREG | 0o4755: "-rwsr-xr-x",
		syscall.S_IFREG | 0o2644: "-rw-r-Sr--", syscall.S_IFCHR | 0o620: "crw--w----", syscall.S_IFSOCK: "s---------",
	} {
		if got := permissions(mode); got != want {
			t.Errorf("%o: %s, expected %s", mode, got, want)
		}
	}
}

func TestTimesThatNoCalendarHasAreTheNearestThatOneHas(t *testing.T) {
	for seconds, want := range map[int64]string{
		1 << 62: "9999-12-31T23:59:59Z", -1 << 62: "0001-01-01T00:00:00Z", 0: "1970-01-01T00:00:00Z",
	} {
		if got := timestamp(syscall.Timespec{Sec: seconds}); got != want {
			t.Errorf("%d: %s", seconds, got)
		}
	}
}

func (m *machine) list(path string, depth int) ([]string, string) {
	m.t.Helper()
	var got struct{ Entries []entry }
	code := m.call("ListDir", "", map[string]any{"path": path, "depth": depth}, &got)
	var paths []string
	for _, one := range got.Entries {
		paths = append(paths, strings.TrimPrefix(one.Path, path+"/"))
	}
	return paths, code
}

func TestListingGoesAsDeepAsAsked(t *testing.T) {
	m := serveFiles(t)
	m.put("", "b/c/d/e")
	m.put("", "a")
	must(t, os.Symlink("b", m.path("link")))
	for depth, want := range map[int][]string{
		0: {"a", "b", "link"}, 1: {"a", "b", "link"}, 2: {"a", "b", "b/c", "link"}, 9: {"a", "b", "b/c", "b/c/d", "b/c/d/e", "link"},
	} {
		if got, code := m.list(m.dir, depth); code != "" || !slices.Equal(got, want) {
			t.Errorf("depth %d: %v %s", depth, got, code)
		}
	}
	if got, _ := m.list(m.path("link"), 1); !slices.Equal(got, []string{"c"}) {
		t.Errorf("through a link: %v", got)
	}
	for path, want := range map[string]string{"a": "invalid_argument", "none": "not_found"} {
		if _, code := m.list(m.path(path), 1); code != want {
			t.Errorf("%s: %q", path, code)
		}
	}
	if _, code := m.list(m.dir, -1); code != "invalid_argument" {
		t.Errorf("depth -1: %q", code)
	}
}

func TestListingLeavesOutWhatTheUserMayNotLookInto(t *testing.T) {
	m := serveFiles(t)
	m.put("", "closed/inside")
	must(t, os.Chmod(m.path("closed"), 0o700))
	m.put("", "open")
	if got, code := m.list(m.dir, 5); code != "" || !slices.Equal(got, []string{"closed", "open"}) {
		t.Errorf("%v %s", got, code)
	}
}

func TestNamesThatAreNoTextAreListedAndRead(t *testing.T) {
	m := serveFiles(t)
	for _, name := range []string{"a\xffb", "line\nbreak", "quote\"back\\slash", "tab\t\x01", "\u2028", "ü", " ", "-rf"} {
		m.put(name, name)
		if got := m.read(m.path(name), ""); string(got.body) != name {
			t.Errorf("%q: %d %q", name, got.status, got.body)
		}
	}
	got, code := m.list(m.dir, 1)
	if code != "" || len(got) != 8 || !slices.Contains(got, "a\ufffdb") || !slices.Contains(got, "line\nbreak") {
		t.Errorf("%q %s", got, code)
	}
}

func TestAListingThatIsTooLargeIsRefused(t *testing.T) {
	m := serveFiles(t)
	// Every name takes many bytes as JSON, so that some thousand files suffice.
	must(t, os.Mkdir(m.path(strings.Repeat("\x01", 200)), 0o777))
	deep := m.path(strings.Repeat("\x01", 200), strings.Repeat("\x01", 200))
	must(t, os.Mkdir(deep, 0o777))
	for i := range 3000 {
		file, err := os.Create(filepath.Join(deep, strings.Repeat("\x01", 245)+strconv.Itoa(i)))
		must(t, err)
		file.Close()
	}
	if _, code := m.list(m.dir, 1); code != "" {
		t.Errorf("a part of it: %s", code)
	}
	if _, code := m.list(m.dir, 3); code != "resource_exhausted" {
		t.Errorf("all of it: %q", code)
	}
}

func TestMoveMakesParentsAndReplacesFiles(t *testing.T) {
	m := serveFiles(t)
	for _, path := range []string{"one", "two", "three"} {
		if got := m.write(m.path(path), "", path); got.status != 200 {
			t.Fatalf("%s", got.body)
		}
	}
	var moved entryResponse
	if code := m.call("Move", "", map[string]any{"source": m.path("one"), "destination": m.path("new/place")}, &moved); code != "" {
		t.Fatal(code)
	}
	if moved.Entry.Path != m.path("new/place") || m.content(m.path("new/place")) != "one" || m.ownerOf(m.path("new")) != strangerID {
		t.Errorf("%+v", moved.Entry)
	}
	if code := m.call("Move", "", map[string]any{"source": m.path("two"), "destination": m.path("three")}, nil); code != "" || m.content(m.path("three")) != "two" {
		t.Errorf("replace: %q", code)
	}
	for _, one := range []struct{ source, destination, want string }{
		{"none", "x", "not_found"}, {"three", "new", "invalid_argument"}, {"new", "new/inside", "invalid_argument"},
	} {
		if code := m.call("Move", "", map[string]any{"source": m.path(one.source), "destination": m.path(one.destination)}, nil); code != one.want {
			t.Errorf("%s to %s: %q", one.source, one.destination, code)
		}
	}
}

func TestMoveToAnotherFileSystemCopiesAll(t *testing.T) {
	m := serveFiles(t)
	other, err := os.MkdirTemp("/dev/shm", "filesystem-test-")
	if err != nil {
		t.Skip("skip: no second file system: " + err.Error())
	}
	defer os.RemoveAll(other)
	must(t, os.Chmod(other, 0o777))
	var here, there syscall.Stat_t
	must(t, syscall.Stat(m.dir, &here))
	must(t, syscall.Stat(other, &there))
	if here.Dev == there.Dev {
		t.Skip("skip: no second file system")
	}
	m.put("content", "tree/a/file")
	must(t, os.Symlink("a/file", m.path("tree/link")))
	must(t, syscall.Mkfifo(m.path("tree/fifo"), 0o600))
	must(t, os.Chmod(m.path("tree/a/file"), 0o751))
	must(t, os.Chtimes(m.path("tree/a/file"), time.Unix(5, 0), time.Unix(7, 0)))
	must(t, os.Chown(m.path("tree/a/file"), 54321, 54321))
	if code := m.call("Move", "root", map[string]any{"source": m.path("tree"), "destination": other + "/x/tree"}, nil); code != "" {
		t.Fatal(code)
	}
	info, err := os.Lstat(other + "/x/tree/a/file")
	must(t, err)
	if m.content(other+"/x/tree/link") != "content" || info.Mode() != 0o751 || info.ModTime().Unix() != 7 || m.ownerOf(other+"/x/tree/a/file") != 54321 {
		t.Errorf("copied: %v %v", info.Mode(), info.ModTime())
	}
	if _, err := os.Lstat(m.path("tree")); !os.IsNotExist(err) {
		t.Errorf("the source is there still: %v", err)
	}
}

func TestRemoveTakesTreesAndNotWhatLinksLeadTo(t *testing.T) {
	m := serveFiles(t)
	m.put("keep", "kept/file")
	m.put("", "tree/a/b/file")
	m.put("", "tree/file")
	must(t, os.Symlink(m.path("kept"), m.path("tree/link")))
	for _, path := range []string{"tree", "tree", "none", "none/below"} {
		if code := m.call("Remove", "root", map[string]any{"path": m.path(path)}, nil); code != "" {
			t.Errorf("%s: %s", path, code)
		}
	}
	if _, err := os.Lstat(m.path("tree")); !os.IsNotExist(err) || m.content(m.path("kept/file")) != "keep" {
		t.Errorf("tree: %v", err)
	}
	if code := m.call("Remove", "root", map[string]any{"path": "/x/.."}, nil); code != "invalid_argument" {
		t.Errorf("root directory: %q", code)
	}
}

func TestRemoveTakesTreesThatAreDeeperThanAPathIsLong(t *testing.T) {
	m := serveFiles(t)
	must(t, os.Mkdir(m.path("deep"), 0o777))
	fd, err := syscall.Open(m.path("deep"), syscall.O_RDONLY, 0)
	must(t, err)
	for range 3000 {
		must(t, syscall.Mkdirat(fd, "n", 0o777))
		next, err := syscall.Openat(fd, "n", syscall.O_RDONLY, 0)
		must(t, err)
		syscall.Close(fd)
		fd = next
	}
	syscall.Close(fd)
	if code := m.call("Remove", "root", map[string]any{"path": m.path("deep")}, nil); code != "" {
		t.Fatal(code)
	}
	if _, err := os.Lstat(m.path("deep")); !os.IsNotExist(err) {
		t.Errorf("it is there still: %v", err)
	}
}
