// Package clock finds out how fast the processor's own clock goes, which a kernel on an emulated processor cannot: on a busy
// host it compares two clocks with other work between them.
package clock

import (
	"time"
)

const (
	// span is long beside what a reading may be late.
	span  = 50 * time.Millisecond
	tries = 200
)

// Khz answers the rate of the processor's clock. Thousands of cycles a second; 0 where there is no such clock.
func Khz() uint64 {
	begun, from := reading()
	time.Sleep(span)
	ended, to := reading()
	elapsed := ended.Sub(begun)
	if to <= from || elapsed <= 0 {
		return 0
	}
	return uint64(float64(to-from) / float64(elapsed) * float64(time.Millisecond))
}

// reading reads both clocks at one moment: of many tries, the one with the least between them.
func reading() (at time.Time, count uint64) {
	least := uint64(1<<63 - 1)
	for range tries {
		before := cycles()
		now := time.Now()
		after := cycles()
		if after-before < least {
			least, at, count = after-before, now, before+(after-before)/2
		}
	}
	return at, count
}
