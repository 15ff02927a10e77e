// Package access tells who speaks on a connection and what they may ask for.
package access

import (
	"context"
	"crypto/subtle"
	"net"
)

// Kind is what the host said a connection is when it handed it over.
type Kind string

// The kinds. Host may do everything; Public is a tenant: the token counts and host-only paths are not there.
const (
	Host   Kind = "host"
	Public Kind = "public"
	Port   Kind = "port"
)

type key struct{}

// WithKind notes the kind of the connection that requests come on.
func WithKind(ctx context.Context, kind Kind) context.Context {
	return context.WithValue(ctx, key{}, kind)
}

// KindOf answers the kind; what was never noted is Public.
func KindOf(ctx context.Context) Kind {
	if kind, ok := ctx.Value(key{}).(Kind); ok {
		return kind
	}
	return Public
}

// TokenMatches compares in constant time. An empty token in the settings admits everybody, as the protocol has it.
func TokenMatches(settings, given string) bool {
	if settings == "" {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(settings), []byte(given)) == 1
}

// Conn is a connection with its kind.
type Conn struct {
	net.Conn
	Kind Kind
}
