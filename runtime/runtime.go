// Package runtime runs ordersaga with flows of your own: the whole service and its command line, with everything that a flow of the service
// has: REST under /v1/sagas, events in and out, an audit stream, attention, cancellation, lists, reconcile.
//
//	func main() {
//		runtime.Main(runtime.Add(&giftcard.Flow, giftcard.New))
//	}
//
// A flow is a saga.Flow: a table of steps, with the functions that attempt and compensate them. Add gives it the participants that the
// functions call. The binary has the commands of ordersaga: serve, worker, flows, publish, reconcile and so on, and reads the same
// environment variables; each wait of a flow has one more, whose default is in the flow. examples/giftcard is a whole one.
//
// Every command begins with a check of the flows: a table that is broken, a name, stream, event type or activity that is taken, a schema that
// is missing, a setting that is no duration. Then nothing starts, and the exit code is 1.
//
// All processes of a deployment run the same binary. A flow that is taken out of it leaves its sagas where they are: lists show them, without
// links, and nothing goes on with them until a binary has the flow again.
package runtime

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cli"
	"github.com/ordersaga/ordersaga/internal/service"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Version is what the binary calls itself in its logs and in the answer to --version.
var Version = "dev"

// Env is what the participants of a flow may use of the service.
type Env struct {
	// Payments is the payment gateway that PAYMENT_GATEWAY names.
	Payments payment.Gateway
	// Log is the event log. Streams of your own begin with the flow's Stream and a dot: giftcard.balance-42.
	Log event.StreamAppender
	// Logger is the service's logger, Clock its clock.
	Logger *slog.Logger
	Clock  func() time.Time
}

// Flow is a flow with what makes its participants. Add makes it.
type Flow struct{ flow service.Flow }

// Add has the service run a flow. Participants are made once, when the workers start; a process without workers makes none. What is wrong
// with the flow, Main says before it does anything else.
func Add[S, P any](flow *saga.Flow[S, P], participants func(e Env) (P, error)) Flow {
	added := service.Added[S, P]{Flow: flow}
	if participants != nil {
		added.Participants = func(e service.Environment) (P, error) { return participants(Env(e)) }
	}
	return Flow{added}
}

// Main runs the command of os.Args and ends the process with its exit code: 0, 2 when a setting is invalid, 1 for every other failure. The
// first SIGINT or SIGTERM drains the process, a second one ends it at once.
func Main(flows ...Flow) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal drains; a second one finds the default handler and ends the process at once.
	context.AfterFunc(ctx, stop)
	code := Run(ctx, flows...)
	stop()
	os.Exit(code)
}

// Run is Main without its signals and its end: it returns the exit code.
func Run(ctx context.Context, flows ...Flow) int {
	all := make([]service.Flow, len(flows))
	for i, f := range flows {
		all[i] = f.flow
	}
	return cli.Run(ctx, Version, all...)
}
