package users

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRootAndNumbersAreAlwaysKnown(t *testing.T) {
	root, err := Lookup("root")
	if err != nil || root.UID != 0 || root.Home == "" {
		t.Fatalf("root: %+v %v", root, err)
	}
	byNumber, err := Lookup("0")
	if err != nil || byNumber.Name != "root" {
		t.Fatalf("0: %+v %v", byNumber, err)
	}
	stranger, err := Lookup("54321")
	if err != nil || stranger.UID != 54321 || stranger.GID != 54321 || stranger.Home != "/" {
		t.Fatalf("54321: %+v %v", stranger, err)
	}
	if Name(0) != "root" || Name(54321) != "54321" || GroupName(54321) != "54321" {
		t.Fatalf("names: %q %q %q", Name(0), Name(54321), GroupName(54321))
	}
}

func TestWhatIsNoUserIsUnknown(t *testing.T) {
	for _, name := range []string{"", "no-such-user", "-1", "4294967295", "99999999999", "a:b", "a\x00", "a\n", strings.Repeat("u", 300)} {
		if user, err := Lookup(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %+v %v", name, user, err)
		}
	}
}

func TestTableKeepsTheFirstOfTwoAndDropsBrokenLines(t *testing.T) {
	known := parse(
		[]byte("root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\nuser:x:0:0::/:/bin/sh\nbad:x:y:z::/:\nshort:x:1\nnobody:x:4294967295:1::/:\nnogroup:x:1:4294967295::/:\nrel:x:5:5::home:/bin/sh"),
		[]byte("root:x:0:\nuser:x:1000:\nsudo:x:27:user,other\nadm:x:4:user\nbroken:x:q:user\n"),
	)
	user := known.withGroups(known.byName["user"])
	if user.UID != 1000 || !slices.Equal(user.Groups, []uint32{1000, 27, 4}) {
		t.Fatalf("user: %+v", user)
	}
	if len(known.byName) != 3 || known.byName["rel"].Home != "/" || known.groupNames[27] != "sudo" {
		t.Fatalf("table: %+v", known)
	}
}

func TestPathsAreMadeAbsolute(t *testing.T) {
	user := &User{Home: "/home/user"}
	for _, one := range []struct{ path, workdir, want string }{
		{"a/b", "", "/home/user/a/b"}, {"", "", "/home/user"}, {"~", "/w", "/home/user"}, {"~/x", "/w", "/home/user/x"},
		{"a", "/w", "/w/a"}, {"", "/w", "/w"}, {"a", "~/w", "/home/user/w/a"}, {"/a/../b//c/.", "", "/b/c"},
		{"../../../../x", "", "/x"}, {"~user/x", "", "/home/user/~user/x"}, {"/", "", "/"},
	} {
		got, err := Resolve(one.path, user, one.workdir)
		if err != nil || got != one.want {
			t.Errorf("%q in %q: %q %v, expected %q", one.path, one.workdir, got, err, one.want)
		}
	}
	if _, err := Resolve("a\x00b", user, ""); !errors.Is(err, ErrPathNul) {
		t.Errorf("NUL: %v", err)
	}
	if _, err := Resolve(strings.Repeat("a/", 3000), user, ""); !errors.Is(err, ErrPathLong) {
		t.Errorf("long: %v", err)
	}
}

func TestWhatIsNoRegularFileIsNotRead(t *testing.T) {
	if content, err := readBounded("/dev/zero"); len(content) != 0 || err != nil {
		t.Fatalf("/dev/zero: %d bytes, %v", len(content), err)
	}
	if content, err := readBounded(t.TempDir() + "/missing"); len(content) != 0 || err != nil {
		t.Fatalf("missing: %d bytes, %v", len(content), err)
	}
}

func FuzzParse(f *testing.F) {
	if passwd, err := os.ReadFile(passwdPath); err == nil {
		f.Add(passwd, []byte("a:x:1:b,c,,\n::::\n"))
	}
	f.Fuzz(func(t *testing.T, passwd, group []byte) {
		known := parse(passwd, group)
		for name, user := range known.byName {
			if name == "" || !strings.HasPrefix(user.Home, "/") {
				t.Fatalf("%q has home %q", name, user.Home)
			}
			if groups := known.withGroups(user).Groups; groups[0] != user.GID || len(groups) > maxGroupsUser+1 {
				t.Fatalf("groups of %q: %v", name, groups)
			}
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("~/../x", "/w")
	f.Fuzz(func(t *testing.T, name, workdir string) {
		got, err := Resolve(name, &User{Home: "/home/user"}, workdir)
		if err == nil && (!strings.HasPrefix(got, "/") || strings.Contains(got+"/", "/../") || strings.Contains(got, "//")) {
			t.Fatalf("%q in %q: %q", name, workdir, got)
		}
	})
}
