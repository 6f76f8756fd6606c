package workers_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
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

func complete() workers.Config {
	return workers.Config{
		Client: &mocks.Client{}, Queues: workers.Queues, Concurrency: 2,
		Flows: []workers.Flow{
			&activities.Flow[order.State, *order.Participants]{Table: &order.Flow}, &activities.Flow[latepayment.State, *latepayment.Participants]{Table: &latepayment.Flow}, &activities.Flow[onboarding.State, *onboarding.Participants]{Table: &onboarding.Flow},
			&activities.Flow[notification.State, *notification.Participants]{Table: &notification.Flow}, &shortage.Activities{},
			&activities.Flow[refund.State, *refund.Participants]{Table: &refund.Flow},
			&activities.Flow[dispute.State, *dispute.Participants]{Table: &dispute.Flow},
			&activities.Flow[returns.State, *returns.Participants]{Table: &returns.Flow},
		},
		Reconciliation: &activities.Reconciliation{}, Checkpoints: &activities.Checkpoints{},
	}
}

func TestCompleteConfigIsValid(t *testing.T) {
	require.NoError(t, complete().Validate())
	c := complete()
	c.Queues = []string{saga.QueuePayments}
	c.Reconciliation, c.Checkpoints = nil, nil
	require.NoError(t, c.Validate(), "a process may work on some queues only")
}

func TestConfigReportsProblems(t *testing.T) {
	for name, test := range map[string]struct {
		spoil    func(*workers.Config)
		pointers []string
	}{
		"no client":        {func(c *workers.Config) { c.Client = nil }, []string{"/client"}},
		"no orders":        {func(c *workers.Config) { c.Flows = c.Flows[1:] }, []string{"/flows"}},
		"no shortages":     {func(c *workers.Config) { c.Flows = c.Flows[:4] }, []string{"/flows"}},
		"no reconciler":    {func(c *workers.Config) { c.Reconciliation = nil }, []string{"/reconciliation"}},
		"one at once":      {func(c *workers.Config) { c.Concurrency = 1 }, []string{"/concurrency"}},
		"no queue":         {func(c *workers.Config) { c.Queues = nil }, []string{"/queues"}},
		"an unknown queue": {func(c *workers.Config) { c.Queues = []string{"orders", "order"} }, []string{"/queues"}},
		"a queue of ours":  {func(c *workers.Config) { c.Added = []string{"cards", "orders"} }, []string{"/added"}},
		"no build ID":      {func(c *workers.Config) { c.Deployment = "shop" }, []string{"/buildId"}},
		"nothing":          {func(c *workers.Config) { *c = workers.Config{} }, []string{"/client", "/flows", "/concurrency", "/queues"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := complete()
			test.spoil(&c)
			err := c.Validate()
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			require.Equal(t, test.pointers, pointers(err))
			_, err = workers.New(c)
			require.Equal(t, fault.Invalid, fault.CodeOf(err), "no workers are made of it")
		})
	}
}

// registry remembers names.
type registry struct{ workflows, activities []string }

func (r *registry) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.workflows = append(r.workflows, o.Name)
}

func (r *registry) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	r.activities = append(r.activities, o.Name)
}

func TestRegisteredNamesAreStable(t *testing.T) {
	var r registry
	c := complete()
	workers.RegisterWorkflows(&r)
	workers.RegisterActivities(&r, c.Flows...)
	workers.RegisterReconcile(&r, &r, c.Reconciliation)
	workers.RegisterCheckpoints(&r, &r, c.Checkpoints)
	slices.Sort(r.activities)
	slices.Sort(r.workflows)
	require.Equal(t, []string{"AuditCheckpoint", "CustomerSaga", "DisputeSaga", "LateSaga", "NoticeSaga", "OrderSaga", "Reconcile", "RefundSaga", "ReturnSaga", "ShortageSaga"}, r.workflows)
	require.Equal(t, []string{
		"audit.Checkpoint",
		"customer.Open", "customer.Publish", "customer.Record", "customer.Welcome",
		"dispute.Late", "dispute.List", "dispute.Open", "dispute.Publish", "dispute.Record", "dispute.Recover",
		"dispute.block", "dispute.refund", "dispute.unblock",
		"inventory.Commit", "inventory.Find", "inventory.Release", "inventory.Reserve",
		"late.Judge", "late.Open", "late.Record", "late.Refund",
		"notice.Open", "notice.Record", "notice.Send",
		"order.Late", "order.List", "order.Open", "order.Publish", "order.Reconcile", "order.Record", "order.Recover",
		"payment.Authorize", "payment.Capture", "payment.Lookup", "payment.LookupCapture", "payment.RefundParcel", "payment.Void",
		"refund.Late", "refund.List", "refund.Open", "refund.Publish", "refund.Record", "refund.Recover",
		"refund.refund", "refund.reserve", "refund.reserve.undo", "refund.restock",
		"return.Late", "return.List", "return.Open", "return.Publish", "return.Record", "return.Recover",
		"return.account", "return.announce", "return.announce.undo", "return.refund", "return.restock",
		"shortage.Ask",
	}, r.activities)
}

func TestWorkerNeedsParticipants(t *testing.T) {
	_, err := workers.New(complete())
	require.ErrorContains(t, err, "a payment gateway")
}

// pointers lists the places that an error complains about.
func pointers(err error) []string {
	var pointers []string
	for _, f := range fault.FieldsOf(err) {
		pointers = append(pointers, f.Pointer)
	}
	return pointers
}
