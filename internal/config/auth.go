package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ways to authenticate callers of the API, for API_AUTH.
const (
	authNone     = "none"
	authInsecure = "insecure"
	authKeys     = "keys"
	authOIDC     = "oidc"
)

// Auth says how callers of the API are authenticated. Its zero value is: not at all.
type Auth struct {
	Keys, OIDC bool
	// Insecure reports that anyone who reaches the API may do everything, off loopback too.
	Insecure bool
}

// authModes reads API_AUTH.
func authModes(field *Auth) kind {
	expected := "none, insecure, keys, oidc, or keys,oidc"
	return parsed(field, "none, insecure, or a list of keys, oidc", expected, func(value string) (a Auth, ok bool) {
		switch value {
		case authNone:
			return Auth{}, true
		case authInsecure:
			return Auth{Insecure: true}, true
		}
		for word := range strings.SplitSeq(value, ",") {
			one := map[string]*bool{authKeys: &a.Keys, authOIDC: &a.OIDC}[strings.TrimSpace(word)]
			if one == nil || *one {
				return Auth{}, false
			}
			*one = true
		}
		return a, true
	})
}

// issuer is stored as it is: tokens have it letter by letter. Keys that are read without TLS could be anyone's.
func issuer(field *string) kind {
	const expected = "a URL that begins with https://, without credentials, query and fragment; http:// on loopback only"
	return parsed(field, unitURI, expected, func(value string) (string, bool) {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.ContainsAny(value, "# ") {
			return "", false
		}
		return value, u.Scheme == "https" || u.Scheme == "http" && isLoopback(net.JoinHostPort(u.Hostname(), "80"))
	})
}

// RateLimit is how many requests a caller may send in a time. Its zero value is no limit.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// maxRequests bounds RateLimit.Requests.
const maxRequests = 1_000_000

func rateLimit(field *RateLimit) kind {
	expected := fmt.Sprintf("a number of requests from 1 to %d and a time from 1s to 1h, such as 100/1s or 3000/1m", maxRequests)
	return parsed(field, "requests/duration", expected, func(value string) (r RateLimit, ok bool) {
		number, per, _ := strings.Cut(value, "/")
		var err error
		if r.Requests, err = strconv.Atoi(strings.TrimSpace(number)); err != nil || r.Requests < 1 || r.Requests > maxRequests {
			return r, false
		}
		r.Per, err = ParseDuration(strings.TrimSpace(per))
		return r, err == nil && r.Per >= time.Second && r.Per <= time.Hour
	})
}

// checkAuth requires what API_AUTH needs.
func (l *loader) checkAuth() {
	if !l.config.Auth.OIDC {
		return
	}
	for _, needed := range []struct{ name, value string }{{"OIDC_ISSUER", l.config.OIDCIssuer}, {"OIDC_AUDIENCE", l.config.OIDCAudience}} {
		wrong := slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Name == needed.name })
		if needed.value == "" && !wrong {
			l.problem(needed.name, "", "a value, because API_AUTH has oidc")
		}
	}
}

// CheckAPI holds HTTP_ADDR against API_AUTH: a process that serves the API must not serve everyone by mistake. The error is an *Error.
func (c Config) CheckAPI() error {
	if c.Auth != (Auth{}) || isLoopback(c.HTTPAddr) {
		return nil
	}
	return &Error{Problems: []Problem{{
		Name: "API_AUTH", Value: authNone,
		Expected: "keys, oidc or keys,oidc, because HTTP_ADDR=" + c.HTTPAddr + " can be reached from other machines; " +
			"insecure lets everyone who reaches it do everything",
	}}}
}

// CheckCodec requires what a codec server needs: keys, and what CheckAPI requires, because it serves what the keys protect. The error is an *Error.
func (c Config) CheckCodec() error {
	err := c.CheckAPI()
	if !c.PayloadKeys.Empty() {
		return err
	}
	missing := &Error{Problems: []Problem{{Name: "PAYLOAD_KEYS", Expected: "the keys that encrypt what Temporal stores: without them there is nothing to decrypt"}}}
	var open *Error
	if errors.As(err, &open) {
		missing.Problems = append(missing.Problems, open.Problems...)
	}
	return missing
}

// CodecOrigins are the origins whose web pages may use a codec server: that of TEMPORAL_UI_URL, and HTTP_CORS_ORIGINS.
func (c Config) CodecOrigins() []string {
	origins := slices.Clone(c.HTTPCORSOrigins)
	if u, err := url.Parse(c.TemporalUIURL); err == nil && c.TemporalUIURL != "" {
		if origin, ok := originOf(u.Scheme+"://"+u.Host, nil); ok {
			origins = append(origins, origin)
		}
	}
	return origins
}

// Unsealed is the warning about settings for which IsUnsealed is true.
const Unsealed = "SEAL_MASTER_KEY is not set: the keys of customers are stored beside their data, and dead letters are stored in plain text"

// IsUnsealed reports whether other machines reach the process and the keys of sealed data are stored beside the data, in plain text.
func (c Config) IsUnsealed() bool { return c.SealMasterKeys.Active() == "" && !isLoopback(c.HTTPAddr) }

// IsOpen reports whether other machines reach the API and it authenticates no caller.
func (c Config) IsOpen() bool { return c.Auth.Insecure && !isLoopback(c.HTTPAddr) }
