package participant

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
)

// contractVersion is the version of the contract that this package knows.
const contractVersion = 1

// traits are what a service says about itself.
type traits struct {
	Name     string   `json:"name" required:"true"`
	Contract int64    `json:"contract" required:"true"`
	Provides []string `json:"provides" required:"true"`
	Lifetime int64    `json:"authorizationLifetimeSeconds" unit:"in seconds"`
}

// maxLifetime keeps a lifetime in the range of time.Duration.
const maxLifetime = int64(100 * 365 * 24 * time.Hour / time.Second)

func (t *traits) complain(d *jsondoc.Doc) {
	d.Require(t.Name != "" && len(t.Name) <= maxText, "/name", "must have 1 to %d bytes", maxText)
	d.Require(t.Lifetime >= 0 && t.Lifetime <= maxLifetime, "/authorizationLifetimeSeconds", "must be from 0 to %d", maxLifetime)
}

// describe asks what the service is. Unavailable if it does not answer, Invalid if it is not what it is configured for.
func (p *client) describe(ctx context.Context) (traits, error) {
	var t traits
	if err := p.call(ctx, request{operation: "describe", path: "/traits", complain: t.complain}, &t); err != nil {
		return t, err
	}
	switch {
	case t.Contract != contractVersion:
		return t, fault.New(fault.Invalid, "the %s service %s has version %d of the contract, not %d", p.cfg.Name, printable(t.Name), t.Contract, contractVersion)
	case !slices.Contains(t.Provides, p.cfg.Name):
		return t, fault.New(fault.Invalid, "the service %s does not provide %s", printable(t.Name), p.cfg.Name)
	}
	return t, nil
}
