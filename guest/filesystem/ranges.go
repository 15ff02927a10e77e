package filesystem

import (
	"strconv"
	"strings"
)

// span is a part of a file.
type span struct{ offset, length int64 }

// parseRange reads a Range header. Absent ones, other units and several ranges at once ask for the whole file;
// ok is false when nothing of the range is in a file of that size.
func parseRange(header string, size int64) (part span, isPart, ok bool) {
	whole := span{0, size}
	set, isBytes := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	if !isBytes || strings.Contains(set, ",") {
		return whole, false, true
	}
	first, last, isPair := strings.Cut(strings.TrimSpace(set), "-")
	if !isPair {
		return whole, false, false
	}
	if first == "" {
		length, isNumber := parseOffset(last)
		if !isNumber || length == 0 || size == 0 {
			return whole, false, false
		}
		length = min(length, size)
		return span{size - length, length}, true, true
	}
	from, isNumber := parseOffset(first)
	if !isNumber || from >= size {
		return whole, false, false
	}
	to := size - 1
	if last != "" {
		asked, isNumber := parseOffset(last)
		if !isNumber || asked < from {
			return whole, false, false
		}
		to = min(to, asked)
	}
	return span{from, to - from + 1}, true, true
}

func parseOffset(text string) (int64, bool) {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	return int64(number), err == nil
}
