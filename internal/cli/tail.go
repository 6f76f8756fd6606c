package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/service"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// tailReconnect bounds the pause before the next attempt to connect: a person waits for it.
const tailReconnect = 2 * time.Second

func tailCommand() *cobra.Command {
	var (
		types             []string
		orderID           string
		fromStart, asJSON bool
	)
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the events on the bus as they arrive", Args: cobra.NoArgs,
		Long: `Show the events of all services on the bus as they arrive, until Ctrl-C. It uses a temporary queue and does not take
messages from other consumers. Events that are published while there is no connection are not shown, except with
--from-start, which reads them from the event log. Messages that are sent directly to a queue are not on the bus.

The source is AMQP_URL and EVENT_EXCHANGE; --from-start also uses MONGODB_URI and MONGODB_DATABASE.`,
		Example: `  ordersaga tail --type order.accepted --type order.completed
  ordersaga tail --order shop-1001 --from-start
  ordersaga tail --type 'order.*' --json | jq .data`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case orderID != "" && !event.ValidID(orderID):
				return fault.New(fault.NotFound, "order %q does not exist", orderID)
			case fromStart && orderID == "":
				return errors.New("--from-start needs --order: the log is read by order")
			}
			cfg, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			t := &tailer{order: orderID, printer: newTailPrinter(cmd.OutOrStdout(), asJSON), status: cmd.ErrOrStderr()}
			keys := bindings(types)
			if orderID != "" {
				// All events of the order are received, so that a gap is found; what is printed of them is selected here.
				t.only, keys = keys, nil
			}
			if !fromStart {
				return t.run(cmd.Context(), cfg, keys)
			}
			return unlessInterrupted(cmd.Context(), with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
				t.log = s.Log()
				return t.run(ctx, cfg, keys)
			}))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&types, "type", nil, "event type, or a pattern such as 'order.*'; repeatable (default: all)")
	flags.StringVar(&orderID, "order", "", "only events about this order, each event of its stream once")
	flags.BoolVar(&fromStart, "from-start", false, "show earlier events of the order first, from the log")
	jsonFlag(cmd, &asJSON, "print one JSON object per line")
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes(event.Inbound, event.Published))
	return cmd
}

// bindings are the routing keys of types: their aliases are bound with them.
func bindings(types []string) []string {
	var keys []string
	for _, name := range types {
		typ, ok := event.Find(name)
		if !ok {
			keys = append(keys, name)
			continue
		}
		keys = append(append(keys, typ.Name), typ.Aliases...)
	}
	return keys
}

type streamReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// tailer prints events. Its methods are called by one goroutine.
type tailer struct {
	// order is the only order whose events are printed; empty for everything.
	order string
	// only are the types of the order's events that are printed, as routing keys; empty for all of them.
	only []string
	// log fills the gaps of the bus; nil without --from-start.
	log     streamReader
	printer *tailPrinter
	// status gets lines about the connection.
	status io.Writer

	// seen is the highest sequence of the order's stream that was printed.
	seen   int64
	lost   bool
	failed error
	stop   context.CancelFunc
}

func (t *tailer) run(ctx context.Context, cfg config.Config, keys []string) error {
	ctx, t.stop = context.WithCancel(ctx)
	defer t.stop()
	exchange := cfg.EventExchange + " at " + cfg.AMQPURL.Host()
	broker := service.BrokerConfig(cfg)
	broker.Name, broker.ReconnectMax = "ordersaga tail", tailReconnect
	tap, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{
		Config:    broker,
		Keys:      keys,
		Message:   func(m wire.Message) { t.message(ctx, m) },
		Connected: func(session uint64) { t.connected(ctx, exchange, session) },
		Lost:      t.disconnected,
	})
	if err != nil {
		return err
	}
	return errors.Join(tap.Run(ctx), t.failed)
}

// connected prints the events of the log that were not printed: the queue is bound, so that events that are appended from now on
// come over the bus too.
func (t *tailer) connected(ctx context.Context, exchange string, session uint64) {
	switch {
	case session == 1 || !t.lost:
		fmt.Fprintf(t.status, "listening to %s; press Ctrl-C to stop\n", exchange)
	case t.log != nil:
		fmt.Fprintln(t.status, "connected again")
	default:
		fmt.Fprintln(t.status, "connected again; events published in the meantime are not shown")
	}
	t.lost = false
	t.catchUp(ctx)
}

// disconnected reports the first of several failures to connect.
func (t *tailer) disconnected(err error, _ time.Duration) {
	if !t.lost {
		fmt.Fprintf(t.status, "no connection, trying again: %v\n", err)
	}
	t.lost = true
}

// catchUp prints the order's events in the log after those that were printed.
func (t *tailer) catchUp(ctx context.Context) {
	if t.log == nil {
		return
	}
	records, err := t.log.Read(ctx, event.OrderStream(t.order), t.seen, 0)
	if err != nil {
		t.fail(err)
		return
	}
	for _, r := range records {
		t.seen = r.Version
		t.print(tailEventOf(r.Event, r.Version))
	}
}

// message prints a message, unless it is about another order or has been printed.
func (t *tailer) message(ctx context.Context, m wire.Message) {
	e := readTailEvent(m)
	// A customer may have the ID of an order, and has a stream of their own.
	if t.order != "" && (e.Subject != t.order || strings.HasPrefix(e.Type, "customer.")) {
		return
	}
	sequence, ok := wire.Sequence(m)
	if t.order == "" || !ok || e.Source != event.Source {
		t.print(e)
		return
	}
	// Without a log the tail begins with the first event that is received.
	if sequence > t.seen+1 && (t.seen > 0 || t.log != nil) {
		t.catchUp(ctx)
		if sequence > t.seen+1 {
			fmt.Fprintf(t.status, "events %d to %d are missing\n", t.seen+1, sequence-1)
		}
	}
	if sequence > t.seen {
		t.seen = sequence
		t.print(e)
	}
}

func (t *tailer) print(e tailEvent) {
	if len(t.only) > 0 && !slices.ContainsFunc(t.only, func(pattern string) bool { return matches(pattern, e.Type) }) {
		return
	}
	if err := t.printer.write(e); err != nil {
		t.fail(err)
	}
}

func (t *tailer) fail(err error) {
	if t.failed == nil && !errors.Is(err, context.Canceled) {
		t.failed = err
	}
	t.stop()
}

// matches reports whether a topic exchange would route a key to a binding: * is one word, # is any number of them
// (https://www.rabbitmq.com/tutorials/tutorial-five-go).
func matches(pattern, key string) bool {
	return matchWords(strings.Split(pattern, "."), strings.Split(key, "."))
}

func matchWords(pattern, words []string) bool {
	if len(pattern) == 0 {
		return len(words) == 0
	}
	if pattern[0] == "#" {
		return matchWords(pattern[1:], words) || len(words) > 0 && matchWords(pattern, words[1:])
	}
	return len(words) > 0 && (pattern[0] == "*" || pattern[0] == words[0]) && matchWords(pattern[1:], words[1:])
}
