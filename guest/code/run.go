package code

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const keepaliveInterval = 5 * time.Second

// run is one request on its way through a kernel.
type run struct {
	kernel *kernel
	to     *stream
	// timedOut: the run's time is over; what the kernel says of its interrupt is replaced by that.
	timedOut atomic.Bool

	mu          sync.Mutex
	over        bool
	interrupted bool
	timers      []*time.Timer
}

// lasting is what a run may take; 0: no end.
func (r *run) begin(ctx context.Context, lasting time.Duration) (stop func()) {
	r.every(keepaliveInterval, func() { r.to.keepalive(keepaliveInterval) })
	if lasting > 0 {
		r.after(lasting, func() {
			r.timedOut.Store(true)
			r.interrupt()
		})
	}
	forget := context.AfterFunc(ctx, func() {
		r.to.gone.Store(true)
		r.interrupt()
	})
	r.kernel.run.Store(r)
	return func() {
		forget()
		r.kernel.run.Store(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = true
		for _, timer := range r.timers {
			timer.Stop()
		}
	}
}

func (r *run) after(delay time.Duration, do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.timers = append(r.timers, time.AfterFunc(delay, do))
	}
}

func (r *run) every(interval time.Duration, do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(interval, func() {
		do()
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.over {
			timer.Reset(interval)
		}
	})
	r.timers = append(r.timers, timer)
}

// interrupt asks what runs to stop, and ends its kernel when it does not.
func (r *run) interrupt() {
	r.mu.Lock()
	first := !r.interrupted
	r.interrupted = true
	if !r.over {
		r.kernel.process.Interrupt()
	}
	r.mu.Unlock()
	if first {
		r.after(interruptGrace, r.insist)
	}
}

// insist kills a kernel that goes on, but not one that only waits for a slow client to take its output.
func (r *run) insist() {
	if r.to.blocked() && !r.to.gone.Load() {
		r.after(interruptGrace, r.insist)
		return
	}
	r.mu.Lock()
	over := r.over
	r.mu.Unlock()
	if !over {
		r.kernel.kill(fmt.Sprintf("it did not stop within %v of an interrupt", interruptGrace))
	}
}

// do runs code in the context's kernel, whose slot is held, and writes what happens to the stream.
func (c *Context) do(ctx context.Context, k *kernel, to *stream, ask execution) {
	count, note := c.next()
	to.add(func(line []byte) []byte {
		line = append(line, `{"type":"number_of_executions","execution_count":`...)
		line = strconv.AppendInt(line, int64(count), 10)
		return append(line, '}')
	})
	if note != "" {
		to.output("stderr", []byte(note))
	}
	k.redirect(to)
	r := &run{kernel: k, to: to}
	stop := r.begin(ctx, time.Duration(ask.TimeoutMs)*time.Millisecond)
	err := k.ask(request{Code: *ask.Code, Count: count, Envs: ask.Envs})
	if err == nil {
		err = k.answer(to, &r.timedOut)
	}
	stop()
	if err != nil {
		c.lose(k, err)
	}
	k.redirect(nil)
	r.report(ask, err)
	to.add(func(line []byte) []byte { return append(line, `{"type":"end_of_execution"}`...) })
	to.finish()
}

// lose ends what is left of a kernel in which a run failed; what it printed last still reaches the client.
func (c *Context) lose(k *kernel, err error) {
	if broke(err) {
		k.kill("it broke its protocol with the agent: " + err.Error())
	} else {
		select {
		case <-k.process.Done():
		case <-time.After(interruptGrace):
			k.kill("it closed its line to the agent")
		}
	}
	<-k.process.Done()
	k.drain()
	k.close()
	c.forget(k)
}

// event is an error of a run as it stands on the wire. Reason and StateLost are our own additions to E2B's fields.
type event struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Value     string `json:"value"`
	Traceback string `json:"traceback"`
	// timed-out, out-of-memory, kernel-died
	Reason string `json:"reason"`
	// StateLost: the next run starts in a fresh kernel.
	StateLost bool `json:"state_lost"`
}

// report adds the error that the kernel could not tell itself.
func (r *run) report(ask execution, err error) {
	told := event{Type: "error", StateLost: err != nil}
	switch {
	case r.timedOut.Load():
		told.Name, told.Reason = "TimeoutError", "timed-out"
		told.Value = fmt.Sprintf("the run was interrupted after %d ms", ask.TimeoutMs)
		if told.StateLost {
			told.Value += "; it did not react, so its kernel was ended and its state is lost"
		}
	case err != nil:
		end := r.kernel.process.End()
		told.Name, told.Reason = "KernelDied", "kernel-died"
		told.Value = r.kernel.reason()
		if told.Value == "" {
			told.Value = obituary(end)
			if end.OutOfMemory {
				told.Reason = "out-of-memory"
			}
		}
		told.Value += "; its state is lost, the next run starts a fresh kernel"
	default:
		return
	}
	text, _ := json.Marshal(told)
	r.to.add(func(line []byte) []byte { return append(line, ascii(text)...) })
}

func obituary(end End) string {
	switch {
	case end.OutOfMemory:
		return "the kernel was killed: out of memory"
	case end.Signal != "":
		return "the kernel was killed by " + end.Signal
	default:
		return fmt.Sprintf("the kernel exited with status %d", end.ExitCode)
	}
}
