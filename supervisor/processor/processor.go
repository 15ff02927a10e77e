// Package processor tells what the host's processor can do: a kernel's memory holds programs that have looked, and rely on it.
package processor

import (
	"os"
	"slices"
	"strings"
)

// abilities are the lines of /proc/cpuinfo that list them, by architecture.
var abilities = []string{"flags", "Features"}

// Abilities of the first processor, sorted, in one line; empty where the kernel does not say.
func Abilities() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		name, rest, found := strings.Cut(line, ":")
		if found && slices.Contains(abilities, strings.TrimSpace(name)) {
			words := strings.Fields(rest)
			slices.Sort(words)
			return strings.Join(words, " ")
		}
	}
	return ""
}

// Lacks answers which of the abilities noted the other list has not.
func Lacks(noted, present string) []string {
	has := strings.Fields(present)
	var lacking []string
	for _, ability := range strings.Fields(noted) {
		if !slices.Contains(has, ability) {
			lacking = append(lacking, ability)
		}
	}
	return lacking
}
