// Package runtime runs ordersaga with your own flows. The binary has the whole service and its command line, and your flows have everything that
// the flows of the service have: REST under /v1/sagas, events in and out, an audit stream, attention, cancellation, lists, reconcile.
//
//	func main() {
//		runtime.Main(runtime.Add(&giftcard.Flow, giftcard.New))
//	}
//
// A flow is a saga.Flow: a table of steps, with the functions that execute and compensate them. Add gives it the participants that these functions
// call. The binary has the commands of ordersaga: serve, worker, flows, publish, reconcile and so on, and reads the same environment variables;
// each wait of a flow has one more, whose default is in the flow. examples/giftcard is a complete example.
//
// Every command first checks the flows. It exits with code 1 and starts nothing if a table is invalid, a name, stream, event type or activity is
// used twice, a schema is missing, or a setting is not a duration.
//
// All processes of a deployment must run the same binary. If a flow is removed from it, its sagas stay as they are: lists show them, without links,
// and they continue when a binary has the flow again.
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

// Version is the version of the binary in logs and in the output of --version.
var Version = "dev"

// Env is what the service provides to the participants of a flow.
type Env struct {
	// Payments is the payment gateway of PAYMENT_GATEWAY.
	Payments payment.Gateway
	// Log is the event log. Names of your own streams must begin with the flow's Stream and a dot: giftcard.balance-42.
	Log event.StreamAppender
	// Logger and Clock are those of the service.
	Logger *slog.Logger
	Clock  func() time.Time
}

// Flow is a flow with its participants; see Add.
type Flow struct{ flow service.Flow }

// Add adds a flow to the service. participants is called once, when the workers start, and not in a process without workers. Main reports errors in
// the flow.
func Add[S, P any](flow *saga.Flow[S, P], participants func(e Env) (P, error)) Flow {
	added := service.Added[S, P]{Flow: flow}
	if participants != nil {
		added.Participants = func(e service.Environment) (P, error) { return participants(Env(e)) }
	}
	return Flow{added}
}

// Main runs the command in os.Args and exits with its exit code: 0, 2 for an invalid setting, 1 for all other failures. The first SIGINT or SIGTERM
// drains the process, a second one ends it at once.
func Main(flows ...Flow) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After the first signal the default handler is active again.
	context.AfterFunc(ctx, stop)
	code := Run(ctx, flows...)
	stop()
	os.Exit(code)
}

// Run is Main without signal handling; it returns the exit code.
func Run(ctx context.Context, flows ...Flow) int {
	all := make([]service.Flow, len(flows))
	for i, f := range flows {
		all[i] = f.flow
	}
	return cli.Run(ctx, Version, all...)
}
