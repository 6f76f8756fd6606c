package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/participant"
)

// kind is the type of a setting. It validates and stores values.
type kind struct {
	// Unit describes the values, such as duration or URI.
	Unit string
	// Secret values are masked, and may be read from the file that <Name>_FILE names.
	Secret bool
	// set stores a value in the Config. It returns what is expected instead, or "".
	set func(value string) (expected string)
}

// unitURI is the unit of values that may contain credentials.
const unitURI = "URI"

func (k kind) secret() kind {
	k.Secret = true
	return k
}

// unchecked is for values that only the Temporal SDK checks.
func unchecked(unit string) kind {
	return kind{Unit: unit, set: func(string) string { return "" }}
}

// parsed stores the result of parse, which returns false for an invalid value.
func parsed[T any](field *T, unit, expected string, parse func(value string) (T, bool)) kind {
	return kind{Unit: unit, set: func(value string) string {
		v, ok := parse(value)
		if !ok {
			return expected
		}
		*field = v
		return ""
	}}
}

// rule is a condition on a text.
type rule struct {
	unit, expected string
	valid          func(value string) bool
}

// text stores a value if it satisfies all rules.
func text[T ~string](field *T, rules ...rule) kind {
	k := kind{set: func(value string) string {
		for _, r := range rules {
			if !r.valid(value) {
				return r.expected
			}
		}
		*field = T(value)
		return ""
	}}
	if len(rules) > 0 {
		k.Unit = rules[0].unit
	}
	return k
}

func inWords(choices []string) string {
	if len(choices) < 2 {
		return strings.Join(choices, "")
	}
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// startsWith accepts values that begin with one of the prefixes.
func startsWith(prefixes ...string) rule {
	return rule{
		expected: "a value that begins with " + strings.Join(prefixes, " or "),
		valid: func(value string) bool {
			return slices.ContainsFunc(prefixes, func(prefix string) bool { return len(value) > len(prefix) && strings.HasPrefix(value, prefix) })
		},
	}
}

func oneOf(choices ...string) rule {
	return rule{inWords(choices), inWords(choices), func(value string) bool { return slices.Contains(choices, value) }}
}

var trimmed = rule{"name", "no space around it", func(value string) bool { return strings.TrimSpace(value) == value }}

// address is the address of a listener: host:port; the host may be empty.
var address = rule{"host:port", "host:port, such as 127.0.0.1:8080 or :8080", func(value string) bool {
	host, port, err := net.SplitHostPort(value)
	return err == nil && isPort(port) && !strings.ContainsAny(host, "/ ")
}}

var onLoopback = rule{"host:port", "an address that only this machine can reach, such as 127.0.0.1:6060", isLoopback}

// target is the address of a gRPC server: host:port, optionally after dns:/// or passthrough:///.
var target = rule{"host:port", "host:port without a scheme, such as localhost:7233", func(value string) bool {
	value = strings.TrimPrefix(strings.TrimPrefix(value, "dns:///"), "passthrough:///")
	host, port, err := net.SplitHostPort(value)
	return err == nil && host != "" && isPort(port) && !strings.ContainsAny(host, "/ ")
}}

// database is a database name that MongoDB accepts on every platform.
var database = rule{"name", `a database name: at most 63 bytes, without spaces and /\."$*<>:|?`, func(value string) bool {
	return len(value) <= 63 && !strings.ContainsAny(value, "/\\. \"$*<>:|?\x00")
}}

var brokerNamePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// deploymentName is the name of a Worker Deployment, which Temporal joins with a build ID by a period or a colon.
var deploymentName = rule{"name", "a name without spaces, periods and colons", func(value string) bool { return !strings.ContainsAny(value, " .:") }}

// brokerName is part of a name on the broker; names that begin with amq. are reserved.
var brokerName = rule{
	"name", "letters, digits, dots, dashes and underscores, at most 100, and not beginning with amq.",
	func(value string) bool {
		return brokerNamePattern.MatchString(value) && !strings.HasPrefix(value, "amq.")
	},
}

var folder = rule{"path", "the path of a folder that this process may read", func(value string) bool {
	info, err := os.Stat(value)
	return err == nil && info.IsDir()
}}

var readable = rule{"path", "the path of a file that this process may read", func(value string) bool {
	f, err := os.Open(value)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}}

var mailAddress = rule{
	"address", "an e-mail address, such as orders@example.com or Shop <orders@example.com>",
	func(value string) bool { _, err := mail.ParseAddress(value); return err == nil },
}

// uriOf is a URI with one of the schemes. It checks only the scheme and that there is a host: the driver parses the rest, and net/url would
// refuse several hosts.
func uriOf(schemes ...string) rule {
	prefixes := make([]string, len(schemes))
	for i, s := range schemes {
		prefixes[i] = s + "://"
	}
	return rule{unitURI, "a URI that begins with " + inWords(prefixes) + " and names a host", func(value string) bool {
		scheme, rest, ok := strings.Cut(value, "://")
		rest = rest[strings.LastIndex(rest, "@")+1:]
		host := rest != "" && !strings.ContainsAny(rest[:1], "/?#")
		return ok && slices.Contains(schemes, scheme) && host && !strings.ContainsAny(value, " \t\r\n")
	}}
}

// webURL is stored without a trailing slash.
func webURL(field *string) kind {
	const expected = "a URL that begins with http:// or https://, without credentials and query"
	return parsed(field, unitURI, expected, func(value string) (string, bool) {
		u, err := url.Parse(value)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
		return strings.TrimRight(value, "/"), ok
	})
}

const unitFlag = "true or false"

func flag(field *bool) kind {
	return parsed(field, unitFlag, unitFlag, func(value string) (on, ok bool) {
		switch strings.ToLower(value) {
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
		return false, false
	})
}

// list is a comma-separated list. item normalizes an item and returns false for an invalid one.
func list(field *[]string, unit, expected string, item func(item string, before []string) (string, bool)) kind {
	return parsed(field, unit, expected, func(value string) (items []string, ok bool) {
		for part := range strings.SplitSeq(value, ",") {
			normal, ok := item(strings.TrimSpace(part), items)
			if !ok {
				return nil, false
			}
			items = append(items, normal)
		}
		return items, true
	})
}

func listOf(field *[]string, choices []string) kind {
	return list(field, "list of "+inWords(choices), "a list of "+inWords(choices)+", separated by commas, each once",
		func(item string, before []string) (string, bool) {
			return item, slices.Contains(choices, item) && !slices.Contains(before, item)
		})
}

func durationWithin(field *time.Duration, expected string, valid func(d time.Duration) bool) kind {
	return parsed(field, "duration", expected, func(value string) (time.Duration, bool) {
		d, err := ParseDuration(value)
		return d, err == nil && valid(d)
	})
}

func keys(field *keyset.Set) kind {
	return parsed(field, "", "an ID and the base64 of 32 bytes on each line, no ID twice", func(value string) (keyset.Set, bool) {
		set, err := keyset.Parse(value)
		return set, err == nil
	})
}

// signer are private keys of the audit log.
func signer(field *audit.Signer) kind {
	return parsed(field, "", "private keys of `ordersaga audit key new`, one on each line, all with one name", func(value string) (audit.Signer, bool) {
		s, err := audit.ParseSigner(value)
		return s, err == nil
	})
}

// publicKeys are public keys of the audit log.
func publicKeys(field *string) kind {
	return parsed(field, "public keys", "public keys of `ordersaga audit key new`, separated by spaces", func(value string) (string, bool) {
		_, err := audit.ParseKeys(value)
		return value, err == nil
	})
}

func duration(field *time.Duration) kind {
	return durationWithin(field, "a duration above zero, such as 90s, 5m, 2h30m or 6d", func(d time.Duration) bool { return d > 0 })
}

// durationOrOff is a duration, or 0 for off. Temporal's schedules have a resolution of seconds.
func durationOrOff(field *time.Duration) kind {
	return durationWithin(field, "0, or a duration of at least 1s, such as 90s, 5m, 2h30m or 6d", func(d time.Duration) bool {
		return d == 0 || d >= time.Second
	})
}

// smtpTimeout must be shorter than an attempt of the activity.
func smtpTimeout(field *time.Duration) kind {
	return durationWithin(field, "a duration above zero and at most 25s", func(d time.Duration) bool { return d > 0 && d <= 25*time.Second })
}

// participantTimeout must be shorter than an attempt of the activity.
func participantTimeout(field *time.Duration) kind {
	return durationWithin(field, "a duration above zero and at most 9s", func(d time.Duration) bool { return d > 0 && d <= 9*time.Second })
}

// inlineBudget must leave time for the rest of a workflow task, which is renewed after 8 s.
func inlineBudget(field *time.Duration) kind {
	return durationWithin(field, "0 or a duration of at most 5s", func(d time.Duration) bool { return d >= 0 && d <= 5*time.Second })
}

// secrets are secrets of Standard Webhooks, with white space between them.
func secrets(field *[]string) kind {
	return parsed(field, "", "one secret on each line; each "+participant.SecretRule, func(value string) ([]string, bool) {
		list := strings.Fields(value)
		return list, len(list) > 0 && !slices.ContainsFunc(list, func(s string) bool { return !participant.ValidSecret(s) })
	})
}

func count(field *int, unit string, lowest, highest int) kind {
	return parsed(field, unit, fmt.Sprintf("a whole number from %d to %d", lowest, highest), func(value string) (int, bool) {
		n, err := strconv.Atoi(value)
		return n, err == nil && n >= lowest && n <= highest
	})
}

func logLevel(field *slog.Level) kind {
	levels := oneOf("debug", "info", "warn", "error")
	return parsed(field, levels.unit, levels.expected, func(value string) (level slog.Level, ok bool) {
		err := level.UnmarshalText([]byte(value))
		return level, err == nil && levels.valid(strings.ToLower(value)) // slog also accepts offsets, such as info+2
	})
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback reports whether the address is on loopback. A name other than localhost is not resolved: its address may change.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
