package boot

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

const (
	addEntropy = 0x40085203
	reseed     = 0x5207
)

// renew gives the kernel what must not be the same in two machines that were started from one state: randomness and time.
func renew(order *Order) {
	addRandomness(order.Entropy)
	if order.NowNs > 0 {
		now := syscall.NsecToTimeval(order.NowNs)
		_ = syscall.Settimeofday(&now)
	}
}

func addRandomness(entropy []byte) {
	source, err := os.OpenFile("/dev/urandom", os.O_RDWR, 0)
	if err != nil || len(entropy) == 0 {
		return
	}
	defer source.Close()
	// struct rand_pool_info: bits, bytes, the bytes.
	info := binary.NativeEndian.AppendUint32(nil, uint32(8*len(entropy)))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, source.Fd(), addEntropy, uintptr(unsafe.Pointer(&info[0])))
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, source.Fd(), reseed, 0)
	clear(entropy)
}

// newBootID puts an id of this machine's own over the kernel's, which all that were started from one state share.
func newBootID() error {
	const own, kernels = "/run/.cofferdam-kernel-boot-id", "/proc/sys/kernel/random/boot_id"
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	_ = os.Remove(own)
	if err := os.WriteFile(own, []byte(text), 0o444); err != nil {
		return err
	}
	return syscall.Mount(own, kernels, "", syscall.MS_BIND, "")
}
