package config

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// TemporalOptions returns the options of a Temporal client: address, namespace, credentials and TLS, as the SDK
// reads them from TEMPORAL_* (go.temporal.io/sdk/contrib/envconfig). The user's temporal.toml is not looked at:
// what a service does must not depend on whose home directory it runs in. Logger, converters and interceptors
// are the caller's to add.
//
// Certificate files are read anew by every call. The error is an *Error.
func (c Config) TemporalOptions() (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{DisableFile: true, EnvLookup: c.temporal})
	if err != nil {
		return client.Options{}, &Error{Problems: []Problem{temporalProblem(err)}}
	}
	if c.TemporalCompression == "none" {
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	return options, nil
}

// checkTemporal lets the SDK look at its variables, so that what it does not like is reported with the rest.
func (l *loader) checkTemporal() {
	if _, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{DisableFile: true, EnvLookup: l.config.temporal}); err != nil {
		l.problems = append(l.problems, temporalProblem(err))
	}
}

// temporalProblem is a problem that the SDK found. Its texts name paths and never content.
func temporalProblem(err error) Problem {
	return Problem{Name: "TEMPORAL_TLS_*", Value: "(set)", Expected: fmt.Sprintf("settings that make a client: %v", err)}
}

var _ envconfig.EnvLookup = environment(nil)

// Environ implements envconfig.EnvLookup.
func (e environment) Environ() []string {
	lines := make([]string, 0, len(e))
	for name, value := range e {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return lines
}

// LookupEnv implements envconfig.EnvLookup.
func (e environment) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}
