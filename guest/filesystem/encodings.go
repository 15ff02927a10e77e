package filesystem

import (
	"strconv"
	"strings"
)

// accepted is how a client that sent an Accept-Encoding header wants the content.
type accepted struct{ gzip, identity bool }

// parseAccepted weighs the header. Content goes as it is unless the client likes gzip at least as much.
func parseAccepted(header string) accepted {
	weights := map[string]float64{}
	for _, one := range strings.Split(header, ",") {
		coding, parameters, _ := strings.Cut(one, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding == "x-gzip" {
			coding = "gzip"
		}
		switch coding {
		case "gzip", "identity", "*":
			weights[coding] = weightOf(parameters)
		}
	}
	rest, isRestNamed := weights["*"]
	gzip, isGzipNamed := weights["gzip"]
	identity, isIdentityNamed := weights["identity"]
	if !isIdentityNamed {
		identity = 1
		if isRestNamed && rest == 0 {
			identity = 0
		}
	}
	if !isGzipNamed && identity == 0 {
		gzip = rest
	}
	isGzipLiked := isGzipNamed && (!isIdentityNamed || gzip >= identity) || identity == 0
	return accepted{gzip: gzip > 0 && isGzipLiked, identity: identity > 0}
}

// weightOf reads `q=0.5`; what is malformed weighs nothing, and what is absent weighs all.
func weightOf(parameters string) float64 {
	for _, one := range strings.Split(parameters, ";") {
		name, value, isPair := strings.Cut(strings.TrimSpace(one), "=")
		if !isPair || strings.ToLower(strings.TrimSpace(name)) != "q" {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(weight >= 0 && weight <= 1) {
			return 0
		}
		return weight
	}
	return 1
}
