package machine

// Report is the one line that the maker of a machine reads.
type Report struct {
	OK              bool   `json:"ok"`
	AgentVersion    string `json:"agentVersion"`
	ProtocolVersion string `json:"protocolVersion"`
	// Timings of the stages. Milliseconds.
	Timings map[string]float64 `json:"timings"`
}

// Report answers what was made.
func (m *Machine) Report() Report {
	return Report{
		OK:              true,
		AgentVersion:    m.ready.AgentVersion,
		ProtocolVersion: m.ready.ProtocolVersion,
		Timings:         m.timings.stages,
	}
}
