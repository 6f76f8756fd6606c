package service

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

const (
	// inlineShare is the part of WORKER_CONCURRENCY that may wait for external services inside workflow tasks: one in so many.
	inlineShare = 4
	// forgetCalls is how long a process that does not call payment services with regular activities knows that they are slow.
	forgetCalls = 10 * time.Minute
)

// gate decides which calls of external services run inside workflow tasks. All flows share it.
func (s *Service) gate() *activities.Gate {
	c := activities.GateConfig{
		Budget: s.cfg.RemoteInlineBudget, Places: s.cfg.WorkerConcurrency / inlineShare, Clock: time.Now, Metrics: s.remoteMetrics,
	}
	if s.cfg.PaymentGateway == config.GatewaySimulator && !s.cfg.SimulatorFast {
		c.Budget = 0 // SIMULATOR_FAST
	}
	if !slices.Contains(s.cfg.WorkerQueues, saga.QueuePayments) {
		c.Forget = forgetCalls
	}
	return activities.NewGate(c)
}

// flows are the flows with their participants.
func (s *Service) flows() ([]workers.Flow, error) {
	notices, err := s.noticeParticipants()
	if err != nil {
		return nil, err
	}
	recorder := &activities.Recorder{
		Log: s.stores.log, Publisher: recordPublisher(s.publisher.PublishRecords), Clock: time.Now, Logger: s.logger, Metrics: s.sagaMetrics,
		Gate: s.gate(),
	}
	customers := &onboarding.Participants{}
	if s.notifies() {
		customers.Welcome = func(ctx context.Context, customerID string) error {
			return s.notify(ctx, notification.Subject{Kind: notification.Welcome, CustomerID: customerID})
		}
	}
	flows := []workers.Flow{
		&activities.Flow[order.State, *order.Participants]{
			Recorder: recorder, Table: &order.Flow, Settings: s.orderSettings(),
			Participants: &order.Participants{Stock: s.stock, Gateway: s.gateway, Refunds: s.stores.log},
			List:         projection{s.stores.orders}, Predecessors: s.sagas,
			Late: latepayment.Recorder{Log: s.stores.log, Clock: time.Now}.Record,
		},
		&activities.Flow[latepayment.State, *latepayment.Participants]{
			Recorder: recorder, Table: &latepayment.Flow, Settings: s.settings(), List: sagaListOf(s, &latepayment.Flow),
			Participants: &latepayment.Participants{Gateway: s.gateway, Refunds: s.stores.log, Payment: order.Reader{Log: s.stores.log}.Payment},
		},
		&shortage.Activities{Log: s.stores.log, Stock: s.stores.ledger, Orders: s.sagas},
		&activities.Flow[onboarding.State, *onboarding.Participants]{
			Recorder: recorder, Table: &onboarding.Flow, Participants: customers, List: sagaListOf(s, &onboarding.Flow),
		},
		&activities.Flow[notification.State, *notification.Participants]{
			Recorder: recorder, Table: &notification.Flow, Participants: notices, List: sagaListOf(s, &notification.Flow),
		},
	}
	flows = append(flows, &activities.Flow[refund.State, *refund.Participants]{
		Recorder: recorder, Table: &refund.Flow, Settings: s.refundSettings(), List: sagaListOf(s, &refund.Flow),
		Participants: &refund.Participants{
			Orders: order.Reader{Log: s.stores.log}, Refunds: s.stores.log, Gateway: s.gateway, Stock: s.returns(),
		},
		Predecessors: s.sagasOf[refund.Flow.Name],
	}, &activities.Flow[returns.State, *returns.Participants]{
		Recorder: recorder, Table: &returns.Flow, Settings: s.returnSettings(), List: sagaListOf(s, &returns.Flow),
		Participants: &returns.Participants{
			Orders: order.Reader{Log: s.stores.log}, Ledger: s.stores.log, Stock: s.returns(),
			Refunds: refundsOfReturns{s.sagasOf[refund.Flow.Name], s.stores.log},
		},
		Predecessors: s.sagasOf[returns.Flow.Name],
	})
	flows = append(flows, &activities.Flow[dispute.State, *dispute.Participants]{
		Recorder: recorder, Table: &dispute.Flow, Settings: s.settings(), List: sagaListOf(s, &dispute.Flow),
		Participants: &dispute.Participants{Orders: order.Reader{Log: s.stores.log}, Refunds: s.stores.log, Gateway: s.gateway},
		Predecessors: s.sagasOf[dispute.Flow.Name],
	})
	for _, f := range s.added {
		one, err := f.worker(s, recorder, s.sagasOf[f.Info().Name])
		if err != nil {
			return nil, err
		}
		flows = append(flows, one)
	}
	return flows, nil
}
