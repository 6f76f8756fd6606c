package config

import (
	"errors"
	"maps"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/ordersaga/ordersaga/internal/payloads"
)

// TemporalOptions returns the options of a Temporal client: address, namespace, credentials and TLS, as the SDK reads them from TEMPORAL_*
// (go.temporal.io/sdk/contrib/envconfig). The user's temporal.toml is ignored: a service must not depend on a home directory. They encrypt payloads with PayloadKeys. The
// caller adds logger and interceptors.
//
// Certificate files are read in every call. The error is an *Error.
func (c Config) TemporalOptions() (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{DisableFile: true, EnvLookup: c.temporal})
	if err != nil {
		// The SDK's error texts have paths, never content.
		return client.Options{}, &Error{Problems: []Problem{{Name: "TEMPORAL_TLS_*", Value: "(set)", Expected: "valid client settings: " + err.Error()}}}
	}
	if c.TemporalCompression == "none" {
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	payloads.Configure(&options, c.PayloadKeys)
	return options, nil
}

// checkTemporal validates the variables of the SDK, so that their errors are reported together with the others.
func (l *loader) checkTemporal() {
	var invalid *Error
	if _, err := l.config.TemporalOptions(); errors.As(err, &invalid) {
		l.problems = append(l.problems, invalid.Problems...)
	}
}

var _ envconfig.EnvLookup = environment(nil)

// Environ implements envconfig.EnvLookup.
func (e environment) Environ() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		lines = append(lines, name+"="+e[name])
	}
	return lines
}

// LookupEnv implements envconfig.EnvLookup.
func (e environment) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}
