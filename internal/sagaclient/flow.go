package sagaclient

import (
	"encoding/json"
	"errors"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// flowClient starts, signals, cancels and finds the sagas of a flow. It is the same for all flows; its methods are safe for
// concurrent use.
type flowClient[S, P any] struct {
	flow     *saga.Flow[S, P]
	rule     startRule[S]
	temporal client.Client
	log      Log
	logger   *slog.Logger
	// converter reads histories.
	converter converter.DataConverter
	eager     bool
	// late and onRefusal may be nil.
	late      Sagas
	onRefusal func()
	// gate bounds the Updates in flight, by workflow ID; looked are the sagas whose run was checked lately.
	gate   gate
	looked recently
	// folds are shared by callers that ask about the same saga.
	folds *groupcommit.Group[*folding[S]]
}

// startRule says how the sagas of a flow start, besides its table.
type startRule[S any] struct {
	// Data is the data that starts the saga of a state; nil for sagas that start without data. State is the state that data makes, but for the kit's part; its error says
	// that the data cannot be read.
	Data  func(s *S) any
	State func(data json.RawMessage) (S, error)
	// Summary and Details are for the Temporal Web UI. Attributes are search attributes besides those of every saga.
	Summary, Details func(s *S) string
	Attributes       func(s *S) []temporal.SearchAttributeUpdate
	// LogKey is the attribute of log entries that has the saga's ID.
	LogKey string
}

// newFlowClient returns a client for the sagas of a flow. It does no I/O.
func newFlowClient[S, P any](c Config, flow *saga.Flow[S, P], rule startRule[S]) *flowClient[S, P] {
	f := &flowClient[S, P]{
		flow: flow, rule: rule, temporal: c.Temporal, log: c.Log, logger: c.Logger, eager: c.Eager, late: c.Late, onRefusal: c.OnRefusal,
		converter: c.Converter,
	}
	if f.converter == nil {
		f.converter = converter.GetDefaultDataConverter()
	}
	f.folds = newFolds(f.foldTogether)
	return f
}

// name names a saga in errors: "order 42".
func (c *flowClient[S, P]) name(id string) string { return c.flow.Name + " " + id }

// logID is the attribute of a log entry about a saga.
func (c *flowClient[S, P]) logID(id string) slog.Attr { return slog.String(c.rule.LogKey, id) }

// input is the input of a run of the saga of a state. Besides its data, a new one has nothing.
func (c *flowClient[S, P]) input(id string, s *S) saga.Input {
	if c.rule.Data == nil {
		return saga.Input{ID: id}
	}
	data, err := json.Marshal(c.rule.Data(s))
	if err != nil {
		panic("sagaclient: the data of " + c.name(id) + " cannot be encoded as JSON: " + err.Error())
	}
	return saga.Input{ID: id, Data: data, CorrelationID: c.flow.Kit(s).CorrelationID}
}

// begun is the state that an input makes. The error is Corrupt.
func (c *flowClient[S, P]) begun(in saga.Input) (S, error) {
	s, err := c.rule.State(in.Data)
	c.flow.Kit(&s).ID = in.ID
	return s, fault.Wrap(err, fault.Corrupt, "read the input of %s", c.name(in.ID))
}

func (c *flowClient[S, P]) conflict(id string) error {
	return fault.New(fault.Conflict, "%s exists with different content", c.name(id))
}

func (c *flowClient[S, P]) unknown(id string) error {
	return fault.New(fault.OrderUnknown, "%s is not known", c.name(id))
}

func (c *flowClient[S, P]) notFound(id string) error {
	return fault.New(fault.NotFound, "%s does not exist", c.name(id))
}

// unreadable wraps the error of something in a history that cannot be read: Unavailable when a key is missing, and otherwise Corrupt.
func unreadable(err error, format string, args ...any) error {
	code := fault.Corrupt
	if errors.Is(err, fault.Unavailable) {
		code = fault.Unavailable
	}
	return fault.Wrap(err, code, format, args...)
}

func ignoreConflict(err error) error {
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}
