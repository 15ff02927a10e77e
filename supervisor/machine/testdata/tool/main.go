// What the tests run inside a machine, whose image holds nothing else.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

func main() {
	switch os.Args[1] {
	case "say":
		fmt.Print(os.Args[2])
	case "sleep":
		time.Sleep(time.Hour)
	case "hog":
		var held [][]byte
		for {
			piece := make([]byte, 8<<20)
			for index := range piece {
				piece[index] = 1
			}
			held = append(held, piece)
		}
	case "scatter":
		for range 3 {
			_ = exec.Command("/tool", "sleep").Start()
		}
		time.Sleep(time.Hour)
	case "write":
		fmt.Print(os.WriteFile("/tmp/written", []byte("without a flush"), 0o644))
	case "read":
		raw, err := os.ReadFile("/tmp/written")
		fmt.Print(string(raw), err)
	case "fill":
		file, err := os.Create("/big")
		written := 0
		for err == nil {
			var n int
			n, err = file.Write(make([]byte, 1<<20))
			written += n
		}
		fmt.Print(written, " ", err)
	}
}
