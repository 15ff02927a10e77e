package machine

import (
	"math"
	"sync"
	"time"
)

// timings are how long each stage of a creation took. Milliseconds.
type timings struct {
	mutex  sync.Mutex
	begun  time.Time
	stages map[string]float64
}

func newTimings() *timings { return &timings{begun: time.Now(), stages: map[string]float64{}} }

// measure runs a stage.
func (t *timings) measure(stage string, do func() error) error {
	begun := time.Now()
	err := do()
	t.note(stage, begun)
	return err
}

func (t *timings) note(stage string, begun time.Time) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.stages[stage] = math.Round(float64(time.Since(begun).Microseconds())) / 1000
}
