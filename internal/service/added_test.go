package service

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// parcel is the state of a flow that a team could add.
type parcel struct {
	saga.Saga
	Address address `json:"address"`
}

type address struct {
	Street string `json:"street" required:"true"`
}

type depot struct{}

func (*depot) step(context.Context, saga.Call[parcel]) (saga.Outcome, error) {
	return saga.Outcome{}, nil
}

// parcels is a flow that is whole. Each test registers types of its own: the catalog is that of the process.
func parcels(stream string) Added[parcel, *depot] {
	call := func() *saga.Operation[parcel, *depot] { return &saga.Operation[parcel, *depot]{Run: (*depot).step} }
	return Added[parcel, *depot]{
		Participants: func(Environment) (*depot, error) { return &depot{}, nil },
		Flow: &saga.Flow[parcel, *depot]{
			Name: strings.ReplaceAll(stream, ".", "-") + "-delivery", Stream: stream, Subject: "parcelId", Queue: saga.QueueOrders,
			Start:    saga.StartWith(func(s *parcel) *address { return &s.Address }, nil),
			Defaults: map[saga.Deadline]time.Duration{"PARCEL_PACK_DEADLINE": time.Minute, "PARCEL_PICKUP_DEADLINE": time.Hour},
			Inbound: []saga.Inbound{
				saga.Starts(event.Type{Name: stream + ".requested", Meaning: "A parcel is to be delivered."}),
				saga.Cancels(event.Type{Name: stream + ".withdrawn", Meaning: "The delivery is cancelled."}),
				saga.FactFrom[struct{}](event.Type{Name: stream + ".picked_up", Meaning: "The carrier has it."}, nil),
			},
			Types: []event.Type{
				{Name: stream + ".packed", Meaning: "It is packed."}, {Name: stream + ".unpacked", Meaning: "It is unpacked."},
				{Name: stream + ".handed_over", Meaning: "The carrier has it."}, {Name: stream + ".delivered", Meaning: "It is there."},
			},
			Schemas: schemasOf(stream, "requested", "withdrawn", "picked_up", "accepted", "packed", "unpacked", "handed_over", "delivered"),
			Steps: []saga.Step[parcel, *depot]{
				{
					Name: "pack", Kind: saga.Compensable, Do: call(), Undo: call(), Done: stream + ".packed", Undone: []string{stream + ".unpacked"},
					Deadline: "PARCEL_PACK_DEADLINE",
				},
				{Name: "pickup", Kind: saga.Await, Done: stream + ".handed_over", Wait: &saga.WaitRule{
					On: []string{stream + ".picked_up"}, For: "the carrier", Since: "pack", Deadline: "PARCEL_PICKUP_DEADLINE", Overdue: "not_picked_up",
				}},
				{Name: "decide", Kind: saga.Pivot},
				{Name: "deliver", Kind: saga.Forward, Do: call(), Done: stream + ".delivered", StuckText: "the delivery is stuck"},
			},
		},
	}
}

func schemasOf(stream string, kinds ...string) fstest.MapFS {
	files := make(fstest.MapFS)
	for _, kind := range kinds {
		files[stream+"."+kind+"/1.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
	}
	return files
}

func TestRegisterAddsTheEventsOfAFlow(t *testing.T) {
	f := parcels("parcel.whole")
	require.NoError(t, Register([]Flow{f}))
	require.NoError(t, Register([]Flow{f}), "the same again changes nothing")
	for _, name := range []string{"requested", "withdrawn", "picked_up", "accepted", "packed", "delivered", "settling", "completed", "event_late", "cancellation_kept"} {
		_, ok := event.Find("parcel.whole." + name)
		require.True(t, ok, name)
		_, ok = event.Schema("parcel.whole."+name, 1)
		require.True(t, ok, name)
	}
	settings, err := f.settings(time.Minute)
	require.NoError(t, err)
	require.Equal(t, map[saga.Deadline]time.Duration{"PARCEL_PACK_DEADLINE": time.Minute, "PARCEL_PICKUP_DEADLINE": time.Hour}, settings.Waits)
	t.Setenv("PARCEL_PACK_DEADLINE", "2d")
	settings, err = f.settings(time.Minute)
	require.NoError(t, err)
	require.Equal(t, 48*time.Hour, settings.Waits["PARCEL_PACK_DEADLINE"])
}

func TestRegisterRefuses(t *testing.T) {
	type flow = Added[parcel, *depot]
	for name, c := range map[string]struct {
		spoil func(f *flow)
		env   map[string]string
		want  []string
	}{
		"no name":                {func(f *flow) { f.Name = "" }, nil, []string{"a flow must have a Name", "the name must be 1 to 64 lower-case letters"}},
		"a name for no path":     {func(f *flow) { f.Name = "Parcel delivery/2" }, nil, []string{"the name must be 1 to 64 lower-case letters"}},
		"the name of an own one": {func(f *flow) { f.Name = "late-payment" }, nil, []string{`flow "late-payment": the name late-payment is already used by ordersaga`}},
		"the name of a coming one": {
			func(f *flow) { f.Name = "refund" }, nil, []string{`flow "refund": the name refund is already used by ordersaga`},
		},
		"an own stream":      {func(f *flow) { f.Stream = "order" }, nil, []string{"the stream order is already used by ordersaga"}},
		"an own side stream": {func(f *flow) { f.Stream = "early" }, nil, []string{"the stream early is already used by ordersaga"}},
		"a broken stream":    {func(f *flow) { f.Stream = "a-parcel" }, nil, []string{`the stream "a-parcel" must be lower-case letters, digits and dots`}},
		"an own workflow":    {func(f *flow) { f.Workflow = "Reconcile" }, nil, []string{"the workflow type Reconcile is already used by ordersaga"}},
		"an own activity":    {func(f *flow) { f.Steps[0].Do.Name = "late.Refund" }, nil, []string{"the activity late.Refund is already used by ordersaga"}},
		"an own event type": {
			func(f *flow) {
				f.Types[0].Name, f.Steps[0].Done = event.OrderAccepted, event.OrderAccepted
				f.Schemas = withSchema(f.Schemas.(fstest.MapFS), event.OrderAccepted)
			}, nil, []string{"the name order.accepted of type order.accepted is already used by order.accepted"},
		},
		"an alias of an own event type": {func(f *flow) { f.Inbound[0].Aliases = []string{"OrderCreated"} }, nil, []string{"the name OrderCreated of type parcel.wrong.requested is already used by order.created"}},
		"no schemas":                    {func(f *flow) { f.Schemas = nil }, nil, []string{"there are no schemas", "parcel.wrong.accepted/1.json", "parcel.wrong.requested/1.json", "parcel.wrong.packed/1.json"}},
		"a schema is missing": {
			func(f *flow) { delete(f.Schemas.(fstest.MapFS), "parcel.wrong.packed/1.json") }, nil, []string{"there are no schemas parcel.wrong.packed/1.json"},
		},
		"a version without a schema": {func(f *flow) { f.Types[0].Version = 2 }, nil, []string{"there are no schemas parcel.wrong.packed/2.json"}},
		"no participants":            {func(f *flow) { f.Participants = nil }, nil, []string{"Participants is missing"}},
		"no steps":                   {func(f *flow) { f.Steps = nil }, nil, []string{"Steps is empty"}},
		"no default":                 {func(f *flow) { f.Defaults = nil }, nil, []string{"PARCEL_PACK_DEADLINE: Defaults must contain a duration greater than zero", "PARCEL_PICKUP_DEADLINE: Defaults"}},
		"a deadline that is no variable": {
			func(f *flow) { f.Steps[0].Deadline = "pack deadline" }, nil, []string{`the deadline "pack deadline" must be the name of an environment variable`},
		},
		"a setting of the service": {
			func(f *flow) { f.Steps[0].Deadline, f.Defaults["RESERVE_DEADLINE"] = "RESERVE_DEADLINE", time.Minute }, nil,
			[]string{"the deadline RESERVE_DEADLINE is already a setting of ordersaga"},
		},
		"a duration that is none":   {nil, map[string]string{"PARCEL_PACK_DEADLINE": "soon"}, []string{`PARCEL_PACK_DEADLINE: "soon" must be a duration greater than zero`}},
		"durations that are zero":   {nil, map[string]string{"PARCEL_PACK_DEADLINE": "0s", "PARCEL_PICKUP_DEADLINE": "-1h"}, []string{`PARCEL_PACK_DEADLINE: "0s"`, `PARCEL_PICKUP_DEADLINE: "-1h"`}},
		"a duration without a unit": {nil, map[string]string{"PARCEL_PACK_DEADLINE": "90"}, []string{`PARCEL_PACK_DEADLINE: "90"`}},
		"a broken table":            {func(f *flow) { f.Steps[0].Undo = nil }, nil, []string{`step "pack": a compensable step must have Undo`}},
		"several at once": {
			func(f *flow) { f.Name, f.Stream, f.Steps[0].Undo = "order", "sku", nil }, map[string]string{"PARCEL_PACK_DEADLINE": "soon"},
			[]string{"the name order is already used", "the stream sku is already used", "a compensable step must have Undo", `PARCEL_PACK_DEADLINE: "soon"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := parcels("parcel.wrong")
			if c.spoil != nil {
				c.spoil(&f)
			}
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			err := Register([]Flow{f})
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			_, registered := event.Find("parcel.wrong.packed")
			require.False(t, registered, "a refused flow registers no type")
		})
	}
}

func withSchema(files fstest.MapFS, name string) fstest.MapFS {
	files[name+"/1.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
	return files
}

func TestRegisterRefusesConflictingFlows(t *testing.T) {
	for want, spoil := range map[string]func(f *Added[parcel, *depot]){
		`flow "parcel-a-delivery": the name parcel-a-delivery is already used by flow parcel-a-delivery`: func(f *Added[parcel, *depot]) { f.Name = "parcel-a-delivery" },
		"the stream parcel.a is already used by flow":                                                    func(f *Added[parcel, *depot]) { f.Stream = "parcel.a" },
		"the stream parcel.a.late belongs to flow parcel-a-delivery":                                     func(f *Added[parcel, *depot]) { f.Stream = "parcel.a.late" },
		"the workflow type Delivery is already used by flow":                                             func(f *Added[parcel, *depot]) { f.Workflow = "Delivery" },
		"the activity parcel.a.pack is already used by flow":                                             func(f *Added[parcel, *depot]) { f.Steps[0].Do.Name = "parcel.a.pack" },
		"the stream payment.parcel belongs to the payments of flows":                                     func(f *Added[parcel, *depot]) { f.Stream = "payment.parcel" },
	} {
		first, second := parcels("parcel.a"), parcels("parcel.b")
		first.Workflow = "Delivery"
		spoil(&second)
		require.ErrorContains(t, Register([]Flow{first, second}), want)
	}
	first, second := parcels("parcel.c"), parcels("parcel.d")
	second.Types[0].Name, second.Steps[0].Done = "parcel.c.packed", "parcel.c.packed"
	second.Types[0].Meaning = "Another meaning."
	withSchema(second.Schemas.(fstest.MapFS), "parcel.c.packed")
	require.ErrorContains(t, Register([]Flow{first, second}), "the name parcel.c.packed of type parcel.c.packed is already used by parcel.c.packed")
}
