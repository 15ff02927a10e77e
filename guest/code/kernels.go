// Package code runs code in kernels, processes that keep the state between runs, and speaks the code interpreter's
// protocol: /execute and /contexts.
package code

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const maxContexts = 64

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Options is what kernels need to know of their machine.
type Options struct {
	// Machine is asked for what may change: each kernel is started with what holds then.
	Machine func() (Machine, error)
	// Directory holds the kernels' programs: /.cofferdam/kernels.
	Directory string
	// Warm lists the languages whose default kernel is started at once, and again after it died.
	Warm []string
	// Root is put before the paths in which programs are looked up; for tests.
	Root string
}

// Machine is whom kernels run as, where, and with what environment.
type Machine struct {
	Launch     Launch
	User, Home string
	// Workdir is where a context begins that names no directory.
	Workdir string
	// Envs is the sandbox's environment.
	Envs map[string]string
}

// Kernels holds the contexts of a machine.
type Kernels struct {
	options Options

	mu       sync.Mutex
	contexts []*Context // in the order of their creation
	defaults map[string]*Context
}

// New makes the default contexts of Python and JavaScript, where the template has them, and starts the warm ones.
func New(options Options) *Kernels {
	s := &Kernels{options: options, defaults: map[string]*Context{}}
	for _, language := range []string{"python", "javascript"} {
		if _, err := s.program(language); err == nil {
			s.mu.Lock()
			_, _ = s.addDefault(language) // there is room for the first ones
			s.mu.Unlock()
		}
	}
	for _, name := range options.Warm {
		if language := languageOf(name); language != "" {
			if c, err := s.byLanguage(language); err == nil {
				go s.warm(c)
			}
		}
	}
	return s
}

// warm starts a context's kernel before it is asked for.
func (s *Kernels) warm(c *Context) {
	release, err := c.acquire(context.Background())
	if err != nil {
		return
	}
	defer release()
	// A failure is told to the first run, which tries again.
	_, _ = c.live(s.start)
}

func (s *Kernels) isWarm(c *Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.defaults[c.Language] == c && slices.ContainsFunc(s.options.Warm, func(name string) bool {
		return languageOf(name) == c.Language
	})
}

// program finds a language's program in the template.
func (s *Kernels) program(language string) (string, error) {
	name := dialects[language].program
	machine, err := s.options.Machine()
	if err != nil {
		return "", failed(Unavailable, err.Error())
	}
	path := machine.Envs["PATH"]
	if path == "" {
		path = defaultPath
	}
	for _, directory := range filepath.SplitList(path) {
		file := filepath.Join(directory, name)
		info, err := os.Stat(filepath.Join(s.options.Root, file))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(file) {
			return file, nil
		}
	}
	return "", failed(Unsupported, fmt.Sprintf("language '%s' is not in this template: it has no %s", language, name))
}

// start spawns a kernel for a context.
func (s *Kernels) start(c *Context) (*kernel, error) {
	program, err := s.program(c.Language)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Join(s.options.Root, c.Cwd)); err != nil || !info.IsDir() {
		return nil, failed(Invalid, fmt.Sprintf("cwd '%s' is no directory", c.Cwd))
	}
	machine, err := s.options.Machine()
	if err != nil {
		return nil, failed(Unavailable, err.Error())
	}
	envs := map[string]string{
		"PATH": defaultPath, "HOME": machine.Home, "USER": machine.User, "LOGNAME": machine.User, "LANG": "C.UTF-8",
		"SHELL": "/bin/bash",
	}
	maps.Copy(envs, machine.Envs)
	d := dialects[c.Language]
	return spawn(d, machine.Launch, Program{
		Argv: d.argv(program, s.options.Directory),
		Envs: envs,
		Dir:  c.Cwd,
	})
}

// Create makes a context and starts its kernel.
func (s *Kernels) Create(ctx context.Context, language, cwd string) (*Context, error) {
	known := languageOf(language)
	if known == "" {
		return nil, unknownLanguage(language)
	}
	if _, err := s.program(known); err != nil {
		return nil, err
	}
	if cwd == "" {
		cwd = s.workdir()
	}
	if !filepath.IsAbs(cwd) || strings.ContainsRune(cwd, 0) {
		return nil, failed(Invalid, "cwd must be an absolute path")
	}
	s.mu.Lock()
	c, err := s.add(known, cwd)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	release, err := c.acquire(ctx)
	if err == nil {
		_, err = c.live(s.start)
		release()
	}
	if err != nil {
		_ = s.Remove(c.ID)
		return nil, named(err, known)
	}
	return c, nil
}

func unknownLanguage(language string) error {
	return failed(Invalid, fmt.Sprintf("unknown language '%.64s'; known: %s", language, languageNames()))
}

// named says which language an error of a kernel's start is about.
func named(err error, language string) error {
	known := asError(err)
	if known.Code == Unsupported && !strings.HasPrefix(known.Message, "language ") {
		return failed(Unsupported, fmt.Sprintf("language '%s' is not in this template: %s", language, known.Message))
	}
	return err
}

// add makes a context. The lock is held.
func (s *Kernels) add(language, cwd string) (*Context, error) {
	if len(s.contexts) >= maxContexts {
		return nil, failed(Exhausted, fmt.Sprintf("there are %d contexts already; remove one", maxContexts))
	}
	c := newContext(newID(), language, cwd)
	s.contexts = append(s.contexts, c)
	return c, nil
}

func (s *Kernels) addDefault(language string) (*Context, error) {
	c, err := s.add(language, s.workdir())
	if err == nil {
		s.defaults[language] = c
	}
	return c, err
}

func (s *Kernels) workdir() string {
	if machine, err := s.options.Machine(); err == nil {
		return machine.Workdir
	}
	return "/"
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// byLanguage is the language's default context, made when it is first asked for.
func (s *Kernels) byLanguage(language string) (*Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.defaults[language]; ok {
		return c, nil
	}
	if _, err := s.program(language); err != nil {
		return nil, err
	}
	return s.addDefault(language)
}

// List gives the contexts in the order of their creation.
func (s *Kernels) List() []*Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.contexts)
}

func (s *Kernels) find(id string) (*Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.contexts {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, failed(NotFound, fmt.Sprintf("context '%.64s' does not exist", id))
}

// Remove ends a context. A run in it fails.
func (s *Kernels) Remove(id string) error {
	c, err := s.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.contexts = slices.DeleteFunc(s.contexts, func(other *Context) bool { return other == c })
	if s.defaults[c.Language] == c {
		delete(s.defaults, c.Language)
	}
	s.mu.Unlock()
	c.remove()
	return nil
}

// Restart gives a context a new kernel. A run in it fails.
func (s *Kernels) Restart(ctx context.Context, id string) error {
	c, err := s.find(id)
	if err != nil {
		return err
	}
	if k := c.current(); k != nil {
		k.kill("it was restarted")
	}
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if k := c.current(); k != nil && !k.dead() {
		k.discard("it was restarted")
	}
	if _, err = c.live(s.start); err != nil {
		return named(err, c.Language)
	}
	return nil
}

// Interrupt asks what runs in a context to stop. false: nothing ran.
func (s *Kernels) Interrupt(id string) (bool, error) {
	c, err := s.find(id)
	if err != nil {
		return false, err
	}
	if k := c.current(); k != nil {
		if r := k.run.Load(); r != nil {
			r.interrupt()
			return true, nil
		}
	}
	return false, nil
}
