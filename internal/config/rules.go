package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is how a value gets into a Config. It answers with what was expected instead, or "".
type rule = func(c *Config, value string) (expected string)

// oneOf lists choices in words.
func oneOf(choices []string) string {
	if len(choices) < 2 {
		return strings.Join(choices, "")
	}
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// accept takes every value: somebody else checks it.
func accept(*Config, string) string { return "" }

func boolean(_ *Config, value string) string {
	switch strings.ToLower(value) {
	case "true", "false", "1", "0":
		return ""
	}
	return unitBool
}

func flag(field func(*Config) *bool) rule {
	return func(c *Config, value string) string {
		if expected := boolean(c, value); expected != "" {
			return expected
		}
		*field(c) = value == "1" || strings.EqualFold(value, "true")
		return ""
	}
}

func text(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if strings.TrimSpace(value) != value {
			return "no space around it"
		}
		*field(c) = value
		return ""
	}
}

func choice(field func(*Config) *string, choices []string) rule {
	return func(c *Config, value string) string {
		if !slices.Contains(choices, value) {
			return oneOf(choices)
		}
		*field(c) = value
		return ""
	}
}

func list(field func(*Config) *[]string, choices []string) rule {
	return func(c *Config, value string) string {
		var items []string
		for item := range strings.SplitSeq(value, ",") {
			item = strings.TrimSpace(item)
			if !slices.Contains(choices, item) || slices.Contains(items, item) {
				return "a list of " + oneOf(choices) + ", separated by commas, each once"
			}
			items = append(items, item)
		}
		*field(c) = items
		return ""
	}
}

func duration(field func(*Config) *time.Duration) rule {
	return func(c *Config, value string) string {
		d, err := ParseDuration(value)
		if err != nil || d <= 0 {
			return "a duration above zero, such as 90s, 5m, 2h30m or 6d"
		}
		*field(c) = d
		return ""
	}
}

// durationOrOff takes 0 for off. Temporal's schedules have seconds.
func durationOrOff(field func(*Config) *time.Duration) rule {
	return func(c *Config, value string) string {
		if value == "0" {
			value = "0s"
		}
		d, err := ParseDuration(value)
		if err != nil || d < 0 || d > 0 && d < time.Second {
			return "0, or a duration of at least 1s, such as 90s, 5m, 2h30m or 6d"
		}
		*field(c) = d
		return ""
	}
}

func count(field func(*Config) *int, lowest, highest int) rule {
	return func(c *Config, value string) string {
		n, err := strconv.Atoi(value)
		if err != nil || n < lowest || n > highest {
			return fmt.Sprintf("a whole number from %d to %d", lowest, highest)
		}
		*field(c) = n
		return ""
	}
}

// address takes what a listener listens on: host:port, where the host may be missing.
func address(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		host, port, err := net.SplitHostPort(value)
		if err != nil || !validPort(port) || strings.ContainsAny(host, "/ ") {
			return "host:port, such as 127.0.0.1:8080 or :8080"
		}
		*field(c) = value
		return ""
	}
}

// loopback takes an address that only this machine can reach.
func loopback(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if expected := address(field)(c, value); expected != "" {
			return expected
		}
		if !isLoopback(value) {
			return "an address that only this machine can reach, such as 127.0.0.1:6060"
		}
		return ""
	}
}

// target takes what a gRPC client dials: host:port, or that behind dns:/// or passthrough:///.
func target(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		rest := value
		for _, scheme := range []string{"dns:///", "passthrough:///"} {
			rest = strings.TrimPrefix(rest, scheme)
		}
		host, port, err := net.SplitHostPort(rest)
		if err != nil || host == "" || !validPort(port) || strings.ContainsAny(host, "/ ") {
			return "host:port without a scheme, such as localhost:7233"
		}
		*field(c) = value
		return ""
	}
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// uri takes a secret URI of one of the schemes. It looks at the scheme and that a host is there, no more: the
// driver reads the rest, and net/url would refuse several hosts.
func uri(field func(*Config) *Secret, schemes ...string) rule {
	return func(c *Config, value string) string {
		scheme, rest, ok := strings.Cut(value, "://")
		if !ok || !slices.Contains(schemes, scheme) || hostOf(rest) == "" || strings.ContainsAny(value, " \t\r\n") {
			return "a URI that begins with " + oneOf(withSeparator(schemes)) + " and names a host"
		}
		*field(c) = Secret(value)
		return ""
	}
}

func withSeparator(schemes []string) []string {
	prefixes := make([]string, len(schemes))
	for i, s := range schemes {
		prefixes[i] = s + "://"
	}
	return prefixes
}

// hostOf returns the host of a URI whose scheme is cut off.
func hostOf(rest string) string {
	rest = rest[strings.LastIndex(rest, "@")+1:]
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

func webURL(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		u, err := url.Parse(value)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "a URL that begins with http:// or https://, without credentials and query"
		}
		*field(c) = strings.TrimRight(value, "/")
		return ""
	}
}

// database takes what MongoDB takes for the name of a database on every system.
func database(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if len(value) > 63 || strings.ContainsAny(value, "/\\. \"$*<>:|?\x00") {
			return "a database name: at most 63 bytes, without spaces and /\\.\"$*<>:|?"
		}
		*field(c) = value
		return ""
	}
}

var brokerNamePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// brokerName takes part of a name on the broker; names that begin with amq. are the broker's own.
func brokerName(field func(*Config) *string) rule {
	return func(c *Config, value string) string {
		if !brokerNamePattern.MatchString(value) || strings.HasPrefix(value, "amq.") {
			return "letters, digits, dots, dashes and underscores, at most 100, and not beginning with amq."
		}
		*field(c) = value
		return ""
	}
}

func logLevel(c *Config, value string) string {
	switch strings.ToLower(value) {
	case "debug", "info", "warn", "error":
		if c.LogLevel.UnmarshalText([]byte(value)) == nil {
			return ""
		}
	}
	return "debug, info, warn or error"
}

func logFormat(c *Config, value string) string {
	if !slices.Contains(logFormats, value) {
		return oneOf(logFormats)
	}
	c.LogFormat = LogFormat(value)
	return ""
}

// isLoopback reports whether only this machine reaches the address. A name other than localhost is not looked
// up: it might mean something else tomorrow.
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
