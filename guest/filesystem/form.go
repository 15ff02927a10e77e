package filesystem

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
)

// maxFiles bounds the files of one form.
const maxFiles = 10_000

// form writes the files of a form, each to the path that its file name is, or to the one that the request names.
func (u *upload) form(body io.Reader, boundary string) ([]written, *problem) {
	if len(boundary) > 200 {
		return nil, invalid("content-type: the boundary is too long")
	}
	// The reader of forms reads in pieces of some KiB; here they come from memory.
	parts := multipart.NewReader(bufio.NewReaderSize(body, bufferBytes), boundary)
	files := []written{}
	taken := map[string]bool{}
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && len(files) > 0 {
			return files, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, invalid("the form has no part named file")
		}
		if err != nil {
			return nil, invalid("the form is malformed: " + err.Error())
		}
		name, isFile, wrong := u.nameOf(part.Header.Get("Content-Disposition"))
		if wrong != nil {
			return nil, wrong
		}
		if !isFile {
			continue
		}
		at, wrong := u.service.resolve(name, u.user)
		if wrong != nil {
			return nil, wrong
		}
		if taken[at] || len(files) >= maxFiles {
			return nil, invalid("the form has several files for path '" + at + "', or more than 10000 files")
		}
		taken[at] = true
		file, wrong := u.file(at, part)
		if wrong != nil {
			return nil, wrong
		}
		files = append(files, file)
	}
}

// nameOf answers where a part goes. Its file name counts whole, directories and all; parts that are not named "file" are
// not for us.
func (u *upload) nameOf(disposition string) (name string, isFile bool, wrong *problem) {
	kind, parameters, err := mime.ParseMediaType(disposition)
	if err != nil || kind != "form-data" {
		return "", false, invalid("the form has a part without a valid content-disposition")
	}
	if parameters["name"] != "file" {
		return "", false, nil
	}
	name = u.named
	if name == "" {
		name = parameters["filename"]
	}
	if name == "" {
		return "", false, invalid("the form has a file without a name, and the request names no path")
	}
	return name, true, nil
}
