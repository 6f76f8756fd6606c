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
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
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
	timing() saga.Timing
	workflow() (name string, run any)
	worker(s *Service, r *activities.Recorder, c flowSagas) (workers.Flow, error)
	client(c sagaclient.Config, log activities.Log) flowSagas
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
				errs = append(errs, fmt.Errorf("%s: Defaults must contain a duration greater than zero", d))
			}
			continue
		}
		parsed, err := config.ParseDuration(value)
		if err != nil || parsed <= 0 {
			errs = append(errs, fmt.Errorf("%s: %q must be a duration greater than zero, such as 90s, 5m or 2d", d, value))
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
		complain("Steps is empty")
	}
	if a.Participants == nil {
		complain("Participants is missing")
	}
	for _, d := range a.Deadlines() {
		switch {
		case !settingName.MatchString(string(d)):
			complain("the deadline %q must be the name of an environment variable: capital letters, digits and underscores", d)
		case slices.ContainsFunc(config.Variables(), func(v config.Setting) bool { return v.Name == string(d) }):
			complain("the deadline %s is already a setting of ordersaga", d)
		}
	}
	if _, err := a.settings(0); err != nil {
		complain("%w", err)
	}
	return errors.Join(errs...)
}

// timing is how long the waits of the flow last. The settings are checked.
func (a Added[S, P]) timing() saga.Timing {
	settings, _ := a.settings(0)
	return settings.Of
}

// workflow is the workflow type and its function.
func (a Added[S, P]) workflow() (name string, run any) { return a.WorkflowType(), a.Run }

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
		List: sagaListOf(s, a.Flow),
	}, nil
}

func (a Added[S, P]) client(c sagaclient.Config, log activities.Log) flowSagas {
	return sagaclient.NewTableClient(c, a.Flow, log, time.Now)
}

// sagaListOf is the list of sagas, as the activities of a flow need it.
func sagaListOf[S, P any](s *Service, f *saga.Flow[S, P]) activities.List[S] {
	return sagaList[S]{f.ViewOf, f.StreamOf, s.stores.sagas}
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
	event.ReconcileStream(""), event.DeadStream(""), event.CustomerStream(""), event.NoticeStream(""), "shortage-", refund.Flow.StreamOf(""),
	returns.Flow.StreamOf(""), dispute.Flow.StreamOf(""), audit.Stream,
}

// ownNames are the names of flows of this service that have no table.
var ownNames = []string{"shortage"}

// Register checks flows that a team has added, and adds their events to the catalog. It is called once, before anything else. Errors name
// everything that is wrong; event types and schemas are looked at when nothing else is.
func Register(flows []Flow) error {
	taken := ownNamesTaken()
	var errs []error
	for _, f := range flows {
		info := f.Info()
		errs = append(errs, f.check())
		mine := []string{"the name " + info.Name, "the stream " + info.Stream, "the workflow type " + info.Workflow}
		for _, name := range f.Activities() {
			mine = append(mine, "the activity "+name)
		}
		for _, what := range mine {
			if other, is := taken[what]; is {
				errs = append(errs, fmt.Errorf("flow %q: %s is already used by %s", info.Name, what, other))
				continue
			}
			taken[what] = "flow " + info.Name
		}
		for _, part := range []string{".early", ".late"} {
			what := "the stream " + info.Stream + part
			if other, is := taken[what]; is {
				errs = append(errs, fmt.Errorf("flow %q: %s, in which it stores events, is already used by %s", info.Name, what, other))
			}
			taken[what] = "flow " + info.Name
		}
		if _, _, is := event.FlowPaymentOf(info.Stream + "-"); is {
			errs = append(errs, fmt.Errorf("flow %q: the stream %s belongs to the payments of flows", info.Name, info.Stream))
		}
		for _, other := range flows {
			// What begins with a flow's stream and a dot is the flow's: late and early events, and what its participants keep.
			if whole := other.Info().Stream; strings.HasPrefix(info.Stream, whole+".") {
				errs = append(errs, fmt.Errorf("flow %q: the stream %s belongs to flow %s", info.Name, info.Stream, other.Info().Name))
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
	for _, f := range workflows.Tables() {
		add("the name " + f.Info().Name)
		for _, name := range f.Activities() {
			add("the activity " + name)
		}
	}
	for name := range workflows.Types() {
		add("the workflow type " + name)
	}
	add("the workflow type " + workflows.NameReconcile)
	add("the activity " + activities.NameReconcile)
	add("the workflow type " + workflows.NameCheckpoint)
	add("the activity " + activities.NameCheckpoint)
	add("the stream " + audit.Stream)
	add("the activity " + shortage.NameAsk)
	return taken
}
