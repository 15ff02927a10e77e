package filesystem

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFilesAreWrittenAndRead(t *testing.T) {
	m := serveFiles(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, content := range map[string]string{"new/empty": "", "new/small": "x", "new/large": string(large)} {
		wrote := m.write(m.path(name), "", content)
		var files []map[string]any
		if err := json.Unmarshal(wrote.body, &files); err != nil || wrote.status != 200 || len(files) != 1 || len(files[0]) != 3 ||
			files[0]["path"] != m.path(name) || files[0]["name"] != name[4:] || files[0]["type"] != "file" {
			t.Errorf("%s: %d %s", name, wrote.status, wrote.body)
		}
		got := m.read(m.path(name), "")
		if got.status != 200 || string(got.body) != content || got.header.Get("Content-Length") != strconv.Itoa(len(content)) {
			t.Errorf("%s: %d, %d bytes", name, got.status, len(got.body))
		}
		if head := m.ask(http.MethodHead, at(m.path(name), ""), nil, nil); head.header.Get("Content-Length") != strconv.Itoa(len(content)) {
			t.Errorf("%s: %v", name, head.header)
		}
		if m.ownerOf(m.path(name)) != strangerID || m.ownerOf(m.path("new")) != strangerID {
			t.Errorf("%s: not the user's", name)
		}
	}
}

func TestAFileThatIsThereKeepsItselfAndLosesItsContent(t *testing.T) {
	m := serveFiles(t)
	path := m.put("a long content", "file")
	must(t, os.Chmod(path, 0o4666))
	must(t, os.Chmod(path, 0o666|os.ModeSetuid))
	must(t, os.Link(path, m.path("same")))
	if got := m.write(path, "", "short"); got.status != 200 {
		t.Fatalf("%s", got.body)
	}
	info, err := os.Lstat(path)
	must(t, err)
	if m.content(m.path("same")) != "short" || m.ownerOf(path) != 0 || info.Mode() != 0o666 {
		t.Errorf("%q %v", m.content(path), info.Mode())
	}
}

func TestANewFileGoesWhereADanglingLinkLeads(t *testing.T) {
	m := serveFiles(t)
	must(t, os.Symlink("new/file", m.path("link")))
	must(t, os.Symlink("loop", m.path("loop")))
	if got := m.write(m.path("link"), "", "x"); got.status != 200 || m.content(m.path("new/file")) != "x" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := m.write(m.path("loop"), "", "x"); got.status != 400 {
		t.Errorf("loop: %d %s", got.status, got.body)
	}
}

func TestWhatCannotBeReadOrWrittenIsRefused(t *testing.T) {
	m := serveFiles(t)
	m.put("", "file")
	must(t, syscall.Mkfifo(m.path("fifo"), 0o666))
	must(t, os.Chmod(m.path("fifo"), 0o666))
	listener, err := net.Listen("unix", m.path("socket"))
	must(t, err)
	defer listener.Close()
	for _, one := range []struct {
		path, user    string
		reads, writes int
	}{
		{m.dir, "", 400, 400}, {m.path("fifo"), "", 400, 400}, {m.path("socket"), "", 400, 400}, {"/dev/null", "root", 400, 400},
		{m.path("none"), "", 404, 200}, {m.path("file/x"), "", 400, 400}, {"/" + strings.Repeat("n", 300), "", 400, 400},
		{"a\x00b", "", 400, 400}, {strings.Repeat("/x", 3000), "", 400, 400}, {m.path("file"), "no-such-user", 401, 401},
		{"", "root", 400, 400}, {"/proc/self/mem", "root", 403, 403}, {"/proc/self/environ", "root", 403, 403},
	} {
		if got := m.read(one.path, one.user); got.status != one.reads || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("read %.40q: %d %s", one.path, got.status, got.body)
		}
		if got := m.write(one.path, one.user, "x"); got.status != one.writes {
			t.Errorf("write %.40q: %d %s", one.path, got.status, got.body)
		}
	}
	if got := m.read(m.path("nothing"), ""); string(got.body) != `{"code":404,"message":"path '`+m.path("nothing")+`' does not exist"}` {
		t.Errorf("%s", got.body)
	}
}

func TestFilesOfTheKernelAreReadThoughTheySayTheyAreEmpty(t *testing.T) {
	m := serveFiles(t)
	got := m.read("/proc/cpuinfo", "")
	if got.status != 200 || !bytes.Contains(got.body, []byte("processor")) || got.header.Get("Content-Length") == "" {
		t.Errorf("%d %.100q %v", got.status, got.body, got.header)
	}
	if got := m.ask(http.MethodGet, at("/proc/cpuinfo", ""), map[string]string{"Range": "bytes=0-8"}, nil); string(got.body) != "processor" {
		t.Errorf("%d %.100q", got.status, got.body)
	}
}

func TestRanges(t *testing.T) {
	m := serveFiles(t)
	path := m.put("0123456789", "file")
	for asked, want := range map[string]struct {
		status             int
		body, contentRange string
	}{
		"bytes=0-3": {206, "0123", "bytes 0-3/10"}, "bytes=7-": {206, "789", "bytes 7-9/10"}, "bytes=-2": {206, "89", "bytes 8-9/10"},
		"bytes=-99": {206, "0123456789", "bytes 0-9/10"}, "bytes=5-99": {206, "56789", "bytes 5-9/10"},
		"bytes=10-": {416, "", "bytes */10"}, "bytes=-0": {416, "", "bytes */10"}, "bytes=4-2": {416, "", "bytes */10"},
		"bytes=x": {416, "", "bytes */10"}, "bytes=99999999999999999999-": {416, "", "bytes */10"},
		"bytes=0-1,3-4": {200, "0123456789", ""}, "lines=1-2": {200, "0123456789", ""},
	} {
		got := m.ask(http.MethodGet, at(path, ""), map[string]string{"Range": asked}, nil)
		if got.status != want.status || got.header.Get("Content-Range") != want.contentRange {
			t.Errorf("%s: %d %q", asked, got.status, got.header.Get("Content-Range"))
		}
		if want.status < 300 && string(got.body) != want.body || want.status == 416 && !strings.Contains(got.message(), "range") {
			t.Errorf("%s: %q", asked, got.body)
		}
	}
	stale := map[string]string{"Range": "bytes=0-3", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}
	if got := m.ask(http.MethodGet, at(path, ""), stale, nil); got.status != 200 || string(got.body) != "0123456789" {
		t.Errorf("stale: %d %q", got.status, got.body)
	}
}

func TestReadsAreCompressedForWhoLikesThat(t *testing.T) {
	m := serveFiles(t)
	content := strings.Repeat("compressible ", 100_000)
	path := m.put(content, "file")
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate": "gzip", "br;q=1, gzip;q=0.5": "gzip", "gzip;q=0": "", "identity, gzip;q=0.5": "",
		"identity;q=0.5, gzip;q=0.5": "gzip", "*": "", "identity;q=0": "406", "gzip;q=0, identity;q=0": "406",
		"*;q=0": "406", "*;q=0, identity": "", "identity;q=0, *": "gzip", "gzip;q=zero": "", "br": "", "X-GZIP": "gzip",
	} {
		got := m.ask(http.MethodGet, at(path, ""), map[string]string{"Accept-Encoding": accept}, nil)
		if want == "406" {
			if got.status != 406 {
				t.Errorf("%q: %d", accept, got.status)
			}
			continue
		}
		body := io.Reader(bytes.NewReader(got.body))
		if want == "gzip" {
			if len(got.body) > len(content)/10 {
				t.Errorf("%q: %d bytes", accept, len(got.body))
			}
			unpacked, err := gzip.NewReader(body)
			must(t, err)
			body = unpacked
		}
		plain, err := io.ReadAll(body)
		if err != nil || string(plain) != content || got.header.Get("Content-Encoding") != want {
			t.Errorf("%q: %v, %d bytes, %q", accept, err, len(plain), got.header.Get("Content-Encoding"))
		}
	}
	ranged := map[string]string{"Accept-Encoding": "gzip", "Range": "bytes=0-11"}
	if got := m.ask(http.MethodGet, at(path, ""), ranged, nil); got.status != 206 || string(got.body) != "compressible" {
		t.Errorf("range: %d %q", got.status, got.body)
	}
	ranged["Accept-Encoding"] = "gzip, identity;q=0"
	if got := m.ask(http.MethodGet, at(path, ""), ranged, nil); got.status != 406 {
		t.Errorf("range without identity: %d", got.status)
	}
}

func TestUploadsMayBeCompressed(t *testing.T) {
	m := serveFiles(t)
	content := strings.Repeat("compressible ", 100_000)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := writer.Write([]byte(content))
	must(t, err)
	must(t, writer.Close())
	header := map[string]string{"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
	if got := m.ask(http.MethodPost, at(m.path("file"), ""), header, bytes.NewReader(packed.Bytes())); got.status != 200 || m.content(m.path("file")) != content {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := m.ask(http.MethodPost, at(m.path("half"), ""), header, bytes.NewReader(packed.Bytes()[:packed.Len()/2])); got.status != 400 {
		t.Errorf("half: %d %s", got.status, got.body)
	}
	if _, err := os.Lstat(m.path("half")); !os.IsNotExist(err) {
		t.Errorf("half a file was left: %v", err)
	}
	for coding, body := range map[string]string{"gzip": "no gzip", "br": "x"} {
		header["Content-Encoding"] = coding
		if got := m.ask(http.MethodPost, at(m.path("bad"), ""), header, strings.NewReader(body)); got.status != 400 {
			t.Errorf("%s: %d", coding, got.status)
		}
	}
}

// form is a body of parts, each with its content-disposition.
func form(t *testing.T, parts ...[2]string) (map[string]string, io.Reader) {
	t.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for _, part := range parts {
		to, err := writer.CreatePart(textproto.MIMEHeader{"Content-Disposition": {part[0]}})
		must(t, err)
		_, err = to.Write([]byte(part[1]))
		must(t, err)
	}
	must(t, writer.Close())
	return map[string]string{"Content-Type": writer.FormDataContentType()}, &body
}

func TestFormsNameTheWholePath(t *testing.T) {
	m := serveFiles(t)
	large := strings.Repeat("\r\n--almost", 100_000)
	header, body := form(t,
		[2]string{`form-data; name="file"; filename="` + m.path("a/one") + `"`, "1"},
		[2]string{`form-data; name="other"; filename="ignored"`, "x"},
		[2]string{`form-data; name="file"; filename="` + m.path("a/ü two") + `"`, large},
		[2]string{`form-data; name="file"; filename="` + m.path("a/../b/three") + `"`, ""},
	)
	got := m.ask(http.MethodPost, "/files", header, body)
	var files []written
	must(t, json.Unmarshal(got.body, &files))
	var paths []string
	for _, file := range files {
		paths = append(paths, file.Path)
	}
	if got.status != 200 || !slices.Equal(paths, []string{m.path("a/one"), m.path("a/ü two"), m.path("b/three")}) {
		t.Errorf("%d %v", got.status, paths)
	}
	if m.content(m.path("a/one")) != "1" || m.content(m.path("a/ü two")) != large || m.content(m.path("b/three")) != "" {
		t.Error("contents")
	}
}

func TestAFormsPathMayComeFromTheAddress(t *testing.T) {
	m := serveFiles(t)
	for _, disposition := range []string{`form-data; name="file"`, `form-data; name="file"; filename="elsewhere"`} {
		header, body := form(t, [2]string{disposition, disposition})
		if got := m.ask(http.MethodPost, at(m.path("here"), ""), header, body); got.status != 200 || m.content(m.path("here")) != disposition {
			t.Errorf("%s: %d %s", disposition, got.status, got.body)
		}
	}
}

func TestFormsThatAreWrongAreRefused(t *testing.T) {
	m := serveFiles(t)
	same := `form-data; name="file"; filename="` + m.path("same") + `"`
	for name, parts := range map[string][][2]string{
		"no name": {{`form-data; name="file"`, "x"}}, "twice": {{same, "x"}, {same, "y"}}, "no form": {{`attachment`, "x"}},
		"a directory": {{`form-data; name="file"; filename="` + m.dir + `"`, "x"}},
	} {
		header, body := form(t, parts...)
		if got := m.ask(http.MethodPost, "/files", header, body); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for kind, body := range map[string]string{
		"multipart/form-data": "x", "multipart/form-data; boundary=b": "no part", "text/plain": "x", "": "x",
		"multipart/form-data; boundary=c": "--c\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + m.path("cut") + "\"\r\n\r\nhalf",
	} {
		if got := m.ask(http.MethodPost, "/files", map[string]string{"Content-Type": kind}, strings.NewReader(body)); got.status != 400 {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
	}
	if _, err := os.Lstat(m.path("cut")); !os.IsNotExist(err) {
		t.Errorf("half a file was left: %v", err)
	}
	if got := m.ask(http.MethodPost, "/files", octets, strings.NewReader("x")); got.status != 400 {
		t.Errorf("no path: %d", got.status)
	}
}

func TestMetadataIsReplacedAtEachWrite(t *testing.T) {
	m := serveFiles(t)
	path := m.path("file")
	header := map[string]string{"Content-Type": "application/octet-stream", "X-Metadata-Kind": "a b", "X-Metadata-Old": "1"}
	got := m.ask(http.MethodPost, at(path, ""), header, strings.NewReader("x"))
	if got.status == http.StatusNotImplemented {
		t.Skip("skip: " + got.message())
	}
	if got.status != 200 || !bytes.Contains(got.body, []byte(`"metadata":{"kind":"a b","old":"1"}`)) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	value := make([]byte, 10)
	if n, err := syscall.Getxattr(path, "user.e2b.kind", value); err != nil || string(value[:n]) != "a b" {
		t.Errorf("attribute: %v", err)
	}
	delete(header, "X-Metadata-Old")
	header["X-Metadata-Kind"] = "c"
	m.ask(http.MethodPost, at(path, ""), header, strings.NewReader("x"))
	var told entryResponse
	m.call("Stat", "", map[string]any{"path": path}, &told)
	if len(told.Entry.Metadata) != 1 || told.Entry.Metadata["kind"] != "c" {
		t.Errorf("%v", told.Entry.Metadata)
	}
	m.write(path, "", "y")
	told = entryResponse{}
	m.call("Stat", "", map[string]any{"path": path}, &told)
	if told.Entry.Metadata != nil {
		t.Errorf("after a write without: %v", told.Entry.Metadata)
	}
}

func TestMetadataThatTheFileSystemDoesNotKeepIsRefused(t *testing.T) {
	m := serveFiles(t)
	must(t, os.Mkdir(m.path("plain"), 0o777))
	if err := syscall.Mount("none", m.path("plain"), "ramfs", 0, ""); err != nil {
		t.Skip("skip: no ramfs: " + err.Error())
	}
	defer func() { must(t, syscall.Unmount(m.path("plain"), 0)) }()
	header := map[string]string{"Content-Type": "application/octet-stream", "X-Metadata-Kind": "x"}
	if got := m.ask(http.MethodPost, at(m.path("plain/file"), "root"), header, strings.NewReader("x")); got.status != 501 || !strings.Contains(got.message(), "metadata") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := os.Lstat(m.path("plain/file")); !os.IsNotExist(err) {
		t.Errorf("a file was left: %v", err)
	}
	if got := m.write(m.path("plain/file"), "root", "x"); got.status != 200 {
		t.Errorf("without metadata: %d %s", got.status, got.body)
	}
}

func TestAFullDiskIsToldAndNothingHalfIsLeft(t *testing.T) {
	m := serveFiles(t)
	must(t, os.Mkdir(m.path("small"), 0o777))
	if err := syscall.Mount("none", m.path("small"), "tmpfs", 0, "size=64k,mode=777"); err != nil {
		t.Skip("skip: no tmpfs: " + err.Error())
	}
	defer func() { must(t, syscall.Unmount(m.path("small"), 0)) }()
	if got := m.write(m.path("small/file"), "", strings.Repeat("x", 8<<20)); got.status != 507 || !strings.Contains(got.message(), "disk space") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := os.Lstat(m.path("small/file")); !os.IsNotExist(err) {
		t.Errorf("half a file was left: %v", err)
	}
	if got := m.write(m.path("small/file"), "", "fits"); got.status != 200 {
		t.Errorf("after: %d %s", got.status, got.body)
	}
}

func TestAnUploadThatBreaksOffLeavesNoNewFile(t *testing.T) {
	m := serveFiles(t)
	reader, writer := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, "http://machine"+at(m.path("new"), ""), reader)
	must(t, err)
	request.Header.Set("Content-Type", "application/octet-stream")
	over := make(chan struct{})
	go func() {
		defer close(over)
		if _, err := m.client.Do(request); err == nil {
			t.Error("a broken upload was answered")
		}
	}()
	_, err = writer.Write(bytes.Repeat([]byte("x"), 1<<20))
	must(t, err)
	for {
		if _, err := os.Lstat(m.path("new")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	writer.CloseWithError(io.ErrUnexpectedEOF)
	<-over
	for range 1000 {
		if _, err := os.Lstat(m.path("new")); os.IsNotExist(err) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("half a file was left")
}
