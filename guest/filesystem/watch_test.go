package filesystem

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// message is any message of a watch, or its end.
type message struct {
	Start      *struct{}
	Keepalive  *struct{}
	Filesystem *event
	Error      *struct{ Code, Message string }
	isEnd      bool
}

// stream is a watch that is running.
type stream struct {
	t      *testing.T
	body   io.Reader
	cancel context.CancelFunc
}

func (m *machine) watch(message map[string]any, header map[string]string) *stream {
	m.t.Helper()
	body, err := json.Marshal(message)
	must(m.t, err)
	envelope := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body)))
	ctx, cancel := context.WithCancel(context.Background())
	m.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://machine/filesystem.Filesystem/WatchDir", bytes.NewReader(append(envelope, body...)))
	must(m.t, err)
	request.Header.Set("Content-Type", "application/connect+json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := m.client.Do(request)
	must(m.t, err)
	m.t.Cleanup(func() { response.Body.Close() })
	return &stream{m.t, response.Body, cancel}
}

func (s *stream) next() message {
	s.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(s.body, head[:]); err != nil {
		s.t.Fatalf("the watch broke off: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(s.body, body)
	must(s.t, err)
	told := message{isEnd: head[0] == 2}
	must(s.t, json.Unmarshal(body, &told))
	return told
}

func (s *stream) started() *stream {
	s.t.Helper()
	if first := s.next(); first.Start == nil {
		s.t.Fatalf("no start: %+v", first)
	}
	return s
}

// until takes events until there was one of this kind and name.
func (s *stream) until(kind, name string) []event {
	s.t.Helper()
	var all []event
	for {
		told := s.next()
		if told.isEnd {
			s.t.Fatalf("ended before %s %s: %+v after %v", kind, name, told.Error, all)
		}
		if told.Filesystem == nil {
			continue
		}
		all = append(all, *told.Filesystem)
		if told.Filesystem.Type == kind && told.Filesystem.Name == name {
			return all
		}
	}
}

func TestAWatchTellsWhatHappens(t *testing.T) {
	m := serveFiles(t)
	m.put("", "old")
	m.put("", "below/quiet")
	watch := m.watch(map[string]any{"path": m.dir}, nil).started()
	m.put("", "below/unseen")
	must(t, os.Rename(m.path("old"), m.path("new")))
	must(t, os.Chmod(m.path("new"), 0o600))
	must(t, os.WriteFile(m.path("new"), []byte("x"), 0o600))
	must(t, os.Remove(m.path("new")))
	must(t, os.Mkdir(m.path("end"), 0o777))
	var got []event
	for _, one := range watch.until(eventCreate, "end") {
		// How often a write is told depends on when the events are taken.
		if told := (event{Name: one.Name, Type: one.Type}); len(got) == 0 || got[len(got)-1] != told {
			got = append(got, told)
		}
	}
	want := []event{
		{Name: "old", Type: eventRename}, {Name: "new", Type: eventCreate}, {Name: "new", Type: eventChmod},
		{Name: "new", Type: eventWrite}, {Name: "new", Type: eventRemove}, {Name: "end", Type: eventCreate},
	}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %v, expected %v", i, got[i], want[i])
		}
	}
}

func TestARecursiveWatchFollowsNewAndMovedDirectories(t *testing.T) {
	m := serveFiles(t)
	m.put("", "a/b/file")
	watch := m.watch(map[string]any{"path": m.dir, "recursive": true}, nil).started()
	m.put("x", "a/b/file")
	watch.until(eventWrite, "a/b/file")
	m.put("x", "new/deep/er/file")
	created := map[string]int{}
	for _, one := range watch.until(eventCreate, "new/deep/er/file") {
		if one.Type == eventCreate {
			created[one.Name]++
		}
	}
	for _, name := range []string{"new", "new/deep", "new/deep/er", "new/deep/er/file"} {
		if created[name] != 1 {
			t.Errorf("%s was created %d times", name, created[name])
		}
	}
	must(t, os.Rename(m.path("new"), m.path("a/moved")))
	watch.until(eventCreate, "a/moved")
	m.put("y", "a/moved/deep/er/file")
	watch.until(eventWrite, "a/moved/deep/er/file")
	must(t, os.RemoveAll(m.path("a")))
	watch.until(eventRemove, "a")
	m.put("", "a/again")
	watch.until(eventCreate, "a/again")
}

func TestFilesOfNewDirectoriesAreToldOnce(t *testing.T) {
	m := serveFiles(t)
	watch := m.watch(map[string]any{"path": m.dir, "recursive": true}, nil).started()
	const many = 200
	for i := range many {
		m.put("", strconv.Itoa(i)+"/sub/file")
	}
	m.put("", "end")
	created := map[string]int{}
	for _, one := range watch.until(eventCreate, "end") {
		if one.Type == eventCreate {
			created[one.Name]++
		}
	}
	for i := range many {
		if name := strconv.Itoa(i) + "/sub/file"; created[name] != 1 {
			t.Errorf("%s was created %d times", name, created[name])
		}
	}
}

func TestEventsCarryEntriesWhenAsked(t *testing.T) {
	m := serveFiles(t)
	watch := m.watch(map[string]any{"path": m.dir, "includeEntry": true}, nil).started()
	m.put("content", "file")
	events := watch.until(eventWrite, "file")
	last := events[len(events)-1]
	if last.Entry == nil || last.Entry.Path != m.path("file") || last.Entry.Size != 7 {
		t.Errorf("%+v", last.Entry)
	}
}

func TestWhatIsNoDirectoryIsNotWatched(t *testing.T) {
	m := serveFiles(t)
	m.put("", "file")
	for path, want := range map[string]string{"file": "invalid_argument", "none": "not_found"} {
		if end := m.watch(map[string]any{"path": m.path(path)}, nil).next(); !end.isEnd || end.Error == nil || end.Error.Code != want {
			t.Errorf("%s: %+v", path, end.Error)
		}
		if code := m.call("CreateWatcher", "", map[string]any{"path": m.path(path)}, nil); code != want {
			t.Errorf("%s: %q", path, code)
		}
	}
}

func TestAWatchEndsWithItsDirectory(t *testing.T) {
	m := serveFiles(t)
	for kind, end := range map[string]func(path string) error{
		eventRemove: os.Remove, eventRename: func(path string) error { return os.Rename(path, path+".away") },
	} {
		must(t, os.Mkdir(m.path("here"), 0o777))
		watch := m.watch(map[string]any{"path": m.path("here"), "recursive": true}, nil).started()
		must(t, end(m.path("here")))
		watch.until(kind, ".")
		if last := watch.next(); !last.isEnd || last.Error == nil || last.Error.Code != "not_found" {
			t.Errorf("%s: %+v", kind, last)
		}
	}
}

func TestAWatchKeepsItselfAliveAndEndsInTime(t *testing.T) {
	m := serveFiles(t)
	header := map[string]string{"Keepalive-Ping-Interval": "1", "Connect-Timeout-Ms": "1500"}
	watch := m.watch(map[string]any{"path": m.dir}, header).started()
	if told := watch.next(); told.Keepalive == nil {
		t.Errorf("no sign of life: %+v", told)
	}
	if end := watch.next(); !end.isEnd || end.Error == nil || end.Error.Code != "deadline_exceeded" {
		t.Errorf("%+v", end.Error)
	}
}

func TestAReaderThatIsTooSlowIsToldThatEventsAreLost(t *testing.T) {
	m := serveFiles(t)
	watch := m.watch(map[string]any{"path": m.dir}, nil).started()
	// Nobody reads: the connection fills, and then what waits for it.
	long := strings.Repeat("n", 200)
	from, to := m.put("", long+"0"), m.path(long+"1")
	for range 40_000 {
		must(t, os.Rename(from, to))
		from, to = to, from
	}
	for {
		if told := watch.next(); told.isEnd {
			if told.Error == nil || told.Error.Code != "resource_exhausted" {
				t.Errorf("%+v", told.Error)
			}
			return
		}
	}
}

func TestPolledWatchesKeepEventsUntilAsked(t *testing.T) {
	m := serveFiles(t)
	var made watcherRequest
	if code := m.call("CreateWatcher", "", map[string]any{"path": m.dir, "recursive": true}, &made); code != "" {
		t.Fatal(code)
	}
	ask := map[string]any{"watcherId": made.WatcherID}
	var got eventsResponse
	if code := m.call("GetWatcherEvents", "", ask, &got); code != "" || len(got.Events) != 0 {
		t.Fatalf("%s %v", code, got.Events)
	}
	m.put("", "a/file")
	seen := map[string]bool{}
	for !seen["a/file"] {
		got = eventsResponse{}
		if code := m.call("GetWatcherEvents", "", ask, &got); code != "" {
			t.Fatal(code)
		}
		for _, one := range got.Events {
			seen[one.Name] = true
		}
		time.Sleep(time.Millisecond)
	}
	if code := m.call("RemoveWatcher", "", ask, nil); code != "" {
		t.Error(code)
	}
	for _, method := range []string{"GetWatcherEvents", "RemoveWatcher"} {
		if code := m.call(method, "", ask, nil); code != "not_found" {
			t.Errorf("%s: %q", method, code)
		}
	}
}

func TestAPolledWatchThatNobodyAsksEndsWhenItIsFull(t *testing.T) {
	m := serveFiles(t)
	var made watcherRequest
	m.call("CreateWatcher", "", map[string]any{"path": m.dir}, &made)
	for i := range maxWaitingEvents {
		m.put("", "file")
		must(t, os.Rename(m.path("file"), m.path("file-"+strconv.Itoa(i%7))))
	}
	total := 0
	for {
		var got eventsResponse
		code := m.call("GetWatcherEvents", "", map[string]any{"watcherId": made.WatcherID}, &got)
		if code == "resource_exhausted" {
			break
		}
		if code != "" || total > maxWaitingEvents {
			t.Fatalf("%q after %d events", code, total)
		}
		total += len(got.Events)
		time.Sleep(10 * time.Millisecond)
	}
}

func TestThereAreOnlySoManyWatches(t *testing.T) {
	m := serveFiles(t)
	ids := []string{}
	for {
		var made watcherRequest
		if code := m.call("CreateWatcher", "", map[string]any{"path": m.dir}, &made); code != "" {
			if code != "resource_exhausted" || len(ids) != maxWatches {
				t.Errorf("%q after %d", code, len(ids))
			}
			break
		}
		ids = append(ids, made.WatcherID)
	}
	for _, id := range ids {
		m.call("RemoveWatcher", "", map[string]any{"watcherId": id}, nil)
	}
	// A client that leaves gives its place back.
	for range 2 * maxWatches {
		watch := m.watch(map[string]any{"path": m.dir}, nil)
		for first := watch.next(); first.Start == nil; first = watch.next() {
			if !first.isEnd || first.Error.Code != "resource_exhausted" {
				t.Fatalf("%+v", first)
			}
			watch = m.watch(map[string]any{"path": m.dir}, nil)
		}
		watch.cancel()
	}
}

func TestAWatchSeesWithItsUsersEyes(t *testing.T) {
	m := serveFiles(t)
	m.put("", "closed/file")
	must(t, os.Chmod(m.path("closed"), 0o700))
	header := map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(stranger+":"))}
	watch := m.watch(map[string]any{"path": m.dir, "recursive": true}, header).started()
	m.put("", "closed/more")
	m.put("", "end")
	for _, one := range watch.until(eventCreate, "end") {
		if one.Name != "end" {
			t.Errorf("%+v", one)
		}
	}
}

func TestThreadsThatActedAreCleanAgain(t *testing.T) {
	m := serveFiles(t)
	for range 200 {
		if got := m.write(m.path("file"), "", "x"); got.status != 200 {
			t.Fatalf("%s", got.body)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		if !bytes.Contains(status, []byte("\nUid:\t0\t0\t0\t0\n")) || !bytes.Contains(status, []byte("\nGid:\t0\t0\t0\t0\n")) {
			t.Errorf("a thread is somebody else still:\n%s", status)
		}
	}
}
