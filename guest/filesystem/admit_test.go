package filesystem

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func sign(path, operation, user string, expires int64) url.Values {
	text := path + ":" + operation + ":" + user + ":" + token
	query := url.Values{"path": {path}}
	if user != "" {
		query.Set("username", user)
	}
	if expires != 0 {
		text += ":" + strconv.FormatInt(expires, 10)
		query.Set("signature_expiration", strconv.FormatInt(expires, 10))
	}
	digest := sha256.Sum256([]byte(text))
	query.Set("signature", "v1_"+strings.TrimRight(base64.StdEncoding.EncodeToString(digest[:]), "="))
	return query
}

func TestTenantsNeedTheTokenOrASignature(t *testing.T) {
	m := serveFiles(t)
	m.isTenant.Store(true)
	path := m.put("content", "file")
	soon, past := time.Now().Unix()+1000, time.Now().Unix()-1000
	changed := sign(path, "read", "", soon)
	changed.Set("signature_expiration", strconv.FormatInt(soon+1, 10))
	renamed := sign(path, "read", "", 0)
	renamed.Set("username", "root")
	moved := sign(path, "read", "", 0)
	moved.Set("path", "/etc/shadow")
	for name, one := range map[string]struct {
		query  url.Values
		status int
		body   string
	}{
		"signed":             {sign(path, "read", "", 0), 200, "content"},
		"signed for a while": {sign(path, "read", "", soon), 200, "content"},
		"signed for a user":  {sign(path, "read", "root", soon), 200, "content"},
		"expired":            {sign(path, "read", "", past), 401, `{"code":401,"message":"signature is already expired"}`},
		"for writing":        {sign(path, "write", "", 0), 401, `{"code":401,"message":"invalid signature"}`},
		"prolonged":          {changed, 401, `{"code":401,"message":"invalid signature"}`},
		"of another user":    {renamed, 401, `{"code":401,"message":"invalid signature"}`},
		"of another path":    {moved, 401, `{"code":401,"message":"invalid signature"}`},
		"unsigned":           {url.Values{"path": {path}}, 401, `{"code":401,"message":"missing signature query parameter"}`},
	} {
		if got := m.ask(http.MethodGet, "/files?"+one.query.Encode(), nil, nil); got.status != one.status || string(got.body) != one.body {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := m.ask(http.MethodGet, at(path, ""), map[string]string{"X-Access-Token": token}, nil); got.status != 200 {
		t.Errorf("token: %d", got.status)
	}
	if got := m.ask(http.MethodGet, "/files?"+sign(path, "read", "", 0).Encode(), map[string]string{"X-Access-Token": "wrong"}, nil); got.status != 401 {
		t.Errorf("wrong token: %d", got.status)
	}
	header := map[string]string{"Content-Type": "application/octet-stream", "Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("root:"))}
	if got := m.ask(http.MethodPost, "/files?"+sign(m.path("new"), "write", "", 0).Encode(), header, strings.NewReader("x")); got.status != 200 || m.ownerOf(m.path("new")) != strangerID {
		t.Errorf("a header changed a signature's user: %d %s", got.status, got.body)
	}
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=1-2", int64(10))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size &= 1<<62 - 1
		part, _, ok := parseRange(header, size)
		if ok && (part.offset < 0 || part.length < 0 || part.offset+part.length > size) {
			t.Fatalf("%q of %d: %+v", header, size, part)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add(`form-data; name="file"; filename="/a/b"`, "")
	f.Add(`form-data; name=file; filename*=UTF-8''%2f%ff%00`, "~/x")
	service := &Service{}
	user := &upload{service: service}
	f.Fuzz(func(t *testing.T, disposition, named string) {
		user.named = named
		name, isFile, wrong := user.nameOf(disposition)
		isSound := wrong == nil && name != "" && (named == "" || name == named)
		if isFile && !isSound {
			t.Fatalf("%q with %q: %q %v %v", disposition, named, name, isFile, wrong)
		}
	})
}

func FuzzAccepted(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		lower := strings.ToLower(header)
		if parseAccepted(header).gzip && !strings.Contains(lower, "gzip") && !strings.Contains(lower, "*") {
			t.Fatalf("%q asks for no gzip", header)
		}
	})
}
