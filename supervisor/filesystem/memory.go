package filesystem

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cofferdam/supervisor/failure"
)

// Kept is what a directory holds.
type Kept struct {
	Digest string
	// SizeBytes is what it takes on the disk.
	SizeBytes int64
}

// KeepDirectory brings the files of a directory to the disk, for root alone, and answers their digest.
func KeepDirectory(directory string) (Kept, error) {
	var kept Kept
	digest, err := eachFile(directory, func(path string) (string, error) {
		if err := os.Chmod(path, 0o600); err != nil {
			return "", err
		}
		digest, size, err := Flushed(path)
		kept.SizeBytes += size
		return digest, err
	})
	kept.Digest = digest
	return kept, failure.Wrap(err, "keep the memory")
}

// VerifyDirectory refuses a directory whose files are not those that were noted.
func VerifyDirectory(directory, noted string) error {
	digest, err := eachFile(directory, func(path string) (string, error) {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		return Digest(file)
	})
	if errors.Is(err, os.ErrNotExist) || err == nil && digest != noted {
		return failure.New(failure.Untrusted, "the memory is not what was written")
	}
	return failure.Wrap(err, "read the memory")
}

// eachFile answers a digest of the names and digests of all files, which are regular ones.
func eachFile(directory string, digestOf func(path string) (string, error)) (string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return "", err
	}
	total := sha256.New()
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			return "", failure.New(failure.Untrusted, "the memory holds what is no file: %s", entry.Name())
		}
		digest, err := digestOf(filepath.Join(directory, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(total, "%q %s\n", entry.Name(), digest)
	}
	return "sha256:" + hex.EncodeToString(total.Sum(nil)), nil
}
