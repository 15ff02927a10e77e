package filesystem

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cofferdam/guest/access"
	"cofferdam/guest/connect"
	"cofferdam/guest/users"
)

// The operations that a signature can be for.
const (
	readOperation  = "read"
	writeOperation = "write"
)

// admit judges who asks for files, and finds the user whose rights count.
func (s *Service) admit(request *http.Request, operation string) (url.Values, *users.User, *problem) {
	query, err := url.ParseQuery(request.URL.RawQuery)
	if err != nil {
		return nil, nil, invalid("the query of the address is malformed")
	}
	name := query.Get("username")
	isSigned, wrong := s.checkAccess(request, query, operation)
	if wrong != nil {
		return nil, nil, wrong
	}
	// A signature names its user, or the default one; no header changes that.
	if name == "" && !isSigned {
		basic, failure := connect.BasicUser(request.Header.Get("Authorization"))
		if failure != nil {
			return nil, nil, unauthorised(failure.Message)
		}
		name = basic
	}
	user, err := s.settings.User(name)
	if err != nil {
		return nil, nil, unauthorised("invalid username: '" + name + "'")
	}
	return query, user, nil
}

// checkAccess admits the host, the holder of the token, and the holder of a signature made with the token.
func (s *Service) checkAccess(request *http.Request, query url.Values, operation string) (bool, *problem) {
	token := s.settings.Get().AccessToken
	if access.KindOf(request.Context()) == access.Host || token == "" {
		return false, nil
	}
	if given := request.Header.Get("X-Access-Token"); given != "" {
		if !access.TokenMatches(token, given) {
			return false, unauthorised("access token present in header but does not match")
		}
		return false, nil
	}
	if !query.Has("signature") {
		return false, unauthorised("missing signature query parameter")
	}
	return true, checkSignature(query, operation, token)
}

func checkSignature(query url.Values, operation, token string) *problem {
	signed := []string{query.Get("path"), operation, query.Get("username"), token}
	expires := int64(0)
	if raw := query.Get("signature_expiration"); raw != "" {
		number, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return invalid("signature_expiration: expected Unix time in seconds")
		}
		expires = number
		signed = append(signed, strconv.FormatInt(expires, 10))
	}
	expected := signature(signed)
	if subtle.ConstantTimeCompare([]byte(expected), []byte(query.Get("signature"))) != 1 {
		return unauthorised("invalid signature")
	}
	if len(signed) > 4 && expires < time.Now().Unix() {
		return unauthorised("signature is already expired")
	}
	return nil
}

func signature(signed []string) string {
	digest := sha256.Sum256([]byte(strings.Join(signed, ":")))
	return "v1_" + base64.RawStdEncoding.EncodeToString(digest[:])
}
