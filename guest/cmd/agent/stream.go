package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"cofferdam/guest/bridge"
	"cofferdam/guest/channel"
	"cofferdam/guest/settings"
	"cofferdam/guest/users"
)

// standardStreams are where an Engine has joined the host to the agent.
type standardStreams struct {
	io.Reader
	io.Writer
}

func (standardStreams) Close() error { return errors.Join(os.Stdin.Close(), os.Stdout.Close()) }

// serveStream is the agent's life in a machine that has nothing but standard streams.
func serveStream() error {
	stream := standardStreams{os.Stdin, os.Stdout}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	near, err := packets(ends[0])
	if err != nil {
		return err
	}
	far, err := packets(ends[1])
	if err != nil {
		return err
	}
	// The places that are asked about stand in the set-up, which comes first.
	var places []string
	carrier := bridge.New(stream, near, bridge.Options{Heed: func(raw []byte) func() []byte { return heed(raw, &places) }})
	go func() { _ = carrier.Run() }()
	return serveChannel(channel.New(far), channel.Lasting{}, false)
}

func packets(descriptor int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(descriptor), "channel")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// heed answers what the host asks of the machine's places.
func heed(raw []byte, places *[]string) func() []byte {
	var asked struct {
		Type  string `json:"type"`
		Setup struct {
			Writable []string `json:"writable"`
		} `json:"setup"`
	}
	if json.Unmarshal(raw, &asked) != nil {
		return nil
	}
	switch asked.Type {
	case "setup":
		*places = asked.Setup.Writable
	case "disk":
		known := *places
		return func() []byte {
			used, total := diskUse(known)
			answer, err := json.Marshal(map[string]any{"type": "disk", "used": used, "total": total})
			if err != nil {
				return nil
			}
			return answer
		}
	}
	return nil
}

// prepareHomes fills the empty places that a machine may write to with what its image has there, and makes the homes that are
// missing. Nothing else runs yet.
func prepareHomes(current *settings.Settings) error {
	if current.Skeleton == "" {
		return nil
	}
	if err := mirror(current.Skeleton); err != nil {
		return err
	}
	for _, name := range []string{current.DefaultUser, "root"} {
		user, err := users.Lookup(name)
		if err != nil {
			continue
		}
		if err := os.Mkdir(user.Home, 0o755); err == nil {
			err = os.Chown(user.Home, int(user.UID), int(user.GID))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// mirror copies a tree to the root, each file with its owner and mode. What is there already gets the owner and mode alone; what
// can be made nowhere, or may not be, is left out.
func mirror(skeleton string) error {
	if _, err := os.Stat(skeleton); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return filepath.WalkDir(skeleton, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == skeleton {
			return err
		}
		relative, err := filepath.Rel(skeleton, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		err = copyEntry(path, "/"+relative, info)
		if leftOut(err) {
			return nil
		}
		return err
	})
}

// leftOut tells whether an entry has no place in this machine, or may not be made by the caller's own filter.
func leftOut(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, fs.ErrNotExist)
}

func copyEntry(from, to string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		if err := os.Mkdir(to, info.Mode().Perm()); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		return own(to, info)
	case info.Mode().IsRegular():
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	default:
		return nil
	}
	if err := own(to, info); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode()&(fs.ModePerm|fs.ModeSticky))
}

func own(path string, info fs.FileInfo) error {
	facts, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(facts.Uid), int(facts.Gid))
}

// diskUse answers what places hold together and can hold. Bytes.
func diskUse(places []string) (used, total uint64) {
	for _, place := range places {
		var disk syscall.Statfs_t
		if syscall.Statfs(place, &disk) == nil {
			size := uint64(disk.Bsize)
			total += disk.Blocks * size
			used += (disk.Blocks - disk.Bfree) * size
		}
	}
	return used, total
}
