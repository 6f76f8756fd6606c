package e2e

import (
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ordersaga/ordersaga/test/hostile"
)

// contract holds every request of these tests to the service, and every answer, to openapi.yaml.
var contract contractCheck

// contractCheck collects what is not as openapi.yaml describes it.
type contractCheck struct {
	spec *hostile.Spec

	mu         sync.Mutex
	violations []error
	// suspended is set while a service of an older version runs.
	suspended bool
}

// install has http.DefaultClient check.
func (c *contractCheck) install() error {
	document, err := os.ReadFile("../../api/openapi.yaml")
	if err != nil {
		return err
	}
	if c.spec, err = hostile.Load(document); err != nil {
		return err
	}
	http.DefaultClient.Transport = c.transport(http.DefaultTransport)
	return nil
}

// transport is base, with checks.
func (c *contractCheck) transport(base http.RoundTripper) http.RoundTripper {
	return &hostile.Transport{Spec: c.spec, Base: base, Report: func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.suspended {
			c.violations = append(c.violations, err)
		}
	}}
}

// fails reports to a test what was found during it.
func (c *contractCheck) fails(t *testing.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, err := range c.violations {
		assert.NoError(t, err, "not as in openapi.yaml")
	}
	c.violations = nil
}

// suspend ends the check until the test ends: an older service has an older contract.
func (c *contractCheck) suspend(t *testing.T) {
	c.set(true)
	t.Cleanup(func() { c.set(false) })
}

func (c *contractCheck) set(suspended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspended = suspended
}
