package config

import (
	"log/slog"
	"net/url"
	"strings"
)

// masked replaces a secret.
const masked = "***"

// Secret is a setting that is masked wherever it is printed. Reveal returns it.
type Secret string

// Reveal returns the secret.
func (s Secret) Reveal() string { return string(s) }

// String returns the masked secret; the parts of a URI that are not secret are kept.
func (s Secret) String() string { return mask(string(s)) }

// Host returns host and port of a secret URL, for logs.
func (s Secret) Host() string {
	u, err := url.Parse(string(s))
	if err != nil {
		return "(unreadable)"
	}
	return u.Host
}

// GoString masks the secret in %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText masks the secret in encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// secretParameters are parts of names of query parameters that are credentials.
var secretParameters = []string{"password", "passphrase", "token", "secret", "authmechanismproperties"}

// mask masks the secret parts of a value. It does not use net/url, which refuses several hosts, valid for MongoDB, and must mask invalid values,
// too. In doubt it masks more than necessary.
func mask(value string) string {
	if value == "" {
		return ""
	}
	scheme, rest, isURI := strings.Cut(value, "://")
	if !isURI || strings.ContainsAny(scheme, "@:/? ") {
		return masked
	}
	// A password may have unescaped separators: everything before the last @ is treated as credentials.
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
