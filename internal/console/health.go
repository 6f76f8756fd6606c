package console

import (
	"encoding/json"
	"net/http"
	"time"
)

type healthPage struct {
	Ready  bool
	Checks []check
	// Report is the last check of what must hold; nil when there is none yet, or when it cannot be read.
	Report *report
	Error  *failure
}

type check struct {
	Name       string          `json:"name"`
	Status     string          `json:"status"`
	Detail     string          `json:"detail"`
	Connection json.RawMessage `json:"connection"`
}

// report is the answer of GET /v1/reconcile.
type report struct {
	Status     string    `json:"status"`
	StartedAt  time.Time `json:"startedAt"`
	EndedAt    time.Time `json:"endedAt"`
	Violations int       `json:"violations"`
	Repaired   int       `json:"repaired"`
	Notes      int       `json:"notes"`
	Orders     int       `json:"orders"`
	Streams    int       `json:"streams"`
	SKUs       int       `json:"skus"`
	Payments   int       `json:"payments"`
	Findings   []finding `json:"findings"`
}

type finding struct {
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Detail   string `json:"detail"`
	Repair   string `json:"repair"`
	Repaired bool   `json:"repaired"`
	Note     bool   `json:"note"`
}

func showHealth(p *request) error {
	var h healthPage
	var ready struct {
		Checks []check `json:"checks"`
	}
	r, err := p.restRequest(http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	a := &answer{header: make(http.Header)}
	p.cfg.REST.ServeHTTP(a, r)
	_ = json.Unmarshal(a.body.Bytes(), &ready)
	h.Ready, h.Checks = a.status == http.StatusOK, ready.Checks
	var found report
	err = p.get("/v1/reconcile", &found)
	f := failureOf(err)
	switch {
	case err == nil:
		h.Report = &found
	case f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden:
		return err
	case f.Status != http.StatusNotFound:
		h.Error = &f
	}
	return p.render(http.StatusOK, "health", "Health", h)
}
