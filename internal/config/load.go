package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// maxSecretFile is the maximum size of a secret file; certificate chains fit.
const maxSecretFile = 1 << 20

// Load reads the settings from the environment, in the format of os.Environ. The error is an *Error with all problems; the Config is then not
// usable.
func Load(environ []string) (Config, error) {
	l := loader{environment: newEnvironment(environ)}
	l.config.temporal = make(environment)
	for _, s := range table(&l.config) {
		if prefix, ok := strings.CutSuffix(s.Name, "*"); ok {
			l.loadPrefix(s, prefix)
		} else if value, source, ok := l.find(s); ok {
			l.set(s, value, source)
		}
	}
	l.checkAuth()
	l.checkTLS()
	l.checkGateway()
	l.checkParticipants()
	l.checkTemporal()
	l.checkMail()
	if len(l.problems) > 0 {
		return Config{}, &Error{Problems: l.problems}
	}
	return l.config, nil
}

type loader struct {
	environment environment
	config      Config
	problems    []Problem
}

func (l *loader) problem(name, value, expected string) {
	l.problems = append(l.problems, Problem{Name: name, Value: quote(value), Expected: expected})
}

// set stores the value of a setting.
func (l *loader) set(s Setting, value string, source Source) {
	s.Value, s.Source = s.show(value), source
	l.config.settings = append(l.config.settings, s)
	if source == Unset {
		return
	}
	if expected := s.set(value); expected != "" {
		l.problem(s.Name, s.Value, expected)
	} else if strings.HasPrefix(s.Name, "TEMPORAL_") {
		l.config.temporal[s.Name] = value
	}
}

// loadPrefix reads all variables with a prefix. Their names are free, so none of them names a file.
func (l *loader) loadPrefix(s Setting, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(l.environment)) {
		if strings.HasPrefix(name, prefix) && len(name) > len(prefix) {
			s.Name = name
			l.set(s, l.environment[name], FromEnvironment)
		}
	}
}

// find returns the value of a setting. It returns false after it has reported a problem.
func (l *loader) find(s Setting) (string, Source, bool) {
	value, isSet := l.environment[s.Name]
	path, hasFile := l.environment[s.Name+fileSuffix]
	switch {
	case s.Secret && hasFile && isSet:
		l.problem(s.Name, s.show(value), fmt.Sprintf("only one of %s and %s%s", s.Name, s.Name, fileSuffix))
		return "", Unset, false
	case s.Secret && hasFile:
		value, expected := readSecret(path)
		if expected != "" {
			l.problem(s.Name+fileSuffix, path, expected)
		}
		return value, FromFile, expected == ""
	case isSet:
		return value, FromEnvironment, true
	case s.Default != "":
		return s.Default, FromDefault, true
	}
	return "", Unset, true
}

// readSecret reads a secret from a file, without trailing line breaks.
func readSecret(path string) (value, expected string) {
	expected = fmt.Sprintf("the path of a file of at most %d bytes that this process may read", maxSecretFile)
	if info, err := os.Stat(path); err != nil || info.IsDir() || info.Size() > maxSecretFile {
		return "", expected
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", expected
	}
	if value = strings.TrimRight(string(content), "\r\n"); value == "" {
		return "", "a file that is not empty"
	}
	return value, ""
}

// checkGateway requires an explicit gateway if HTTP_ADDR is not loopback: a simulator must not be used by mistake.
func (l *loader) checkGateway() {
	_, isSet := l.environment["PAYMENT_GATEWAY"]
	if addr := l.config.HTTPAddr; !isSet && addr != "" && !isLoopback(addr) {
		l.problem("PAYMENT_GATEWAY", "", gateways.expected+", set explicitly, because HTTP_ADDR="+addr+" can be reached from other machines")
	}
}

// environment has the variables that are not empty.
type environment map[string]string

// newEnvironment parses lines of NAME=value. As with os.Getenv, the first of several lines with the same name is used.
func newEnvironment(environ []string) environment {
	e := make(environment, len(environ))
	for _, line := range slices.Backward(environ) {
		if name, value, ok := strings.Cut(line, "="); ok {
			e[name] = value
		}
	}
	maps.DeleteFunc(e, func(_, value string) bool { return value == "" })
	return e
}

// quote quotes a value with spaces, quotes or control characters.
func quote(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' }) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
