package machine

import (
	"os"
	"sync/atomic"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
)

// link is a connection to the agent. A machine whose memory is brought to the disk gets another one.
type link struct {
	channel *handover.Channel
	// ready gives the agent's word that it serves; once.
	ready chan handover.Ready
	// over is closed when the agent's end is.
	over chan struct{}
	// parting says that its end is no loss.
	parting atomic.Bool
}

// newLink makes one, with the set-up on its way, and the agent's end of it.
func (m *Machine) newLink() (*link, *os.File, error) {
	channel, agentEnd, err := handover.NewChannel()
	if err != nil {
		return nil, nil, failure.Wrap(err, "make the agent's channel")
	}
	if err := m.sendSetup(channel); err != nil {
		channel.Close()
		agentEnd.Close()
		return nil, nil, failure.Wrap(err, "send the set-up")
	}
	return &link{channel: channel, ready: make(chan handover.Ready, 1), over: make(chan struct{})}, agentEnd, nil
}

// listen hears the agent until it is gone.
func (m *Machine) listen(one *link) {
	_ = one.channel.Listen(handover.Hearer{
		Ready: func(word handover.Ready) { one.ready <- word }, Kills: m.tellKills, Done: m.noteDone,
		Trouble: m.noteTrouble,
	})
	close(one.over)
	if !one.parting.Load() {
		m.lose()
	}
}

// lose notes that the agent is gone.
func (m *Machine) lose() { m.lost.Do(func() { close(m.gone) }) }

// part ends a link whose end is no loss.
func (l *link) part() {
	l.parting.Store(true)
	l.channel.Close()
}
