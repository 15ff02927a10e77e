package main

import (
	"flag"
	"os"

	"cofferdam/guest/child"
	"cofferdam/guest/code"
	"cofferdam/guest/settings"
	"cofferdam/guest/users"
)

// kernelPrograms is where the guest layer has the kernels.
var kernelPrograms = flag.String("kernels", "/.cofferdam/kernels", "the directory of the code kernels")

// newKernels makes the code interpreter; its kernels run as the default user, each in a tree of its own.
func newKernels(holder *settings.Holder, table *child.Table) *code.Kernels {
	return code.New(code.Options{
		Directory: *kernelPrograms,
		Warm:      holder.Get().Warm,
		Machine:   func() (code.Machine, error) { return machineFacts(holder, table) },
	})
}

// machineFacts is asked for each start: the host may put other settings in force.
func machineFacts(holder *settings.Holder, table *child.Table) (code.Machine, error) {
	user, err := holder.User("")
	if err != nil {
		return code.Machine{}, err
	}
	current := holder.Get()
	return code.Machine{
		Launch: code.LaunchIn(table, user), User: user.Name, Workdir: workdir(user, current.Workdir), Envs: current.Envs,
		Home: user.Home,
	}, nil
}

// workdir is where code runs that names no place: the sandbox's, or the user's home, or the root where there is neither.
func workdir(user *users.User, asked string) string {
	path, err := users.Resolve("", user, asked)
	if err != nil {
		return "/"
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "/"
	}
	return path
}
