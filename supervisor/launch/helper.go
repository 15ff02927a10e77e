package launch

import (
	"os"
	"time"

	"cofferdam/supervisor/failure"
)

// lastWords is how long what a helper has said is waited for when it is over.
const lastWords = time.Second

// Errand is a command of the runtime's beside the machine, in the same control groups.
type Errand struct {
	Words []string
	// Channel is its descriptor 3, which the caller keeps; nil: it has none.
	Channel  *os.File
	Patience time.Duration
	// Hurried ends it at once when it is closed.
	Hurried <-chan struct{}
}

// Help runs an errand and answers when it is over.
func (r *Runtime) Help(errand Errand) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return failure.Wrap(err, "open /dev/null")
	}
	defer null.Close()
	output, input, err := os.Pipe()
	if err != nil {
		return failure.Wrap(err, "make a pipe")
	}
	defer output.Close()
	files := []uintptr{null.Fd(), input.Fd(), input.Fd()}
	if errand.Channel != nil {
		files = append(files, errand.Channel.Fd())
	}
	pid, ended, err := r.reaper.follow(func() (int, error) { return fork(call{errand.Words, r.environment, files}, r.place) })
	input.Close()
	if err != nil {
		return startFailure(errand.Words[0], err)
	}
	said, read := &Tail{}, make(chan struct{})
	go func() {
		said.Follow(output)
		close(read)
	}()
	late := time.NewTimer(errand.Patience)
	defer late.Stop()
	select {
	case status := <-ended:
		if status.ExitStatus() == 0 {
			return nil
		}
		select {
		case <-read:
		case <-time.After(lastWords):
		}
		return failure.New(failure.Internal, "the runtime refused: %s", said.First())
	case <-late.C:
		err = failure.New(failure.Unavailable, "the runtime did not answer within %v", errand.Patience)
	case <-errand.Hurried:
		err = failure.New(failure.Lost, "the machine is ending")
	}
	r.reaper.kill(pid)
	<-ended
	return err
}
