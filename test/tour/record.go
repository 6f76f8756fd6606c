package tour

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"
)

// record writes the histories of the paths' workflows as JSON files, one a path: golden histories, which the code of
// the workflow must be able to replay for as long as such workflows may run.
func (g *guide) record(ctx context.Context, folder string, orders map[string]string) error {
	temporal, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS")})
	if err != nil {
		return fmt.Errorf("dial temporal: %w", err)
	}
	defer temporal.Close()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, orderID := range orders {
		// The workflow closes after its last event was published.
		if err := temporal.GetWorkflow(ctx, "order-"+orderID, "").Get(ctx, nil); err != nil {
			return fmt.Errorf("wait for the workflow of %s: %w", name, err)
		}
		var history historypb.History
		events := temporal.GetWorkflowHistory(ctx, "order-"+orderID, "", false, 0)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return fmt.Errorf("read the history of %s: %w", name, err)
			}
			history.Events = append(history.Events, e)
		}
		raw, err := protojson.MarshalOptions{Indent: " "}.Marshal(&history)
		if err != nil {
			return fmt.Errorf("marshal the history of %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".json"), append(raw, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
