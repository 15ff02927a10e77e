package code

import (
	"context"
	"sync"
	"sync/atomic"
)

// Runs that may wait for one context.
const maxWaiting = 64

// Context is a place where state persists between runs: a kernel, and the next one when it has died.
type Context struct {
	ID       string `json:"id"`
	Language string `json:"language"`
	Cwd      string `json:"cwd"`

	slot    chan struct{} // held by who uses the kernel: a run, a start
	waiting atomic.Int32

	mu      sync.Mutex
	kernel  *kernel
	removed bool
	count   int
	// note is for the next run: what became of the kernel since the last one.
	note string
}

func newContext(id, language, cwd string) *Context {
	return &Context{ID: id, Language: language, Cwd: cwd, slot: make(chan struct{}, 1)}
}

// acquire waits for the context's turn. The returned function ends it.
func (c *Context) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-c.slot }
	select {
	case c.slot <- struct{}{}:
		return release, nil
	default:
	}
	if c.waiting.Add(1) > maxWaiting {
		c.waiting.Add(-1)
		return nil, failed(Exhausted, "too many runs wait for this context")
	}
	defer c.waiting.Add(-1)
	select {
	case c.slot <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// current is the context's kernel, if it has one.
func (c *Context) current() *kernel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kernel
}

// live is the context's kernel, started if it has none that lives. The slot is held.
func (c *Context) live(start func(*Context) (*kernel, error)) (*kernel, error) {
	k := c.current()
	if k != nil && !k.dead() {
		return k, nil
	}
	if k != nil {
		c.bury(k)
	}
	k, err := start(c)
	if err != nil {
		return nil, err
	}
	if err := c.adopt(k); err != nil {
		return nil, err
	}
	if err := k.ready(); err != nil {
		k.discard("it did not start")
		c.forget(k)
		return nil, err
	}
	return k, nil
}

// adopt makes a kernel the context's own, unless the context was removed meanwhile.
func (c *Context) adopt(k *kernel) error {
	c.mu.Lock()
	removed := c.removed
	if !removed {
		c.kernel, c.count = k, 0
	}
	c.mu.Unlock()
	if !removed {
		return nil
	}
	k.discard("its context was removed")
	return c.gone()
}

func (c *Context) gone() error {
	return failed(NotFound, "context "+c.ID+" was removed")
}

// bury gives back a kernel that died between two runs, and notes it for the next one.
func (c *Context) bury(k *kernel) {
	if k.reason() == "" {
		c.note = "The kernel ended since the last run (" + obituary(k.process.End()) + "); its state is lost.\n"
	}
	k.close()
	c.forget(k)
}

func (c *Context) forget(k *kernel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kernel == k {
		c.kernel = nil
	}
}

// next counts a run of the current kernel and says what the first has to know.
func (c *Context) next() (count int, note string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	note, c.note = c.note, ""
	return c.count, note
}

// remove ends the context for good.
func (c *Context) remove() {
	c.mu.Lock()
	c.removed = true
	k := c.kernel
	c.mu.Unlock()
	if k != nil {
		k.kill("its context was removed")
	}
	c.slot <- struct{}{}
	defer func() { <-c.slot }()
	if k = c.current(); k != nil {
		k.discard("its context was removed")
		c.forget(k)
	}
}
