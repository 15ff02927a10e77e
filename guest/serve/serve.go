// Package serve puts the agent's calls behind one HTTP handler and guards them.
//
// A part plugs in by registering its paths on Parts.Envd (the protocol of port 49983) or Parts.Code (49999):
//
//	filesystem.Register(parts.Envd, holder)
//	code.Register(parts.Code, code.Deps{...})
//
// A request whose E2b-Sandbox-Port header is 49999, or whose path is one of the code interpreter's, goes to Code.
// Who asks is access.KindOf(request.Context()).
package serve

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"cofferdam/guest/access"
	"cofferdam/guest/settings"
)

// CodePort is the code interpreter's, as the protocol numbers it.
const CodePort = "49999"

// Parts are the muxes of the two protocols.
type Parts struct {
	Envd *http.ServeMux
	Code *http.ServeMux
	// HostOnly holds what the host alone may call.
	HostOnly *http.ServeMux
}

// NewParts makes empty ones.
func NewParts() *Parts {
	return &Parts{Envd: http.NewServeMux(), Code: http.NewServeMux(), HostOnly: http.NewServeMux()}
}

// hostOnly are the paths that a tenant is told do not exist.
var hostOnly = map[string]bool{
	"/init": true, "/freeze": true, "/unfreeze": true, "/collapse": true, "/fsfreeze": true, "/fsthaw": true, "/upgrade": true,
}

// Handler guards and routes.
func Handler(parts *Parts, holder *settings.Holder) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		isHost := access.KindOf(request.Context()) == access.Host
		path := request.URL.Path
		switch {
		case hostOnly[path]:
			if !isHost {
				Fail(response, http.StatusNotFound, "not found")
				return
			}
			parts.HostOnly.ServeHTTP(response, request)
		case isCode(request):
			if !isHost && path == "/execute" && !hasToken(holder, request) {
				Fail(response, http.StatusUnauthorized, "unauthorized access, please provide a valid access token")
				return
			}
			parts.Code.ServeHTTP(response, request)
		default:
			if !isHost && !isOpen(request) && !hasToken(holder, request) {
				Fail(response, http.StatusUnauthorized, "unauthorized access, please provide a valid access token")
				return
			}
			parts.Envd.ServeHTTP(response, request)
		}
	})
}

func isCode(request *http.Request) bool {
	if request.Header.Get("E2b-Sandbox-Port") == CodePort {
		return true
	}
	path := request.URL.Path
	return path == "/execute" || path == "/contexts" || strings.HasPrefix(path, "/contexts/")
}

// isOpen tells what needs no token: health, and files, whose own check knows signatures.
func isOpen(request *http.Request) bool {
	return request.URL.Path == "/files" || (request.Method == http.MethodGet && request.URL.Path == "/health")
}

func hasToken(holder *settings.Holder, request *http.Request) bool {
	return access.TokenMatches(holder.Get().AccessToken, request.Header.Get("X-Access-Token"))
}

// Fail answers with the error shape of envd's HTTP calls.
func Fail(response http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(map[string]any{"code": status, "message": message})
	if err != nil {
		body = []byte(`{"code":500,"message":"the error could not be written"}`)
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	_, _ = response.Write(body)
}

// NoteKind is the server's ConnContext.
func NoteKind(ctx context.Context, conn net.Conn) context.Context {
	if known, ok := conn.(access.Conn); ok {
		return access.WithKind(ctx, known.Kind)
	}
	return ctx
}
