package code

import "errors"

// A kernel's line is one JSON object in printable ASCII, nested no deeper than this.
const maxDepth = 1000

var errNotJSON = errors.New("a line that is not a JSON object in ASCII")

// scanner checks, byte by byte, that what passes is one JSON object. It holds no text, only a bit of state for
// each open bracket, so that a result of any size streams through it.
type scanner struct {
	state   func(*scanner, byte) bool
	open    []byte // '{' or '[' of each container that is open
	literal string // what is still to come of true, false or null
	hex     int    // hexadecimal digits still to come after \u
	key     bool   // whether the string that is being read is a key
	done    bool
}

func newScanner() scanner { return scanner{state: atStart} }

// next takes one byte; false: the text is no such object.
func (s *scanner) next(c byte) bool {
	return c >= ' ' && c <= '~' && s.state(s, c)
}

func atStart(s *scanner, c byte) bool {
	if c != '{' {
		return false
	}
	return s.push('{')
}

func (s *scanner) push(bracket byte) bool {
	if len(s.open) >= maxDepth {
		return false
	}
	s.open = append(s.open, bracket)
	if bracket == '{' {
		s.state = atFirstKey
	} else {
		s.state = atFirstItem
	}
	return true
}

func (s *scanner) pop(bracket byte) bool {
	if s.open[len(s.open)-1] != bracket {
		return false
	}
	s.open = s.open[:len(s.open)-1]
	if len(s.open) == 0 {
		s.done = true
		s.state = atEnd
	} else {
		s.state = afterValue
	}
	return true
}

func atEnd(*scanner, byte) bool { return false }

func atFirstKey(s *scanner, c byte) bool {
	if c == '}' {
		return s.pop('{')
	}
	return atKey(s, c)
}

func atKey(s *scanner, c byte) bool {
	if c == ' ' {
		return true
	}
	s.key = true
	s.state = inString
	return c == '"'
}

func atColon(s *scanner, c byte) bool {
	if c == ':' {
		s.state = atValue
	}
	return c == ':' || c == ' '
}

func atFirstItem(s *scanner, c byte) bool {
	if c == ']' {
		return s.pop('[')
	}
	return atValue(s, c)
}

func atValue(s *scanner, c byte) bool {
	switch {
	case c == ' ':
		return true
	case c == '"':
		s.key = false
		s.state = inString
	case c == '{' || c == '[':
		return s.push(c)
	case c == '-':
		s.state = afterMinus
	case c == '0':
		s.state = afterInteger
	case c >= '1' && c <= '9':
		s.state = inInteger
	case c == 't':
		s.literal, s.state = "rue", inLiteral
	case c == 'f':
		s.literal, s.state = "alse", inLiteral
	case c == 'n':
		s.literal, s.state = "ull", inLiteral
	default:
		return false
	}
	return true
}

func afterValue(s *scanner, c byte) bool {
	switch c {
	case ' ':
		return true
	case ',':
		if s.open[len(s.open)-1] == '{' {
			s.state = atKey
		} else {
			s.state = atValue
		}
		return true
	case '}':
		return s.pop('{')
	case ']':
		return s.pop('[')
	}
	return false
}

func inString(s *scanner, c byte) bool {
	switch c {
	case '\\':
		s.state = afterBackslash
	case '"':
		if s.key {
			s.state = atColon
		} else {
			s.state = afterValue
		}
	}
	return true
}

func afterBackslash(s *scanner, c byte) bool {
	switch c {
	case 'u':
		s.hex, s.state = 4, inHex
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.state = inString
	default:
		return false
	}
	return true
}

func inHex(s *scanner, c byte) bool {
	if s.hex--; s.hex == 0 {
		s.state = inString
	}
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func inLiteral(s *scanner, c byte) bool {
	if c != s.literal[0] {
		return false
	}
	if s.literal = s.literal[1:]; s.literal == "" {
		s.state = afterValue
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func afterMinus(s *scanner, c byte) bool {
	s.state = inInteger
	if c == '0' {
		s.state = afterInteger
	}
	return digit(c)
}

func inInteger(s *scanner, c byte) bool {
	return digit(c) || afterInteger(s, c)
}

func afterInteger(s *scanner, c byte) bool {
	if c == '.' {
		s.state = afterPoint
		return true
	}
	return afterFraction(s, c)
}

func afterPoint(s *scanner, c byte) bool {
	s.state = inFraction
	return digit(c)
}

func inFraction(s *scanner, c byte) bool {
	return digit(c) || afterFraction(s, c)
}

func afterFraction(s *scanner, c byte) bool {
	if c == 'e' || c == 'E' {
		s.state = afterE
		return true
	}
	return afterNumber(s, c)
}

func afterNumber(s *scanner, c byte) bool {
	s.state = afterValue
	return afterValue(s, c)
}

func afterE(s *scanner, c byte) bool {
	if c == '+' || c == '-' {
		s.state = afterExponentSign
		return true
	}
	return afterExponentSign(s, c)
}

func afterExponentSign(s *scanner, c byte) bool {
	s.state = inExponent
	return digit(c)
}

func inExponent(s *scanner, c byte) bool {
	return digit(c) || afterNumber(s, c)
}
