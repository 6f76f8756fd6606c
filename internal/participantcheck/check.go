// Package participantcheck checks a team's own warehouse or payment service against the contract of HTTP participants, api/participant.yaml. It plays
// what happens in production: repeated, concurrent, late, abandoned and forged requests.
//
// A check makes real reservations and payments: it is for test systems. It needs a SKU with stock, and payment methods that the service approves
// and refuses. Every key and order ID that it uses is new.
//
// The package imports api for the contract and no other package of this module: it must not share a mistake with the client that it is a
// model of.
package participantcheck

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Service is a kind of participant.
type Service string

// The kinds of participants.
const (
	Inventory Service = "inventory"
	Payment   Service = "payment"
)

// Config is what to check, and with which data.
type Config struct {
	Service Service
	// URL is the service, with its path.
	URL string
	// Secret is the shared secret, whsec_ and base64. Without it requests are not signed, and the rules about signatures are skipped.
	Secret string
	// Timeout bounds each request; the default is 5 seconds.
	Timeout time.Duration
	// Transport sends the requests; the default is http.DefaultTransport's settings.
	Transport *http.Transport
	// Rules are the names of the rules to check; none means all.
	Rules []string
	// Progress, if set, is called with each result.
	Progress func(Result)

	// SKU is in stock, at least Stock of it; UnknownSKU is unknown to the service. For inventory.
	SKU, UnknownSKU string
	// Method is approved, RefusedMethod is refused. For payment, as the following.
	Method, RefusedMethod string
	// PendingMethod waits for its payer, CaptureRefusedMethod is authorized and its capture is refused. Without them their rules are skipped.
	PendingMethod, CaptureRefusedMethod string
	// Currency is the currency of every payment.
	Currency string

	// atOnce, if set, is called with how many requests are sent at once from now on. For tests.
	atOnce func(n int)
}

const (
	// Stock is how many of the SKU the check reserves at the same time.
	Stock = 10
	// Amount is the amount of every payment, in minor units.
	Amount = 1000

	defaultTimeout = 5 * time.Second
)

// Status is what a rule came to.
type Status string

// Statuses of rules.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Special is what was unusual about the request, such as a wrong signature.
	Special string `json:"special,omitempty"`
	Sent    string `json:"sent,omitempty"`
	Status  int    `json:"status,omitempty"`
	Came    string `json:"came,omitempty"`
	// Error is why there was no answer.
	Error string `json:"error,omitempty"`
}

// Failure is where a service broke a rule: the last exchange is the one that should have been different.
type Failure struct {
	// Step is what was tried, Expected the correct answer, Problem what was wrong with the answer, if its form was.
	Step     string `json:"step"`
	Expected string `json:"expected"`
	Problem  string `json:"problem,omitempty"`
	// Exchanges are all requests of the rule up to this one.
	Exchanges []Exchange `json:"exchanges"`
}

// Result is the result of a rule.
type Result struct {
	Rule     string   `json:"rule"`
	Contract string   `json:"contract"`
	Status   Status   `json:"status"`
	Failure  *Failure `json:"failure,omitempty"`
	// Fix says how to mend the service, if the rule failed.
	Fix string `json:"fix,omitempty"`
	// Note says why a rule was skipped, or what was unusual.
	Note string `json:"note,omitempty"`
}

// Report has the results of all rules.
type Report struct {
	Service Service  `json:"service"`
	URL     string   `json:"url"`
	Passed  bool     `json:"passed"`
	Results []Result `json:"results"`
}

// rule is a sentence of the contract, and how to test it.
type rule struct {
	name, contract, fix string
	// first is set for a rule without which no other one makes sense.
	first bool
	// needs returns what the rule lacks, or nothing.
	needs func(Config) string
	play  func(*play)
}

func (c Config) validate() (*client, error) {
	if c.Service != Inventory && c.Service != Payment {
		return nil, fmt.Errorf("service %q: expected inventory or payment", c.Service)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL %q: expected http:// or https://, a host, and a path at most", c.URL)
	}
	var secret []byte
	if c.Secret != "" {
		encoded, ok := strings.CutPrefix(c.Secret, "whsec_")
		if secret, err = base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(secret) < 24 || len(secret) > 64 {
			return nil, errors.New("the secret is not valid: expected whsec_ and the base64 of 24 to 64 bytes")
		}
	}
	if c.Service == Inventory && c.SKU == c.UnknownSKU || c.Service == Payment && c.Method == c.RefusedMethod {
		return nil, errors.New("the test data must differ: a SKU in stock and an unknown one, a method that is approved and one that is refused")
	}
	return newClient(strings.TrimRight(c.URL, "/"), secret, cmp.Or(c.Timeout, defaultTimeout), c.Transport)
}

// Check plays every rule. The error is set if the check is not possible: the configuration is invalid, the service does not respond or refuses the
// signature, or the context ended.
func Check(ctx context.Context, cfg Config) (Report, error) {
	c, err := cfg.validate()
	if err != nil {
		return Report{}, err
	}
	defer c.close()
	rules, err := selectRules(rulesOf(cfg.Service), cfg)
	if err != nil {
		return Report{}, err
	}
	switch a := c.send(ctx, request{op: describe}); {
	case a.Status == 0:
		return Report{}, fmt.Errorf("no answer from %s: %s", c.url, a.Error)
	case a.Status == http.StatusUnauthorized && cfg.Secret == "":
		return Report{}, fmt.Errorf("%s requires signed requests (401): set the secret", c.url)
	case a.Status == http.StatusUnauthorized:
		return Report{}, fmt.Errorf("%s refuses a correct signature (401): use the secret of the service, and compare the clocks", c.url)
	}
	report := Report{Service: cfg.Service, URL: c.url, Passed: true}
	var unusable string
	for _, r := range rules {
		result := Result{Rule: r.name, Contract: r.contract, Status: Skipped, Note: unusable}
		if r.needs != nil && unusable == "" {
			result.Note = r.needs(cfg)
		}
		if result.Note == "" {
			result = r.run(ctx, c, cfg)
		}
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if result.Status == Failed {
			report.Passed = false
			if r.first {
				unusable = "rule " + r.name + " failed"
			}
		}
		report.Results = append(report.Results, result)
		if cfg.Progress != nil {
			cfg.Progress(result)
		}
	}
	return report, nil
}

// selectRules returns the rules with the names of the configuration.
func selectRules(rules []rule, cfg Config) ([]rule, error) {
	if len(cfg.Rules) == 0 {
		return rules, nil
	}
	var selected []rule
	var all []string
	for _, r := range rules {
		all = append(all, r.name)
		if slices.Contains(cfg.Rules, r.name) {
			selected = append(selected, r)
		}
	}
	for _, name := range cfg.Rules {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no rule %s for %s; the rules are %s", name, cfg.Service, strings.Join(all, ", "))
		}
	}
	return selected, nil
}

func (r rule) run(ctx context.Context, c *client, cfg Config) Result {
	p := &play{ctx: ctx, client: c, cfg: cfg}
	r.play(p)
	result := Result{Rule: r.name, Contract: r.contract, Status: Passed, Failure: p.failure, Note: p.note}
	if p.failure != nil {
		result.Status, result.Fix = Failed, r.fix
	}
	return result
}
