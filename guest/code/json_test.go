package code

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func scans(text string) bool {
	scan := newScanner()
	for i := 0; i < len(text); i++ {
		if !scan.next(text[i]) {
			return false
		}
	}
	return scan.done
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":1}`, `{"a":[1,-2.5e+3,0,0.1,true,false,null,"\u00e9\"\\"],"b":{"c":[]}}`, `{ "a" : 1 , "b" : [ ] }`,
		`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":tru}`, `{"a" 1}`, `{,}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":[1}`,
		`{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":nul}`, `{"a":+1}`, `{a:1}`, `{"a":1}x`, `{"a":1 2}`, `{"a":.5}`,
	} {
		if got, want := scans(text), json.Valid([]byte(text)); got != want {
			t.Errorf("%s: scanner says %v, encoding/json %v", text, got, want)
		}
	}
}

func TestScannerBoundsDepth(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	if !scans(deep(maxDepth - 1)) {
		t.Error("refuses what is at the bound")
	}
	if scans(deep(maxDepth)) {
		t.Error("takes what is beyond the bound")
	}
}

func TestScannerTakesOnlyPrintableASCIIObjects(t *testing.T) {
	for _, text := range []string{"{\"a\":\"\xc3\xa9\"}", "{\"a\":\"\t\"}", "[1]", "1", "", "{", "{\"a\":\"\x7f\"}"} {
		if scans(text) {
			t.Errorf("takes %q", text)
		}
	}
}

// dribble gives its bytes in pieces whose sizes the fuzzer chooses.
type dribble struct {
	data []byte
	step int
}

func (d *dribble) Read(p []byte) (int, error) {
	n := min(len(d.data), d.step, len(p))
	if n == 0 {
		return 0, errLongLine
	}
	copy(p, d.data[:n])
	d.data = d.data[n:]
	return n, nil
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("R{\"text\":\"2\"}\n.{}\n"), 3)
	f.Add([]byte("D{\"a\":[1,{\"b\":null}]}\n"), 1)
	f.Add([]byte("\n\n"), 1)
	f.Add([]byte("E{}}\n"), 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if step < 1 {
			step = 1
		}
		in := newFrames(&dribble{data: data, step: step})
		rest := data
		for {
			kind, err := in.kind()
			if err != nil {
				return
			}
			text, err := in.text(1 << 16)
			if err != nil {
				return
			}
			if !json.Valid(text) {
				t.Fatalf("passed %q, which is not JSON", text)
			}
			line := append([]byte{kind}, append(text, '\n')...)
			if !bytes.HasPrefix(rest, line) {
				t.Fatalf("%q came out as %q", rest, line)
			}
			rest = rest[len(line):]
		}
	})
}
