package filesystem

import (
	"errors"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many dangling links are followed to where a new file goes, as the kernel would.
const maxLinks = 40

// destination is a file that is open to be written.
type destination struct {
	file          *os.File
	isNew         bool
	at            string
	device, inode uint64
	// replaces is the file whose place the content takes when it is whole; empty: it is written where it stays.
	replaces string
}

// openToWrite opens an empty regular file with its metadata, and makes it and its parents when they are missing.
func openToWrite(at string, metadata map[string]string) (*destination, error) {
	place := at
	for range maxLinks {
		opened, err := openExisting(place, metadata)
		if !errors.Is(err, syscall.ENOENT) {
			return opened, err
		}
		if err := os.MkdirAll(path.Dir(place), directoryMode); err != nil {
			return nil, err
		}
		opened, err = openNew(place, metadata)
		if !errors.Is(err, syscall.EEXIST) {
			return opened, err
		}
		said, err := readLink(place)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !path.IsAbs(said) {
			// Not cleaned: the kernel takes `..` of where a directory's link leads.
			said = place[:strings.LastIndexByte(place, '/')+1] + said
		}
		place = said
	}
	return nil, syscall.ELOOP
}

func openExisting(at string, metadata map[string]string) (*destination, error) {
	var own syscall.Stat_t
	if err := stat(at, &own); err != nil {
		return nil, err
	}
	if err := mustBeRegular(&own, at); err != nil {
		return nil, err
	}
	file, err := openFile(at, syscall.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Fstat(int(file.Fd()), &own)
	if err == nil {
		err = mustBeRegular(&own, at)
	}
	if err == nil {
		err = mustNotBeControl(file, at)
	}
	if err == nil {
		aside, failed := openAside(at, &own, metadata)
		if aside != nil || failed != nil {
			file.Close()
			return aside, failed
		}
		err = replaceMetadata(int(file.Fd()), metadata, at)
	}
	if err == nil {
		// As the user, so that the kernel takes the special bits away as it does for every writer.
		err = file.Truncate(0)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &destination{file: file, at: at}, nil
}

func openNew(at string, metadata map[string]string) (*destination, error) {
	file, err := openFile(at, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	opened := &destination{file: file, isNew: true, at: at}
	var own syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &own); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	opened.device, opened.inode = uint64(own.Dev), own.Ino
	if err := replaceMetadata(int(file.Fd()), metadata, at); err != nil {
		return nil, errors.Join(err, opened.undo(), file.Close())
	}
	return opened, nil
}

// undo removes a new file, if it is still the one at its path.
func (d *destination) undo() error {
	var there syscall.Stat_t
	if err := lstat(d.at, &there); err != nil {
		return err
	}
	if uint64(there.Dev) != d.device || there.Ino != d.inode {
		return nil
	}
	return syscall.Unlink(d.at)
}
