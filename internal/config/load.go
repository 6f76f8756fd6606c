package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Source says where a setting comes from.
type Source string

// The sources of settings.
const (
	FromDefault     Source = "default"
	FromEnvironment Source = "environment"
	FromFile        Source = "file"
	// Unset means that there is no value and no default.
	Unset Source = "not set"
)

// Setting is a variable and its effective value.
type Setting struct {
	Variable
	// Value is the effective value, masked when it is a secret; empty when there is none.
	Value string
	// Source says where the value comes from.
	Source Source
}

// maxSecretFile is how much of a secret's file is read: chains of certificates fit, a wrong path to something
// huge does no harm.
const maxSecretFile = 1 << 20

// Load reads the settings from the environment, which looks as os.Environ returns it. The error is an *Error
// that names every problem; the Config is then not usable.
func Load(environ []string) (Config, error) {
	l := loader{environment: newEnvironment(environ)}
	l.config.temporal = make(environment)
	for _, r := range table {
		if prefix, ok := strings.CutSuffix(r.Name, "*"); ok {
			l.loadPrefix(r, prefix)
			continue
		}
		if value, source, ok := l.find(r.Variable); ok {
			l.take(r, value, source)
		}
	}
	l.checkGateway()
	l.checkTemporal()
	l.checkMail()
	if len(l.problems) > 0 {
		return Config{}, &Error{Problems: l.problems}
	}
	return l.config, nil
}

// loader is one run of Load.
type loader struct {
	environment environment
	config      Config
	problems    []Problem
}

func (l *loader) problem(name, value, format string, args ...any) {
	l.problems = append(l.problems, Problem{Name: name, Value: quote(value), Expected: fmt.Sprintf(format, args...)})
}

// take puts the value of a variable into the Config.
func (l *loader) take(r row, value string, source Source) {
	l.config.settings = append(l.config.settings, Setting{Variable: r.Variable, Value: r.show(value), Source: source})
	if source == Unset {
		return
	}
	if expected := r.set(&l.config, value); expected != "" {
		l.problem(r.Name, r.show(value), "%s", expected)
		return
	}
	if strings.HasPrefix(r.Name, "TEMPORAL_") {
		l.config.temporal[r.Name] = value
	}
}

// loadPrefix reads every variable that begins with prefix. Their names are free, so none of them names a file.
func (l *loader) loadPrefix(r row, prefix string) {
	names := make([]string, 0)
	for name := range l.environment {
		if strings.HasPrefix(name, prefix) && len(name) > len(prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		named := r
		named.Name = name
		l.take(named, l.environment[name], FromEnvironment)
	}
}

// find returns the value of a variable. It reports false when that could not be found out, with a problem noted.
func (l *loader) find(v Variable) (string, Source, bool) {
	value, isSet := l.environment[v.Name]
	if v.Secret {
		if path, hasFile := l.environment[v.Name+fileSuffix]; hasFile {
			if isSet {
				l.problem(v.Name, v.show(value), "only one of %s and %s%s", v.Name, v.Name, fileSuffix)
				return "", Unset, false
			}
			return l.readFile(v.Name+fileSuffix, path)
		}
	}
	switch {
	case isSet:
		return value, FromEnvironment, true
	case v.Default != "":
		return v.Default, FromDefault, true
	}
	return "", Unset, true
}

// readFile reads a secret from its file, without the line end that editors leave.
func (l *loader) readFile(name, path string) (string, Source, bool) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Size() > maxSecretFile {
		l.problem(name, path, "the path of a file of at most %d bytes that this process may read", maxSecretFile)
		return "", Unset, false
	}
	content, err := os.ReadFile(path)
	if err != nil {
		l.problem(name, path, "the path of a file of at most %d bytes that this process may read", maxSecretFile)
		return "", Unset, false
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		l.problem(name, path, "a file that is not empty")
		return "", Unset, false
	}
	return value, FromFile, true
}

// checkGateway refuses to take play money from strangers: off loopback the gateway must be named.
func (l *loader) checkGateway() {
	_, isSet := l.environment["PAYMENT_GATEWAY"]
	if !isSet && l.config.HTTPAddr != "" && !isLoopback(l.config.HTTPAddr) {
		l.problem("PAYMENT_GATEWAY", "", "%s, by name, because HTTP_ADDR=%s can be reached from other machines",
			oneOf(gateways), l.config.HTTPAddr)
	}
}

// environment is a set of variables; those that are set to nothing are not in it.
type environment map[string]string

// newEnvironment reads lines of NAME=value. As with os.Getenv, the first of two lines of one name counts.
func newEnvironment(environ []string) environment {
	e := make(environment, len(environ))
	seen := make(map[string]bool, len(environ))
	for _, line := range environ {
		name, value, ok := strings.Cut(line, "=")
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		if value != "" {
			e[name] = value
		}
	}
	return e
}

// quote quotes a value that would be hard to read in a line of text.
func quote(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' }) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
