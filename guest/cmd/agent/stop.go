package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"cofferdam/guest/child"
)

const (
	// stopGrace is how long processes have to end by themselves before they are killed.
	stopGrace    = 2 * time.Second
	stopPatience = 8 * time.Second
)

// stop ends all that runs here and brings what it wrote to the disk.
func stop(table *child.Table) {
	var all []*child.Child
	table.Each(func(c *child.Child) {
		c.SignalTree(syscall.SIGTERM)
		all = append(all, c)
	})
	grace := time.After(stopGrace)
	for _, c := range all {
		select {
		case <-c.Done():
			continue
		case <-grace:
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	var group sync.WaitGroup
	table.Each(func(c *child.Child) {
		group.Add(1)
		go func() {
			defer group.Done()
			_ = c.KillTree(ctx, child.Killed)
		}()
	})
	group.Wait()
	syscall.Sync()
}

// bootIDFile says which boot this is: a pause that keeps files alone is followed by another one. The host's kernel, which
// some machines share, does not know.
const bootIDFile = "/run/cofferdam-boot-id"

func noteBoot() {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	_ = os.Remove(bootIDFile)
	file, err := os.OpenFile(bootIDFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = file.WriteString(text)
}
