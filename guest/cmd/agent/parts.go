package main

import (
	"cofferdam/guest/child"
	"cofferdam/guest/serve"
	"cofferdam/guest/settings"
)

// registerParts plugs in what other packages serve.
func registerParts(parts *serve.Parts, holder *settings.Holder, table *child.Table) {
	parts.Code.Handle("/", newKernels(holder, table))
}
