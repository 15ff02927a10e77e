package engine

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"cofferdam/guest/bridge"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
)

const (
	// killPatience is how long the Engine may take to tell of a kill for memory.
	killPatience     = 500 * time.Millisecond
	diskPatience     = 3 * time.Second
	handoverPatience = 60 * time.Second
)

// agent is reached over a container's streams, which carry its channel.
type agent struct {
	channel *handover.Channel
	events  *events
	ready   chan handover.Ready
	// gone is closed when the stream is over.
	gone chan struct{}
	disk chan usage

	// mutex guards knownKills: how many out-of-memory kills the agent has been told.
	mutex      sync.Mutex
	knownKills uint64
}

type usage struct{ used, total uint64 }

// stream is what a container writes, without its complaints, and what it reads.
type stream struct {
	io.Reader
	net.Conn
}

func (s stream) Read(into []byte) (int, error) { return s.Reader.Read(into) }

func newAgent(streams *attached, events *events) (*agent, error) {
	channel, agentEnd, err := handover.NewChannel()
	if err != nil {
		return nil, failure.Wrap(err, "make the agent's channel")
	}
	end, err := net.FileConn(agentEnd)
	agentEnd.Close()
	if err != nil {
		channel.Close()
		return nil, failure.Wrap(err, "make the agent's channel")
	}
	one := &agent{
		channel: channel, events: events,
		ready: make(chan handover.Ready, 1), gone: make(chan struct{}), disk: make(chan usage, 1),
	}
	carrier := bridge.New(stream{streams.output, streams.conn}, end.(*net.UnixConn), bridge.Options{Opens: true})
	go func() { _ = carrier.Run() }()
	go func() {
		defer close(one.gone)
		_ = channel.Listen(handover.Hearer{
			Ready:    func(ready handover.Ready) { one.ready <- ready },
			Kills:    one.tellKills,
			Done:     func(handover.Wish) {},
			Trouble:  func(string) {},
			Measured: one.measured,
		})
	}()
	return one, nil
}

func (a *agent) setup(setup json.RawMessage) error {
	return failure.Wrap(a.channel.Setup(setup, nil), "send the set-up")
}

// join gives a connection to the agent, who is told what it is for.
func (a *agent) join(connection *os.File, kind handover.Kind) {
	_ = a.channel.Give(connection, kind, time.Now().Add(handoverPatience))
	connection.Close()
}

func (a *agent) tellKills() uint64 {
	kills := a.events.outOfMemoryKills(a.toldKills(), killPatience)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.knownKills = kills
	return kills
}

func (a *agent) toldKills() uint64 {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.knownKills
}

func (a *agent) measured(used, total uint64) {
	select {
	case a.disk <- usage{used, total}:
	default:
	}
}

// diskUse asks the agent what its writable places hold and can hold. Bytes; false when it does not say.
func (a *agent) diskUse() (used, total uint64, ok bool) {
	select {
	case <-a.disk:
	default:
	}
	a.channel.Ask(handover.Measure)
	select {
	case told := <-a.disk:
		return told.used, told.total, true
	case <-a.gone:
	case <-time.After(diskPatience):
	}
	return 0, 0, false
}
