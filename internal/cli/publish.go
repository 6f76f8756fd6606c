package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/service"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// publishProgress is how often it is printed how far a long list is.
	publishProgress = time.Second
	// publishListed is the longest list that is printed as a table.
	publishListed = 20
)

func publishCommand() *cobra.Command {
	var in publishInput
	var out publishOutput
	cmd := &cobra.Command{
		Use: "publish [TYPE]", Short: "Publish an event as other services do", Args: cobra.MaximumNArgs(1),
		Long: `Publish an event as other services do: as a CloudEvent, mandatory and confirmed. The input is the event's data, or a
complete event in any format that the service reads. A file or standard input may contain many, one after the other.
All of them are validated as by the service; if one is invalid, nothing is sent.

The destination is AMQP_URL and EVENT_EXCHANGE. The exit code is 1 when an event is invalid, not confirmed, or not routed to a queue.`,
		Example: `  ordersaga publish shipment.dispatched --data '{"orderId": "shop-1001", "carrier": "dhl"}'
  ordersaga publish order.created --file order.json --correlation-id checkout-42
  jq -c '.[]' receipts.json | ordersaga publish stock.received --file -`,
		ValidArgsFunction: completeTypes(event.Inbound),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				in.typ = args[0]
			}
			in.routes = routesOf(cmd.Context())
			in.stdin, out.to, out.progress = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			if out.repeat < 1 || out.timeout <= 0 {
				return errors.New("--repeat and --timeout must be greater than zero")
			}
			messages, err := in.read()
			if err != nil {
				return err
			}
			cfg, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			return out.publish(cmd.Context(), cfg, messages)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&in.file, "file", "f", "", "file with the data or the events; - for standard input")
	flags.StringVarP(&in.data, "data", "d", "", "the data or the event")
	flags.StringVar(&in.id, "id", "", "event ID (default: the one in the event, or a new one)")
	flags.StringVar(&in.source, "source", "", "source of the event (default: the one in the event, or "+cliSource+")")
	flags.StringVar(&in.subject, "subject", "", "subject of the event, if its data does not name it")
	flags.StringVar(&in.correlation, "correlation-id", "", "correlation ID of everything that the event causes (default: its ID)")
	flags.IntVar(&out.repeat, "repeat", 1, "send each event this many times with the same ID, to test duplicates")
	flags.DurationVar(&out.timeout, "timeout", 10*time.Second, "time limit to reach the broker, and for each confirm")
	jsonFlag(cmd, &out.json, "print one JSON object for each event")
	cmd.MarkFlagsMutuallyExclusive("file", "data")
	cmd.MarkFlagsOneRequired("file", "data")
	return cmd
}

func completeTypes(directions ...event.Direction) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, d := range directions {
			for _, t := range event.Types(d) {
				names = append(names, cobra.CompletionWithDesc(t.Name, t.Meaning))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

type publishOutput struct {
	to, progress io.Writer
	json         bool
	repeat       int
	timeout      time.Duration
}

type publishedEvent struct {
	ID            string    `json:"id"`
	Type          string    `json:"type"`
	Subject       string    `json:"subject"`
	CorrelationID string    `json:"correlationId"`
	Time          time.Time `json:"time"`
	Exchange      string    `json:"exchange"`
}

// publish sends the events one by one, each when the one before is confirmed.
func (o publishOutput) publish(ctx context.Context, cfg config.Config, events []outgoing) error {
	began := time.Now()
	dialing, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	broker := service.BrokerConfig(cfg)
	broker.Name, broker.DialTimeout = "ordersaga publish", o.timeout
	n, err := rabbitmq.DialOneShot(dialing, broker)
	if err != nil {
		return fmt.Errorf("no connection to the broker at %s: %w", cfg.AMQPURL.Host(), err)
	}
	defer n.Close()
	printed := began
	var sent []publishedEvent
	for i, e := range events {
		for range o.repeat {
			if err := o.send(ctx, n, e.message); err != nil {
				return errors.Join(o.print(sent, cfg.EventExchange, began), fmt.Errorf("event %d of %d: %w", i+1, len(events), err))
			}
		}
		sent = append(sent, publishedEvent{e.event.ID, e.event.Type, e.event.Subject, e.event.CorrelationID, e.event.Time, cfg.EventExchange})
		if time.Since(printed) >= publishProgress {
			printed = time.Now()
			fmt.Fprintf(o.progress, "%d of %d\n", len(sent), len(events))
		}
	}
	return o.print(sent, cfg.EventExchange, began)
}

func (o publishOutput) send(ctx context.Context, n *rabbitmq.OneShotPublisher, m wire.Message) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err := n.Publish(ctx, m)
	if errors.Is(err, fault.NotFound) {
		return fmt.Errorf("%w; the event is lost", err)
	}
	return err
}

// print prints what was sent: a table, a line when that would be long, or JSON.
func (o publishOutput) print(sent []publishedEvent, exchange string, began time.Time) error {
	switch {
	case o.json:
		encoder := json.NewEncoder(o.to)
		for _, e := range sent {
			if err := encoder.Encode(e); err != nil {
				return err
			}
		}
		return nil
	case len(sent) > publishListed:
		_, err := fmt.Fprintf(o.to, "%d events published to %s in %s\n", len(sent), exchange, time.Since(began).Round(time.Millisecond))
		return err
	case len(sent) == 0:
		return nil
	}
	rows := [][]string{{"ID", "TYPE", "SUBJECT", "CORRELATION"}}
	for _, e := range sent {
		rows = append(rows, []string{e.ID, e.Type, e.Subject, e.CorrelationID})
	}
	return printTable(o.to, rows...)
}
