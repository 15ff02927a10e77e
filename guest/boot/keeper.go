package boot

import (
	"encoding/json"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	freezeCall = 0xC0045877
	thawCall   = 0xC0045878
	// stillPatience is how long the disk stands still at the most when the host forgets it.
	stillPatience = 30 * time.Second
)

// keeper does what elsewhere the host does, who sees neither this kernel's control groups nor the file system on the disk.
type keeper struct {
	disk   *os.File
	groups *groups

	mutex sync.Mutex
	still *time.Timer
}

type asked struct {
	Type string `json:"type"`
	ID   uint64 `json:"id,omitempty"`
}

// answer answers the agent's questions to the host that this side knows better.
func (k *keeper) answer(raw []byte) []byte {
	var one asked
	if json.Unmarshal(raw, &one) != nil || one.Type != "oom" {
		return nil
	}
	reply, err := json.Marshal(map[string]any{"type": "oom", "id": one.ID, "count": k.groups.memoryKills()})
	if err != nil {
		return nil
	}
	return reply
}

// heed does what the host asks of the disk; nil: it is the agent's to hear.
func (k *keeper) heed(raw []byte) func() []byte {
	var one asked
	if json.Unmarshal(raw, &one) != nil {
		return nil
	}
	switch one.Type {
	case "hold":
		return k.hold
	case "release":
		return func() []byte {
			k.release()
			return nil
		}
	}
	return nil
}

// hold brings all that was written to the disk and lets nothing change there.
func (k *keeper) hold() []byte {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := order(k.disk, freezeCall); err != nil && err != syscall.EBUSY {
		return message("unheld", err.Error())
	}
	if k.still == nil {
		k.still = time.AfterFunc(stillPatience, k.release)
	}
	return message("held", "")
}

func (k *keeper) release() {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.still != nil {
		k.still.Stop()
		k.still = nil
		_ = order(k.disk, thawCall)
	}
}

func order(directory *os.File, call uintptr) error {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, directory.Fd(), call, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
