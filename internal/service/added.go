package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// Environment is what the participants of a flow may use.
type Environment struct {
	// Payments is the payment gateway of the service, Log its event log.
	Payments payment.Gateway
	Log      event.StreamAppender
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Flow is a flow that a team has added, whatever its types are. Added is the only implementation.
type Flow interface {
	saga.Definer
	check() error
	// activities are the registered names of its activities.
	activities() []string
	timing() saga.Timing
	worker(s *Service, r *activities.Recorder, c flowSagas) (workers.Flow, error)
	client(c sagaclient.Config, log activities.Log) flowSagas
}

// flowSagas are the sagas of a flow, with what only reconcile and workers ask of them.
type flowSagas interface {
	sagaclient.Sagas
	reconcile.FlowSagas
	activities.Predecessors
}

// Added is a flow that a team has added: its table, and what makes its participants.
type Added[S, P any] struct {
	*saga.Flow[S, P]
	Participants func(e Environment) (P, error)
}

// settings are those of the flow's waits: an environment variable of a wait's name, else the flow's default. Errors name the variable.
func (a Added[S, P]) settings(attention time.Duration) (saga.Settings, error) {
	settings := saga.Settings{Waits: make(map[saga.Deadline]time.Duration), Attention: attention}
	var errs []error
	for _, d := range a.Deadlines() {
		settings.Waits[d] = a.Defaults[d]
		value := os.Getenv(string(d))
		if value == "" {
			if a.Defaults[d] <= 0 {
				errs = append(errs, fmt.Errorf("%s: Defaults has no duration above zero", d))
			}
			continue
		}
		parsed, err := config.ParseDuration(value)
		if err != nil || parsed <= 0 {
			errs = append(errs, fmt.Errorf("%s: %q is not a duration above zero, such as 90s, 5m or 2d", d, value))
		}
		settings.Waits[d] = parsed
	}
	return settings, errors.Join(errs...)
}

// flowName is the form of the names of added flows: they are part of paths.
var flowName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// settingName is the form of the names of environment variables.
var settingName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// check reports everything that is wrong with the flow by itself: with its table, and with what this service needs of it besides.
func (a Added[S, P]) check() error {
	errs := []error{a.Check()}
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("flow %q: "+format, append([]any{a.Name}, args...)...))
	}
	if !flowName.MatchString(a.Name) {
		complain("the name must be 1 to 64 lower-case letters, digits and hyphens, and begin with a letter")
	}
	if len(a.Steps) == 0 {
		complain("there are no steps")
	}
	if a.Participants == nil {
		complain("nothing makes its participants")
	}
	for _, d := range a.Deadlines() {
		switch {
		case !settingName.MatchString(string(d)):
			complain("the deadline %q must be the name of an environment variable: capital letters, digits and underscores", d)
		case slices.ContainsFunc(config.Variables(), func(v config.Setting) bool { return v.Name == string(d) }):
			complain("the deadline %s is a setting of ordersaga", d)
		}
	}
	if _, err := a.settings(0); err != nil {
		complain("%w", err)
	}
	return errors.Join(errs...)
}

var operations = []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo}

func (a Added[S, P]) activities() []string { return activitiesOf(a.Flow) }

// activitiesOf are the registered names of the step functions of a flow.
func activitiesOf[S, P any](f *saga.Flow[S, P]) []string {
	var names []string
	for row := range f.Operated() {
		for _, kind := range operations {
			if o := row.Operation(kind); o != nil && o.Run != nil {
				names = append(names, f.ActivityOf(row, kind))
			}
		}
	}
	return names
}

// timing is how long the waits of the flow last. The settings are checked.
func (a Added[S, P]) timing() saga.Timing {
	settings, _ := a.settings(0)
	return settings.Of
}

func (a Added[S, P]) worker(s *Service, r *activities.Recorder, c flowSagas) (workers.Flow, error) {
	settings, err := a.settings(s.cfg.Timing.Attention)
	if err != nil {
		return nil, err
	}
	settings.Fast = s.gateway.Traits().Fast
	participants, err := a.Participants(Environment{Payments: s.gateway, Log: s.stores.log, Logger: s.logger, Clock: time.Now})
	if err != nil {
		return nil, fmt.Errorf("flow %s: %w", a.Name, err)
	}
	return &activities.Flow[S, P]{
		Recorder: r, Table: a.Flow, Participants: participants, Settings: settings, Predecessors: c,
		List: sagaList[S]{a.ViewOf, a.StreamOf, s.stores.sagas},
	}, nil
}

func (a Added[S, P]) client(c sagaclient.Config, log activities.Log) flowSagas {
	return sagaclient.NewTableClient(c, a.Flow, log, time.Now)
}

// sagaList makes the read model what activities need.
type sagaList[S any] struct {
	view   func(s *S) saga.View
	stream func(id string) string
	store  *mongo.List
}

func (l sagaList[S]) Project(ctx context.Context, s S) error {
	v := l.view(&s)
	return l.store.Put(ctx, readmodel.FromView(v, l.stream(v.ID)))
}

// ownStreams begin the names of the streams of this service.
var ownStreams = []string{
	event.OrderStream(""), event.StockStream(""), event.PaymentStream(""), event.RefundsStream(""), event.LateStream(""), event.EarlyStream(""),
	event.ReconcileStream(""), event.DeadStream(""), event.CustomerStream(""), event.NoticeStream(""), "shortage-",
}

// ownNames are the names of the flows of this service.
var ownNames = []string{"order", "late-payment", "shortage", "refund", "return", "onboarding", "notification"}

// Register checks flows that a team has added, and adds their events to the catalog. It is called once, before anything else. Errors name
// everything that is wrong; event types and schemas are looked at when nothing else is.
func Register(flows []Flow) error {
	taken := ownNamesTaken()
	var errs []error
	for _, f := range flows {
		info := f.Info()
		errs = append(errs, f.check())
		mine := []string{"the name " + info.Name, "the stream " + info.Stream, "the workflow type " + info.Workflow}
		for _, name := range f.activities() {
			mine = append(mine, "the activity "+name)
		}
		for _, what := range mine {
			if other, is := taken[what]; is {
				errs = append(errs, fmt.Errorf("flow %q: %s is taken by %s", info.Name, what, other))
				continue
			}
			taken[what] = "flow " + info.Name
		}
		for _, part := range []string{".early", ".late"} {
			what := "the stream " + info.Stream + part
			if other, is := taken[what]; is {
				errs = append(errs, fmt.Errorf("flow %q: %s, which it keeps events in, is taken by %s", info.Name, what, other))
			}
			taken[what] = "flow " + info.Name
		}
		for _, other := range flows {
			// What begins with a flow's stream and a dot is the flow's: late and early events, and what its participants keep.
			if whole := other.Info().Stream; strings.HasPrefix(info.Stream, whole+".") {
				errs = append(errs, fmt.Errorf("flow %q: the stream %s is among those of flow %s", info.Name, info.Stream, other.Info().Name))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, f := range flows {
		errs = append(errs, f.Register())
	}
	return errors.Join(errs...)
}

// ownNamesTaken are the names of this service.
func ownNamesTaken() map[string]string {
	taken := make(map[string]string)
	add := func(what string) { taken[what] = "ordersaga" }
	for _, prefix := range ownStreams {
		add("the stream " + strings.TrimSuffix(prefix, "-"))
	}
	for _, name := range ownNames {
		add("the name " + name)
	}
	for name := range workflows.Types() {
		add("the workflow type " + name)
	}
	add("the workflow type " + workflows.NameReconcile)
	for _, names := range [][]string{
		{activities.NameReconcile, shortage.NameAsk}, activitiesOf(&order.Flow), activitiesOf(&latepayment.Flow), activitiesOf(&onboarding.Flow),
		activitiesOf(&notification.Flow),
	} {
		for _, name := range names {
			add("the activity " + name)
		}
	}
	return taken
}

// useSagas makes the clients of all flows.
func (s *Service) useSagas(c sagaclient.Config) {
	s.sagas, s.addedSagas = sagaclient.New(c), make(map[string]flowSagas)
	for _, f := range s.added {
		s.addedSagas[f.Info().Name] = f.client(c, s.stores.log)
	}
}

// routes lead from the bus to added flows.
func (s *Service) routes() inbound.Routes {
	all := make([]saga.Definer, len(s.added))
	for i, f := range s.added {
		all[i] = f
	}
	return inbound.NewRoutes(all...)
}

// inboundFlows are the sagas of added flows, as the consumer of the inbox needs them.
func (s *Service) inboundFlows() map[string]sagaclient.Sagas {
	all := make(map[string]sagaclient.Sagas)
	for name, sagas := range s.addedSagas {
		all[name] = sagas
	}
	return all
}

// checkedFlows are the added flows, as reconcile looks at them.
func (s *Service) checkedFlows() []reconcile.Flow {
	all := make([]reconcile.Flow, len(s.added))
	for i, f := range s.added {
		all[i] = reconcile.Flow{
			Definer: f, Sagas: s.addedSagas[f.Info().Name], Timing: f.timing(),
			Mend: func(ctx context.Context, stream string) error {
				return readmodel.Of(f).Mend(ctx, s.stores.sagas, s.stores.raw, stream)
			},
		}
	}
	return all
}

// shownFlows are the flows that the API shows.
func (s *Service) shownFlows() []api.Flow {
	all := []api.Flow{{Definer: &order.Flow, Sagas: orderSagas{s.sagas}}}
	for _, f := range s.added {
		all = append(all, api.Flow{Definer: f, Sagas: s.addedSagas[f.Info().Name]})
	}
	return all
}

// orderSagas are orders as sagas of any flow. They are placed as orders are.
type orderSagas struct{ *sagaclient.Client }

func (o orderSagas) Info() saga.Info { return order.Flow.Info() }

func (o orderSagas) Start(context.Context, sagaclient.Request) (saga.View, bool, error) {
	return saga.View{}, false, fault.New(fault.Invalid, "an order is placed with POST /v1/orders")
}

func (o orderSagas) Tell(context.Context, string, sagaclient.Fact) error {
	return fault.New(fault.Internal, "orders are told something by events")
}

func (o orderSagas) Decide(ctx context.Context, id string, r saga.Resolution, key string) (saga.Resolution, saga.ResolveVerdict, error) {
	return o.Resolve(ctx, id, r, key)
}

func (o orderSagas) View(ctx context.Context, id string) (saga.View, error) {
	state, err := o.State(ctx, id)
	return order.Flow.ViewOf(&state), err
}
