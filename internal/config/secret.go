package config

import (
	"log/slog"
	"net/url"
	"strings"
)

// masked replaces a secret that is not shown.
const masked = "***"

// Secret is a setting that must not be shown. Whatever prints it prints it masked; Reveal returns it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns the secret masked: of a URI, what is not secret stays.
func (s Secret) String() string { return mask(string(s)) }

// Host returns the host and port of a secret URL, for logs and messages.
func (s Secret) Host() string {
	u, err := url.Parse(string(s))
	if err != nil {
		return "(unreadable)"
	}
	return u.Host
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps logs from showing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// secretParameters are words in the names of query parameters whose values are credentials.
var secretParameters = []string{"password", "passphrase", "token", "secret", "authmechanismproperties"}

// mask hides the secret parts of a value. It does not parse: a value that is broken is masked all the same, and
// net/url refuses addresses that are right for MongoDB (several hosts). In doubt it hides more than it must.
func mask(value string) string {
	if value == "" {
		return ""
	}
	scheme, rest, isURI := strings.Cut(value, "://")
	if !isURI || strings.ContainsAny(scheme, "@:/? ") {
		return masked
	}
	// A password may hold unescaped separators: everything up to the last @ is taken for credentials.
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if strings.ContainsAny(user, "/?#@") {
			user = masked
		}
		if hasPassword {
			user += ":" + masked
		}
		rest = user + rest[at:]
	}
	return scheme + "://" + maskQuery(rest)
}

func maskQuery(rest string) string {
	path, query, ok := strings.Cut(rest, "?")
	if !ok {
		return rest
	}
	parameters := strings.Split(query, "&")
	for i, parameter := range parameters {
		name, _, hasValue := strings.Cut(parameter, "=")
		lower := strings.ToLower(name)
		for _, word := range secretParameters {
			if hasValue && strings.Contains(lower, word) {
				parameters[i] = name + "=" + masked
			}
		}
	}
	return path + "?" + strings.Join(parameters, "&")
}
