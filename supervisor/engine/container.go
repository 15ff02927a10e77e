package engine

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
)

const (
	gonePatience = 15 * time.Second
	goneInterval = 10 * time.Millisecond
)

func (c *Client) create(ctx context.Context, wanted Container) error {
	return c.do(ctx, call{
		method: http.MethodPost, path: "/containers/create", query: url.Values{"name": {wanted.Name}}, body: wanted.Body,
	}, nil)
}

func (c *Client) start(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/containers/" + name + "/start"}, nil)
}

// Remove ends a container with its volumes and answers when it is gone; one that is gone already is no error.
func (c *Client) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, gonePatience)
	defer cancel()
	for {
		status, raw, err := c.ask(ctx, call{
			method: http.MethodDelete, path: "/containers/" + name, query: url.Values{"force": {"1"}, "v": {"1"}},
		})
		switch {
		case err != nil:
			return err
		case status == http.StatusNotFound:
			return nil
		case status >= 300 && status != http.StatusConflict && status != http.StatusInternalServerError:
			return refusal(status, raw)
		}
		// It is being removed, by this call or another; or the Engine tries again what it could not.
		select {
		case <-ctx.Done():
			return refusal(status, raw)
		case <-time.After(goneInterval):
		}
	}
}

// Label is what the machines of a state directory have in common.
const (
	StateLabel   = "cofferdam.state"
	MachineLabel = "cofferdam.machine"
)

// Labelled answers the containers of a state directory's machines that the Engine has, running or not, by machine.
func (c *Client) Labelled(ctx context.Context, state string) (map[string]string, error) {
	filters, err := json.Marshal(map[string][]string{"label": {StateLabel + "=" + state}})
	if err != nil {
		return nil, err
	}
	var listed []struct {
		ID     string            `json:"Id"`
		Labels map[string]string `json:"Labels"`
	}
	err = c.do(ctx, call{
		method: http.MethodGet, path: "/containers/json", query: url.Values{"all": {"1"}, "filters": {string(filters)}},
	}, &listed)
	found := map[string]string{}
	for _, one := range listed {
		if one.Labels[StateLabel] == state {
			found[one.Labels[MachineLabel]] = one.ID
		}
	}
	return found, err
}

// named answers the id of the container of a name; empty when there is none, or it is not the state directory's.
func (c *Client) named(ctx context.Context, name, state string) (string, error) {
	status, raw, err := c.ask(ctx, call{method: http.MethodGet, path: "/containers/" + name + "/json"})
	switch {
	case err != nil:
		return "", err
	case status == http.StatusNotFound:
		return "", nil
	case status != http.StatusOK:
		return "", refusal(status, raw)
	}
	var told struct {
		ID     string `json:"Id"`
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"Config"`
	}
	if json.Unmarshal(raw, &told) != nil {
		return "", failure.New(failure.Untrusted, "the Engine answered what is no JSON")
	}
	if told.Config.Labels[StateLabel] != state {
		return "", nil
	}
	return told.ID, nil
}

// figures reads what a container uses.
func (c *Client) figures(ctx context.Context, name string) (control.Metrics, error) {
	var told struct {
		CPU struct {
			Usage struct {
				Total uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
		} `json:"cpu_stats"`
		Memory struct {
			Usage uint64            `json:"usage"`
			Stats map[string]uint64 `json:"stats"`
		} `json:"memory_stats"`
	}
	err := c.do(ctx, call{
		method: http.MethodGet, path: "/containers/" + name + "/stats", query: url.Values{"stream": {"0"}, "one-shot": {"1"}},
	}, &told)
	cache := max(told.Memory.Stats["cache"], told.Memory.Stats["file"])
	return control.Metrics{
		CPUUsageUsec: told.CPU.Usage.Total / 1000, MemoryUsedBytes: told.Memory.Usage, MemoryCacheBytes: cache,
		Timestamp: control.Time(time.Now()),
	}, err
}

// events are what the Engine says of one container from the time that they were asked for.
type events struct {
	body  interface{ Close() error }
	mutex sync.Mutex
	kills uint64
	// died has the exit code of the first process; lost is closed when the Engine says no more.
	died chan int
	lost chan struct{}
	// news wakes whoever waits for a kill.
	news chan struct{}
}

func (c *Client) follow(ctx context.Context, name string) (*events, error) {
	filters, err := json.Marshal(map[string][]string{"container": {name}, "event": {"oom", "die"}})
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, call{method: http.MethodGet, path: "/events", query: url.Values{"filters": {string(filters)}}})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, failure.New(failure.Internal, "the Engine refused its events with status %d", answer.StatusCode)
	}
	one := &events{body: answer.Body, died: make(chan int, 1), lost: make(chan struct{}), news: make(chan struct{}, 1)}
	go one.hear(json.NewDecoder(answer.Body))
	return one, nil
}

func (e *events) hear(decoder *json.Decoder) {
	defer close(e.lost)
	for {
		var one struct {
			Action string `json:"Action"`
			Actor  struct {
				Attributes map[string]string `json:"Attributes"`
			} `json:"Actor"`
		}
		if err := decoder.Decode(&one); err != nil {
			return
		}
		switch one.Action {
		case "oom":
			e.mutex.Lock()
			e.kills++
			e.mutex.Unlock()
			select {
			case e.news <- struct{}{}:
			default:
			}
		case "die", "died":
			code, err := strconv.Atoi(one.Actor.Attributes["exitCode"])
			if err != nil {
				code = -1
			}
			select {
			case e.died <- code:
			default:
			}
		}
	}
}

// outOfMemoryKills answers how many there were; when there is none beyond those that are known, it waits a moment: the Engine
// says so a little later than the kernel.
func (e *events) outOfMemoryKills(known uint64, patience time.Duration) uint64 {
	late := time.After(patience)
	for {
		e.mutex.Lock()
		kills := e.kills
		e.mutex.Unlock()
		if kills > known {
			return kills
		}
		select {
		case <-e.news:
		case <-late:
			return kills
		case <-e.lost:
			return kills
		}
	}
}

func (e *events) close() {
	if e != nil {
		_ = e.body.Close()
	}
}

func isCode(err error, code failure.Code) bool {
	var known *failure.Failure
	return errors.As(err, &known) && known.Code == code
}
