package filesystem

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"cofferdam/guest/users"
)

// The rest of a refused upload is taken for a while, so that the client comes to read the refusal.
const (
	maxDrainBytes = 1 << 30
	maxDrainTime  = 10 * time.Second
)

type written struct {
	Name     string            `json:"name"`
	Path     string            `json:"path"`
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// upload is one request to write.
type upload struct {
	service  *Service
	ctx      context.Context
	user     *users.User
	named    string
	metadata map[string]string
	buffer   []byte
}

// serveWrite writes the file or the files of a request.
func (s *Service) serveWrite(response http.ResponseWriter, request *http.Request) {
	files, wrong := s.write(request)
	if wrong != nil {
		drain(response, request)
		wrong.answer(response)
		return
	}
	body, err := json.Marshal(files)
	if err != nil {
		explain(err, "").answer(response)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = response.Write(body)
}

func drain(response http.ResponseWriter, request *http.Request) {
	controller := http.NewResponseController(response)
	if controller.SetReadDeadline(time.Now().Add(maxDrainTime)) != nil {
		return
	}
	_, err := io.CopyN(io.Discard, request.Body, maxDrainBytes)
	if errors.Is(err, io.EOF) {
		_ = controller.SetReadDeadline(time.Time{})
		return
	}
	response.Header().Set("Connection", "close")
}

func (s *Service) write(request *http.Request) ([]written, *problem) {
	query, user, wrong := s.admit(request, writeOperation)
	if wrong != nil {
		return nil, wrong
	}
	metadata, wrong := metadataFrom(request.Header)
	if wrong != nil {
		return nil, wrong
	}
	body, wrong := decoded(request)
	if wrong != nil {
		return nil, wrong
	}
	buffer, _ := s.buffers.Get().(*[bufferBytes]byte)
	defer s.buffers.Put(buffer)
	u := &upload{s, request.Context(), user, query.Get("path"), metadata, buffer[:]}
	kind, parameters, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/octet-stream":
		if u.named == "" {
			return nil, invalid("path: expected for application/octet-stream")
		}
		file, wrong := u.file(u.named, body)
		return []written{file}, wrong
	case err == nil && kind == "multipart/form-data" && parameters["boundary"] != "":
		return u.form(body, parameters["boundary"])
	}
	return nil, invalid("content-type: expected application/octet-stream or multipart/form-data with a boundary")
}

// decoded is the request's body without its content coding.
func decoded(request *http.Request) (io.Reader, *problem) {
	switch coding := strings.ToLower(strings.TrimSpace(request.Header.Get("Content-Encoding"))); coding {
	case "", "identity":
		return request.Body, nil
	case "gzip", "x-gzip":
		plain, err := gzip.NewReader(request.Body)
		if err != nil {
			return nil, invalid("content-encoding: the body is not gzip")
		}
		return plain, nil
	default:
		return nil, invalid("content-encoding: expected gzip or identity")
	}
}

// file writes one file. One that was there keeps its owner and its mode; what fails leaves what was there, or nothing.
func (u *upload) file(name string, content io.Reader) (written, *problem) {
	at, wrong := u.service.resolve(name, u.user)
	if wrong != nil {
		return written{}, wrong
	}
	var opened *destination
	err := u.service.threads.as(u.ctx, u.user, func() (err error) {
		opened, err = openToWrite(at, u.metadata)
		return err
	})
	if err != nil {
		return written{}, explain(err, at)
	}
	err = u.copy(opened.file, content)
	err = errors.Join(err, opened.file.Close())
	if err == nil && opened.replaces != "" {
		err = u.service.threads.as(u.ctx, u.user, opened.settle)
	}
	if err == nil {
		return written{path.Base(at), at, "file", u.metadata}, nil
	}
	if opened.isNew {
		undo := u.service.threads.as(context.WithoutCancel(u.ctx), u.user, opened.undo)
		err = errors.Join(err, undo)
	}
	return written{}, explain(err, at)
}

// copy writes content as it comes, and tells the client's failures from the disk's.
func (u *upload) copy(file *os.File, content io.Reader) error {
	for {
		n, err := content.Read(u.buffer)
		if n > 0 {
			if _, err := file.Write(u.buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("the content ended early: " + err.Error())
		}
	}
}
