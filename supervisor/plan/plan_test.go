package plan

import (
	"encoding/json"
	"errors"
	"testing"

	"cofferdam/supervisor/failure"
)

const good = `{
  "version": 1, "id": "i0123456789", "driver": "runc", "stateDir": "/s", "directory": "/s/machines/i0123456789",
  "root": {"mountPoint": "/run/cofferdam", "lower": ["/a", "/b"], "disk": {"blank": "/s/blank", "sizeMiB": 64}, "idMap": null},
  "cgroup": {"name": "cofferdam/01234567/i0123456789", "limits": {"memoryMiB": 64, "cpus": 0.5, "pids": 64}, "perCommand": true},
  "runtime": {"start": ["/bin/true"], "remove": [], "environment": {}, "log": ""},
  "setup": {}, "lease": {"lifetimeMs": 1, "idleTimeoutMs": 0, "detached": false, "ownerGraceMs": 1}, "startTimeoutMs": 1
}`

// changed answers the good plan with one value replaced.
func changed(t *testing.T, value any, path ...string) []byte {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal([]byte(good), &whole); err != nil {
		t.Fatal(err)
	}
	at := whole
	for _, name := range path[:len(path)-1] {
		at = at[name].(map[string]any)
	}
	at[path[len(path)-1]] = value
	raw, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestGoodPlanIsTaken(t *testing.T) {
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
}

func TestBadPlanIsRefusedByField(t *testing.T) {
	for _, one := range []struct {
		value any
		path  []string
	}{
		{2, []string{"version"}},
		{"../x", []string{"id"}},
		{"/s/machines/other", []string{"directory"}},
		{"relative", []string{"root", "mountPoint"}},
		{"/", []string{"root", "mountPoint"}},
		{[]string{}, []string{"root", "lower"}},
		{[]string{"/a/../b"}, []string{"root", "lower"}},
		{"/s/\u0000", []string{"root", "disk", "blank"}},
		{map[string]int{"hostId": 0, "size": 1}, []string{"root", "idMap"}},
		{"cofferdam/01234567/other", []string{"cgroup", "name"}},
		{"../i0123456789", []string{"cgroup", "name"}},
		{"i0123456789", []string{"cgroup", "name"}},
		{0, []string{"cgroup", "limits", "memoryMiB"}},
		{0, []string{"cgroup", "limits", "cpus"}},
		{-1, []string{"cgroup", "limits", "pids"}},
		{[]string{"runc"}, []string{"runtime", "start"}},
		{[]int{}, []string{"setup"}},
		{0, []string{"lease", "lifetimeMs"}},
		{true, []string{"surprise"}},
	} {
		_, err := Parse(changed(t, one.value, one.path...))
		var refused *failure.Failure
		if !errors.As(err, &refused) || refused.Code != failure.Invalid {
			t.Errorf("%v = %v: %v", one.path, one.value, err)
		}
	}
}
