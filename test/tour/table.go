package tour

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
)

// PrintTimeline prints an order's events as a table.
func PrintTimeline(w io.Writer, items []harness.Item) {
	if len(items) == 0 {
		return
	}
	start := items[0].Time
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  #\tevent\tafter\twhat it says")
	for _, item := range items {
		fmt.Fprintf(table, "  %d\t%s\t%s\t%s\n", item.Version, item.Type, item.Time.Sub(start).Round(time.Millisecond), gist(item.Data))
	}
	_ = table.Flush()
}

// gist returns the important values of an event's data.
func gist(data json.RawMessage) string {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	var parts []string
	for _, name := range []string{"kind", "step", "action", "by", "reference", "note", "error", "outcome", "reason", "code", "paymentId", "carrier", "trackingNumber", "amount", "totalAmount", "currency", "detail"} {
		switch v := fields[name].(type) {
		case string:
			if v != "" {
				parts = append(parts, v)
			}
		case float64:
			parts = append(parts, fmt.Sprintf("%d", int64(v)))
		}
	}
	if lines, ok := fields["lines"].([]any); ok {
		for _, l := range lines {
			if line, ok := l.(map[string]any); ok {
				parts = append(parts, fmt.Sprintf("%v × %v", line["quantity"], line["sku"]))
			}
		}
	}
	return strings.Join(parts, ", ")
}
