package cgroup

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Figures is one reading.
type Figures struct {
	CPUUsageUsec     uint64
	MemoryUsedBytes  uint64
	MemoryCacheBytes uint64
	OOMKills         uint64
}

// Read answers what the machine uses; what cannot be read is 0.
func (g *Group) Read() Figures {
	figures := Figures{OOMKills: g.OOMKills()}
	if g.host.isUnified("memory") {
		figures.MemoryUsedBytes = number(filepath.Join(g.of("memory"), "memory.current"))
		figures.MemoryCacheBytes = keyed(filepath.Join(g.of("memory"), "memory.stat"), "file")
	} else {
		figures.MemoryUsedBytes = number(filepath.Join(g.of("memory"), "memory.usage_in_bytes"))
		figures.MemoryCacheBytes = keyed(filepath.Join(g.of("memory"), "memory.stat"), "total_cache")
	}
	if _, separate := g.host.controllers["cpuacct"]; separate {
		figures.CPUUsageUsec = number(filepath.Join(g.of("cpuacct"), "cpuacct.usage")) / 1000
	} else {
		figures.CPUUsageUsec = keyed(filepath.Join(g.at(g.host.unified), "cpu.stat"), "usage_usec")
	}
	return figures
}

// killCounter keeps the highest count seen: a runtime takes its group, and the count in it, away with it.
type killCounter struct {
	mutex sync.Mutex
	seen  uint64
	// told counts the kernel's notices in version 1; -1 where there are none.
	notices int
	told    uint64
}

// watchKills asks version 1 to tell of each time that memory ran out. In version 2 the count stays readable.
func (g *Group) watchKills() error {
	g.kills.notices = -1
	if g.host.isUnified("memory") {
		return nil
	}
	control, err := os.Open(filepath.Join(g.of("memory"), "memory.oom_control"))
	if err != nil {
		return err
	}
	defer control.Close()
	notices, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errno
	}
	line := strconv.Itoa(int(notices)) + " " + strconv.Itoa(int(control.Fd()))
	if err := write(filepath.Join(g.of("memory"), "cgroup.event_control"), line); err != nil {
		// Newer kernels may go without it; the counts in the groups remain.
		syscall.Close(int(notices))
		return nil
	}
	g.kills.notices = int(notices)
	return nil
}

// OOMKills answers how many processes of the machine were killed because its memory ran out.
func (g *Group) OOMKills() uint64 {
	g.kills.mutex.Lock()
	defer g.kills.mutex.Unlock()
	var count uint64
	if g.host.isUnified("memory") {
		count = keyed(filepath.Join(g.of("memory"), "memory.events"), "oom_kill")
	} else {
		_ = filepath.WalkDir(g.of("memory"), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				count += keyed(filepath.Join(path, "memory.oom_control"), "oom_kill")
			}
			return nil
		})
	}
	g.kills.readNotices()
	g.kills.seen = max(g.kills.seen, count, g.kills.told)
	return g.kills.seen
}

func (k *killCounter) readNotices() {
	if k.notices < 0 {
		return
	}
	var raw [8]byte
	if n, err := syscall.Read(k.notices, raw[:]); err == nil && n == 8 {
		for index := range raw {
			k.told += uint64(raw[index]) << (8 * index)
		}
	}
}

// Close gives back what watching needs.
func (g *Group) Close() {
	g.kills.mutex.Lock()
	defer g.kills.mutex.Unlock()
	if g.kills.notices > 0 {
		syscall.Close(g.kills.notices)
		g.kills.notices = -1
	}
}

func number(path string) uint64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	value, err := strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil {
		return 0
	}
	return value
}

// keyed reads the number behind a key in a file of lines.
func keyed(path, key string) uint64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(raw) {
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if !found || string(name) != key {
			continue
		}
		parsed, err := strconv.ParseUint(string(value), 10, 64)
		if errors.Is(err, strconv.ErrSyntax) {
			return 0
		}
		return parsed
	}
	return 0
}
