package filesystem

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"

	"cofferdam/guest/users"
)

// bufferBytes is what moves at once between a file and a connection.
const bufferBytes = 256 << 10

// serveRead answers a file's bytes.
func (s *Service) serveRead(response http.ResponseWriter, request *http.Request) {
	query, user, wrong := s.admit(request, readOperation)
	if wrong != nil {
		wrong.answer(response)
		return
	}
	at, wrong := s.resolve(query.Get("path"), user)
	if wrong != nil {
		wrong.answer(response)
		return
	}
	file, own, err := s.openToRead(request.Context(), user, at)
	if err != nil {
		explain(err, at).answer(response)
		return
	}
	defer file.Close()
	header := response.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept-Encoding")
	header.Set("Last-Modified", time.Unix(int64(own.Mtim.Sec), 0).UTC().Format(http.TimeFormat))
	if disposition := mime.FormatMediaType("inline", map[string]string{"filename": path.Base(at)}); disposition != "" {
		header.Set("Content-Disposition", disposition)
	}
	if wrong := s.sendFile(response, request, file, own.Size); wrong != nil {
		header.Del("Content-Disposition")
		header.Del("Last-Modified")
		wrong.answer(response)
	}
}

// openToRead opens a regular file, and nothing else.
func (s *Service) openToRead(ctx context.Context, user *users.User, at string) (*os.File, *syscall.Stat_t, error) {
	var file *os.File
	own := &syscall.Stat_t{}
	err := s.threads.as(ctx, user, func() error {
		// Opening a device can already do something to it.
		if err := stat(at, own); err != nil {
			return err
		}
		if err := mustBeRegular(own, at); err != nil {
			return err
		}
		opened, err := openFile(at, syscall.O_RDONLY, 0)
		if err != nil {
			return err
		}
		err = syscall.Fstat(int(opened.Fd()), own)
		if err == nil {
			err = mustBeRegular(own, at)
		}
		if err == nil {
			err = mustNotBeAgent(opened, at)
		}
		if err != nil {
			opened.Close()
			return err
		}
		file = opened
		return nil
	})
	return file, own, err
}

func mustBeRegular(own *syscall.Stat_t, at string) error {
	switch own.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return nil
	case syscall.S_IFDIR:
		return isDirectory(at)
	}
	return notRegular(at)
}

// sendFile answers the file, or the part that is asked for, or why not.
func (s *Service) sendFile(response http.ResponseWriter, request *http.Request, file *os.File, size int64) *problem {
	buffer, _ := s.buffers.Get().(*[bufferBytes]byte)
	defer s.buffers.Put(buffer)
	content := io.Reader(file)
	isSizeKnown := true
	if size == 0 {
		early, isWhole, err := beginning(file, buffer[:])
		if err != nil {
			return explain(err, file.Name())
		}
		content, size, isSizeKnown = &after{early: early, file: file}, int64(len(early)), isWhole
	}
	wanted := parseAccepted(request.Header.Get("Accept-Encoding"))
	ranged := request.Header.Get("Range")
	if ranged != "" && isSizeKnown && isCurrent(request, response) {
		return s.sendPart(response, request, content, sending{ranged, size, wanted.identity, buffer[:]})
	}
	switch {
	case wanted.gzip:
		response.Header().Set("Content-Encoding", "gzip")
		sendGzip(response, request, content, buffer[:])
		return nil
	case !wanted.identity:
		return &problem{status: http.StatusNotAcceptable, message: "accept-encoding: only gzip and identity are served"}
	}
	response.Header().Set("Accept-Ranges", "bytes")
	if isSizeKnown {
		response.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		content = io.LimitReader(content, size)
	}
	pour(response, request, content, buffer[:])
	return nil
}

type sending struct {
	ranged            string
	size              int64
	isIdentityAllowed bool
	buffer            []byte
}

// sendPart answers a range, always as it is.
func (s *Service) sendPart(response http.ResponseWriter, request *http.Request, content io.Reader, asked sending) *problem {
	if !asked.isIdentityAllowed {
		return &problem{status: http.StatusNotAcceptable, message: "accept-encoding: a range is served as identity only"}
	}
	header := response.Header()
	header.Set("Accept-Ranges", "bytes")
	part, isPart, ok := parseRange(asked.ranged, asked.size)
	total := strconv.FormatInt(asked.size, 10)
	if !ok {
		header.Set("Content-Range", "bytes */"+total)
		return &problem{
			status:  http.StatusRequestedRangeNotSatisfiable,
			message: "range '" + asked.ranged + "' is not in the file, which has " + total + " bytes",
		}
	}
	header.Set("Content-Length", strconv.FormatInt(part.length, 10))
	if seeker, canSeek := content.(io.Seeker); canSeek && isPart {
		if _, err := seeker.Seek(part.offset, io.SeekStart); err != nil {
			header.Del("Content-Length")
			return explain(err, request.URL.Query().Get("path"))
		}
	}
	if isPart {
		last := strconv.FormatInt(part.offset+part.length-1, 10)
		header.Set("Content-Range", "bytes "+strconv.FormatInt(part.offset, 10)+"-"+last+"/"+total)
		response.WriteHeader(http.StatusPartialContent)
	}
	pour(response, request, io.LimitReader(content, part.length), asked.buffer)
	return nil
}

// isCurrent tells whether the client's part of the file, if it has one, is of this state of the file.
func isCurrent(request *http.Request, response http.ResponseWriter) bool {
	condition := request.Header.Get("If-Range")
	return condition == "" || condition == response.Header().Get("Last-Modified")
}

// pour sends content. What ends early ends the connection, so that nobody takes a part for the whole.
func pour(response http.ResponseWriter, request *http.Request, content io.Reader, buffer []byte) {
	if request.Method == http.MethodHead {
		return
	}
	for {
		n, err := content.Read(buffer)
		if n > 0 {
			if _, gone := response.Write(buffer[:n]); gone != nil {
				return
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func sendGzip(response http.ResponseWriter, request *http.Request, content io.Reader, buffer []byte) {
	if request.Method == http.MethodHead {
		return
	}
	compressed, err := gzip.NewWriterLevel(response, gzip.BestSpeed)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for {
		n, err := content.Read(buffer)
		if n > 0 {
			if _, gone := compressed.Write(buffer[:n]); gone != nil {
				return
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	_ = compressed.Close()
}
