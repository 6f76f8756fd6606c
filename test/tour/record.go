package tour

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/event"
)

// record writes the histories of the paths' workflows as JSON files, one for each path and one for its late events: golden histories, which the
// workflows must be able to replay for as long as such workflows may run.
func (g *guide) record(ctx context.Context, folder string, orders map[string]string, adas string) error {
	temporal, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS")})
	if err != nil {
		return fmt.Errorf("dial temporal: %w", err)
	}
	defer temporal.Close()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range everyPath() {
		orderID := event.Escape(orders[p.name])
		if err := recordOne(ctx, temporal, "order-"+orderID, filepath.Join(folder, p.file()+".json")); err != nil {
			return err
		}
		if len(p.late) == 0 {
			continue
		}
		if err := recordOne(ctx, temporal, "late-"+orderID, filepath.Join(folder, p.file()+".late.json")); err != nil {
			return err
		}
	}
	for workflowID, file := range map[string]string{
		"customer-" + g.ada: "customer.json", "notice-welcome-" + g.ada: "notice.welcome.json", "notice-completed-" + adas: "notice.completed.json",
	} {
		if err := recordOne(ctx, temporal, workflowID, filepath.Join(folder, file)); err != nil {
			return err
		}
	}
	return nil
}

// recordOne writes the history of one workflow.
func recordOne(ctx context.Context, temporal client.Client, workflowID, file string) error {
	// The workflow closes after its last event was published.
	if err := temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil); err != nil {
		return fmt.Errorf("wait for workflow %s: %w", workflowID, err)
	}
	var history historypb.History
	events := temporal.GetWorkflowHistory(ctx, workflowID, "", false, 0)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", workflowID, err)
		}
		history.Events = append(history.Events, e)
	}
	raw, err := protojson.MarshalOptions{Indent: " "}.Marshal(&history)
	if err != nil {
		return fmt.Errorf("marshal the history of %s: %w", workflowID, err)
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
