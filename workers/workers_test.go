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
	"github.com/ordersaga/ordersaga/workflows"
)

func complete() workers.Config {
	return workers.Config{
		Client: &mocks.Client{}, Queues: workers.Queues, Concurrency: 2,
		Outcomes: &activities.Outcomes{}, Inventory: &activities.Inventory{}, Payment: &activities.Payment{},
		LateMoney: &activities.LateMoney{}, Customers: &activities.Customers{}, Notices: &activities.Notices{},
		Reconciliation: &activities.Reconciliation{}, Shortages: &activities.Shortages{},
	}
}

func TestACompleteConfigIsValid(t *testing.T) {
	require.NoError(t, complete().Validate())
	c := complete()
	c.Queues = []string{workflows.QueuePayments}
	c.Reconciliation, c.Shortages = nil, nil
	require.NoError(t, c.Validate(), "a process may work on some queues only")
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		spoil    func(*workers.Config)
		pointers []string
	}{
		"no client":        {func(c *workers.Config) { c.Client = nil }, []string{"/"}},
		"no outcomes":      {func(c *workers.Config) { c.Outcomes = nil }, []string{"/"}},
		"no inventory":     {func(c *workers.Config) { c.Inventory = nil }, []string{"/"}},
		"no customers":     {func(c *workers.Config) { c.Customers = nil }, []string{"/"}},
		"no notices":       {func(c *workers.Config) { c.Notices = nil }, []string{"/"}},
		"no payment":       {func(c *workers.Config) { c.Payment = nil }, []string{"/"}},
		"no reconciler":    {func(c *workers.Config) { c.Reconciliation = nil }, []string{"/reconciliation"}},
		"no shortages":     {func(c *workers.Config) { c.Shortages = nil }, []string{"/shortages"}},
		"one at once":      {func(c *workers.Config) { c.Concurrency = 1 }, []string{"/concurrency"}},
		"no queue":         {func(c *workers.Config) { c.Queues = nil }, []string{"/queues"}},
		"an unknown queue": {func(c *workers.Config) { c.Queues = []string{"orders", "order"} }, []string{"/queues"}},
		"nothing":          {func(c *workers.Config) { *c = workers.Config{} }, []string{"/", "/concurrency", "/queues"}},
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

func TestNamesThatHistoriesDependOnAreRegistered(t *testing.T) {
	var r registry
	c := complete()
	workers.RegisterWorkflows(&r)
	workers.RegisterActivities(&r, c.Outcomes, c.Inventory, c.Payment, c.LateMoney)
	workers.RegisterCustomerActivities(&r, c.Customers, c.Notices)
	workers.RegisterReconcile(&r, &r, c.Reconciliation)
	workers.RegisterShortage(&r, &r, c.Shortages)
	slices.Sort(r.activities)
	require.Equal(t, []string{"OrderSaga", "LateSaga", "CustomerSaga", "NoticeSaga", "Reconcile", "ShortageSaga"}, r.workflows)
	require.Equal(t, []string{
		"customer.Open", "customer.Publish", "customer.Record",
		"inventory.Commit", "inventory.Find", "inventory.Release", "inventory.Reserve",
		"late.Judge", "late.Open", "late.Record", "late.Refund",
		"notice.Open", "notice.Record", "notice.Send",
		"order.Late", "order.List", "order.Open", "order.Publish", "order.Reconcile", "order.Record", "order.Recover",
		"payment.Authorize", "payment.Capture", "payment.Lookup", "payment.LookupCapture", "payment.Void",
		"shortage.Ask",
	}, r.activities)
}

// pointers lists the places that an error complains about.
func pointers(err error) []string {
	var pointers []string
	for _, f := range fault.FieldsOf(err) {
		pointers = append(pointers, f.Pointer)
	}
	return pointers
}
