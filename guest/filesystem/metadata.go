package filesystem

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"unsafe"

	"cofferdam/guest/connect"
)

// Metadata of a file are extended attributes whose names begin so.
const (
	attributePrefix = "user.e2b."
	headerPrefix    = "X-Metadata-"
)

const (
	maxMetadata          = 64
	maxAttributeName     = 255
	maxMetadataBytes     = 32 << 10
	maxAttributeListSize = 64 << 10
)

// metadataFrom takes the metadata of a request's headers. Names are in lower case, as header names have none.
func metadataFrom(header http.Header) (map[string]string, *problem) {
	var found map[string]string
	total := 0
	for name, values := range header {
		key, isMetadata := strings.CutPrefix(name, headerPrefix)
		if !isMetadata || len(values) == 0 {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		key = strings.ToLower(key)
		if key == "" || len(attributePrefix)+len(key) > maxAttributeName {
			return nil, invalid("metadata: a name has 1 to 246 bytes")
		}
		found[key] = values[0]
		total += len(key) + len(values[0])
	}
	if len(found) > maxMetadata || total > maxMetadataBytes {
		return nil, invalid("metadata: more than 64 names, or more than 32 KiB")
	}
	return found, nil
}

// metadataOf reads the metadata of a path; what cannot be read is not there.
func metadataOf(at string) map[string]string {
	var found map[string]string
	total := 0
	for _, name := range attributeNames(func(into []byte) (int, error) { return syscall.Listxattr(at, into) }) {
		if total > maxMetadataBytes || len(found) >= maxMetadata {
			break
		}
		value := make([]byte, 1024)
		n, err := syscall.Getxattr(at, name, value)
		if errors.Is(err, syscall.ERANGE) {
			value = make([]byte, maxMetadataBytes)
			n, err = syscall.Getxattr(at, name, value)
		}
		if err != nil {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[name[len(attributePrefix):]] = string(value[:n])
		total += n
	}
	return found
}

func attributeNames(list func(into []byte) (int, error)) []string {
	var small [512]byte
	buffer := small[:]
	n, err := list(buffer)
	if errors.Is(err, syscall.ERANGE) {
		buffer = make([]byte, maxAttributeListSize)
		n, err = list(buffer)
	}
	if err != nil || n <= 0 {
		return nil
	}
	var found []string
	for _, name := range strings.Split(string(buffer[:n]), "\x00") {
		if strings.HasPrefix(name, attributePrefix) {
			found = append(found, name)
		}
	}
	return found
}

// replaceMetadata makes metadata the only ones of an open file.
func replaceMetadata(fd int, metadata map[string]string, path string) error {
	for _, name := range attributeNames(func(into []byte) (int, error) { return listAttributes(fd, into) }) {
		if _, stays := metadata[name[len(attributePrefix):]]; !stays {
			if err := removeAttribute(fd, name); err != nil {
				return err
			}
		}
	}
	for key, value := range metadata {
		err := setAttribute(fd, attributePrefix+key, value)
		switch {
		case errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS):
			return &problem{
				connect.Unimplemented, http.StatusNotImplemented,
				"metadata: the file system of '" + path + "' keeps no extended attributes of users",
			}
		case errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ERANGE):
			return invalid("metadata." + key + ": too long for the file system of '" + path + "'")
		case err != nil:
			return err
		}
	}
	return nil
}

func listAttributes(fd int, into []byte) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FLISTXATTR, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func setAttribute(fd int, name, value string) error {
	key, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	content := append([]byte(value), 0)
	_, _, errno := syscall.Syscall6(syscall.SYS_FSETXATTR, uintptr(fd), uintptr(unsafe.Pointer(key)),
		uintptr(unsafe.Pointer(&content[0])), uintptr(len(value)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func removeAttribute(fd int, name string) error {
	key, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_FREMOVEXATTR, uintptr(fd), uintptr(unsafe.Pointer(key)), 0); errno != 0 {
		return errno
	}
	return nil
}
