package service

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// flowSagas are the sagas of a flow, with what only reconcile and workers ask of them.
type flowSagas interface {
	sagaclient.Sagas
	reconcile.FlowSagas
	activities.Predecessors
}

// clients are the sagas of all flows.
type clients struct {
	sagas     *sagaclient.Client
	customers *sagaclient.TableClient[onboarding.State, *onboarding.Participants]
	messages  *sagaclient.TableClient[notification.State, *notification.Participants]
	// sagasOf has the sagas of every flow that has a table, by its name.
	sagasOf map[string]flowSagas
}

// lateSagas are the sagas of late events. A run of theirs has attributes of its order.
type lateSagas struct {
	flowSagas
	orders *sagaclient.Client
}

func (l lateSagas) StartRun(ctx context.Context, orderID string) error {
	return l.orders.ResumeLate(ctx, orderID)
}

// useSagas makes the clients of all flows.
func (s *Service) useSagas(c sagaclient.Config) {
	late := sagaclient.NewTableClient(c, &latepayment.Flow, s.stores.log, time.Now)
	s.customers = sagaclient.NewTableClient(c, &onboarding.Flow, s.stores.log, time.Now)
	s.messages = sagaclient.NewTableClient(c, &notification.Flow, s.stores.log, time.Now)
	ofOrders := c
	ofOrders.Late = late
	s.sagas = sagaclient.New(ofOrders)
	s.sagasOf = map[string]flowSagas{
		order.Flow.Name: s.sagas, latepayment.Flow.Name: lateSagas{late, s.sagas}, onboarding.Flow.Name: s.customers, notification.Flow.Name: s.messages,
		refund.Flow.Name:  sagaclient.NewTableClient(c, &refund.Flow, s.stores.log, time.Now),
		dispute.Flow.Name: sagaclient.NewTableClient(c, &dispute.Flow, s.stores.log, time.Now),
		returns.Flow.Name: sagaclient.NewTableClient(c, &returns.Flow, s.stores.log, time.Now),
	}
	for _, f := range s.added {
		s.sagasOf[f.Info().Name] = f.client(c, s.stores.log)
	}
}

// onboard has the saga of a customer do what is left to be done. Known reports that the customer is not new.
func (s *Service) onboard(ctx context.Context, customerID string, known bool) error {
	return s.customers.Wake(ctx, onboarding.State{Saga: saga.Saga{ID: customerID}}, !known)
}

// notify sends a message, once.
func (s *Service) notify(ctx context.Context, about notification.Subject) error {
	return s.messages.Wake(ctx, notification.About(about), true)
}

// tables are all flows that have a table, that of orders first.
func (s *Service) tables() []saga.Definer {
	all := workflows.Tables()
	for _, f := range s.added {
		all = append(all, f)
	}
	return all
}

// routes lead from the bus to added flows.
func (s *Service) routes() inbound.Routes { return inbound.NewRoutes(s.tables()...) }

// inboundFlows are the sagas of flows, as the consumer of the inbox needs them.
func (s *Service) inboundFlows() map[string]sagaclient.Sagas {
	all := make(map[string]sagaclient.Sagas)
	for name, sagas := range s.sagasOf {
		all[name] = sagas
	}
	return all
}

// unsettled are the findings of reconcile about sagas of endless flows that no run works on.
var unsettled = map[string]reconcile.Kind{
	latepayment.Flow.Name: reconcile.LateUnsettled, onboarding.Flow.Name: reconcile.CustomerUnsettled, notification.Flow.Name: reconcile.NoticeUnsettled,
}

// checkedFlows are the flows, as reconcile looks at them.
func (s *Service) checkedFlows() []reconcile.Flow {
	var all []reconcile.Flow
	for _, f := range s.tables() {
		name := f.Info().Name
		checked := reconcile.Flow{
			Definer: f, Sagas: s.sagasOf[name], Timing: s.cfg.Timing.Settings(false).Of, Unsettled: unsettled[name],
			RebuildEntry: func(ctx context.Context, stream string) error {
				return readmodel.Of(f).RebuildEntry(ctx, s.stores.sagas, s.stores.raw, stream)
			},
		}
		switch added, is := f.(Flow); {
		case is:
			checked.Timing = added.timing()
		case name == order.Flow.Name:
			checked.RebuildEntry = func(ctx context.Context, stream string) error {
				id, _ := order.Flow.IDOf(stream)
				return readmodel.Orders.RebuildEntry(ctx, s.stores.orders, s.stores.raw, id)
			}
		}
		all = append(all, checked)
	}
	return all
}

// shownFlows are the flows that the API shows.
func (s *Service) shownFlows() []api.Flow {
	var all []api.Flow
	for _, f := range s.tables() {
		all = append(all, api.Flow{Definer: f, Sagas: s.sagasOf[f.Info().Name]})
	}
	return all
}
