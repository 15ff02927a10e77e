package clock

// cycles reads the processor's own clock.
func cycles() uint64
