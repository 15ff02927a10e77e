package clock

// cycles has nothing to read that a kernel could not find out by itself.
func cycles() uint64 { return 0 }
