package main

import (
	"cofferdam/guest/child"
	"cofferdam/guest/filesystem"
	"cofferdam/guest/serve"
	"cofferdam/guest/settings"
)

// registerParts plugs in what other packages serve.
func registerParts(parts *serve.Parts, holder *settings.Holder, table *child.Table) {
	filesystem.Register(parts.Envd, holder)
	parts.Code.Handle("/", newKernels(holder, table))
}
