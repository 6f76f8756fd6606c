package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/internal/participant"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// participants are what takes money and goods.
type participants struct {
	gateway payment.Gateway
	stock   order.Stock
	// payments and warehouse are the shop's own services; nil where the simulator and the ledger are used.
	payments  *participant.Payments
	warehouse *participant.Warehouse
}

// newParticipants does no I/O.
func newParticipants(c config.Config, s *stores, registry prometheus.Registerer, logger *slog.Logger) (p participants, err error) {
	breakers := metrics.NewBreakers(registry)
	for _, name := range []string{"payment", "inventory"} {
		breakers.WithLabelValues(name).Set(float64(participant.BreakerClosed)) // also where there is none
	}
	common := participant.Config{
		Secrets: c.ParticipantSecrets, Timeout: c.ParticipantTimeout, Logger: logger,
		OnBreaker: func(name string, state participant.BreakerState) { breakers.WithLabelValues(name).Set(float64(state)) },
	}
	if common.TLS, err = c.ParticipantTLS.Client(); err != nil {
		return p, fmt.Errorf("PARTICIPANT_TLS_*: %w", err)
	}
	p.stock = order.PerSKU(s.ledger)
	if c.Inventory == config.InventoryHTTP {
		common.Name, common.URL = "inventory", c.InventoryURL
		if p.warehouse, err = participant.NewWarehouse(common); err != nil {
			return p, err
		}
		p.stock = p.warehouse
	}
	// config has refused every other name.
	switch c.PaymentGateway {
	case config.GatewayHTTP:
		common.Name, common.URL = "payment", c.PaymentURL
		if p.payments, err = participant.NewPayments(common); err != nil {
			return p, err
		}
		p.gateway = p.payments
		return p, nil
	case config.GatewayStripe:
		p.gateway, err = stripe.New(stripe.Config{Key: c.StripeAPIKey.Reveal(), Base: c.StripeAPIBase})
	default:
		p.gateway, err = simulator.New(simulator.Config{Log: s.log, Outage: c.SimulatorOutage, Slow: !c.SimulatorFast})
	}
	if err != nil {
		return p, err
	}
	return p, c.CheckGateway(p.gateway.Traits())
}

// settings are the timing of a flow, and which of its steps run inside workflow tasks. Those of stock are calls of an external service if one keeps
// the stock.
func (s *Service) settings(ofStock ...string) saga.Settings {
	settings := s.cfg.Timing.Settings(s.gateway.Traits().Fast)
	if s.warehouse != nil {
		settings.Slow = ofStock
	}
	return settings
}

func (s *Service) orderSettings() saga.Settings {
	return s.settings(order.StepReserve, order.StepCommit)
}

func (s *Service) refundSettings() saga.Settings { return s.settings(refund.StepRestock) }

// returnSettings: an attempt of a refund waits for another saga. It never runs inside a workflow task, whatever the gate has measured.
func (s *Service) returnSettings() saga.Settings {
	settings := s.settings(returns.StepRestock)
	settings.Fast, settings.Inline = false, -1
	return settings
}

// describeParticipants asks the shop's services what they are. One that is not what it is configured for is refused. One that does not answer is
// asked again while the process runs: orders are accepted meanwhile.
func (s *Service) describeParticipants(ctx context.Context) error {
	if s.payments != nil {
		err := s.describe(ctx, "payment service", "PAYMENT_URL", s.cfg.PaymentURL, func(ctx context.Context) error {
			if err := s.payments.Describe(ctx); err != nil {
				return err
			}
			return s.cfg.CheckGateway(s.payments.Traits())
		})
		if err != nil {
			return err
		}
	}
	if s.warehouse != nil {
		return s.describe(ctx, "inventory service", "INVENTORY_URL", s.cfg.InventoryURL, s.warehouse.Describe)
	}
	return nil
}

func (s *Service) describe(ctx context.Context, name, setting, url string, ask func(context.Context) error) error {
	attempt, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := ask(attempt)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fault.Unavailable) {
		return fmt.Errorf("%s: %w", setting, err)
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "a participant does not answer yet", slog.String("participant", name), slog.Any("error", err))
	s.retries.start(ctx, func(ctx context.Context) {
		_ = await(ctx, s.logger, dependency{name, url, setting + ", PARTICIPANT_*"}, func(ctx context.Context) error {
			err := ask(ctx)
			if err != nil && !errors.Is(err, fault.Unavailable) {
				s.logger.LogAttrs(ctx, slog.LevelError, "a participant is not what it is configured for",
					slog.String("participant", name), slog.String("settings", setting), slog.Any("error", err))
				return nil
			}
			return err
		})
	})
	return nil
}

// participantChecks look at the breakers, for /readyz. A process whose participants fail is ready: it accepts orders, and they wait.
func (s *Service) participantChecks() (checks []api.Check) {
	if s.payments != nil {
		checks = append(checks, api.Check{Name: "payment", Err: s.payments.Ready(), Optional: true})
	}
	if s.warehouse != nil {
		checks = append(checks, api.Check{Name: "inventory", Err: s.warehouse.Ready(), Optional: true})
	}
	return checks
}

// closeParticipants closes connections.
func (s *Service) closeParticipants() {
	if s.payments != nil {
		s.payments.Close()
	}
	if s.warehouse != nil {
		s.warehouse.Close()
	}
}

// shownStock is the stock that the API shows and changes.
func (s *Service) shownStock() api.Stock {
	if s.warehouse != nil {
		return stockElsewhere{}
	}
	return s.stores.ledger
}

// returns is the stock into which refunds put goods again.
func (s *Service) returns() refund.Stock {
	if s.warehouse != nil {
		return s.warehouse
	}
	return s.stores.ledger
}

// receiver books goods that came in.
func (s *Service) receiver() inbound.Receiver {
	if s.warehouse != nil {
		return receivesElsewhere{}
	}
	return receiver{s.stores.ledger}
}
