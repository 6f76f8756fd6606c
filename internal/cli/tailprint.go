package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/wire"
)

type tailEvent struct {
	Time          time.Time       `json:"time"`
	Type          string          `json:"type"`
	Subject       string          `json:"subject,omitempty"`
	Sequence      string          `json:"sequence,omitempty"`
	ID            string          `json:"id,omitempty"`
	Source        string          `json:"source,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	Data          json.RawMessage `json:"data,omitempty"`
}

// tailEventOf is an event with its sequence, 0 when it has none.
func tailEventOf(e event.Event, sequence int64) tailEvent {
	t := tailEvent{Time: e.Time, Type: e.Type, Subject: e.Subject, ID: e.ID, Source: e.Source, CorrelationID: e.CorrelationID, Data: e.Data}
	if sequence > 0 {
		t.Sequence = strconv.FormatInt(sequence, 10)
	}
	return t
}

// readTailEvent reads a message as far as possible: anything may be on the bus.
func readTailEvent(m wire.Message) tailEvent {
	now := time.Now().UTC().Truncate(event.TimeResolution)
	if e, err := wire.Decode(m); err == nil {
		if e.Time.IsZero() {
			e.Time = now
		}
		sequence, _ := wire.Sequence(m)
		return tailEventOf(e, sequence)
	}
	id := wire.Identify(m)
	t := tailEvent{Time: now, Type: m.RoutingKey, Subject: id.Subject, ID: id.ID, Source: m.AppID, CorrelationID: id.CorrelationID}
	var foreign struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(m.Body, &foreign) == nil {
		t.Data = foreign.Data
	}
	if t.Data == nil && json.Valid(m.Body) {
		t.Data = m.Body
	}
	return t
}

// Widths of the columns, in characters. The subject's grows up to its most.
const (
	typeWidth       = 27
	subjectWidth    = 12
	subjectWidthMax = 36
	dataWidth       = 120
)

type tailPrinter struct {
	to      io.Writer
	json    *json.Encoder
	colours bool
	// subject is the width of that column; 0 before the header is printed.
	subject int
}

// newTailPrinter returns a printer that uses colours on a terminal, unless NO_COLOR is set (https://no-color.org).
func newTailPrinter(to io.Writer, asJSON bool) *tailPrinter {
	p := &tailPrinter{to: to, colours: coloured(to)}
	if asJSON {
		p.json = json.NewEncoder(to)
		p.json.SetEscapeHTML(false)
	}
	return p
}

func (p *tailPrinter) write(e tailEvent) error {
	if p.json != nil {
		return p.json.Encode(e)
	}
	subject := printable(e.Subject)
	header := p.subject == 0
	p.subject = min(subjectWidthMax, max(p.subject, subjectWidth, utf8.RuneCountInString(subject)))
	if header {
		if _, err := fmt.Fprintf(p.to, "%-12s  %-*s  %-*s  %3s  %s\n", "TIME", typeWidth, "TYPE", p.subject, "SUBJECT", "#", "DATA"); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%-*s", typeWidth, printable(e.Type))
	if colour := colourOf(e.Type); p.colours && colour != "" {
		name = colour + name + "\x1b[0m"
	}
	line := fmt.Sprintf("%s  %s  %-*s  %3s  %s", e.Time.Local().Format("15:04:05.000"), name, p.subject, subject, e.Sequence, dataText(e.Type, e.Data))
	_, err := fmt.Fprintln(p.to, strings.TrimRight(line, " "))
	return err
}

// colourOf is green for success, red for what is lost or refused, yellow for compensations, and faint for events of others.
func colourOf(name string) string {
	if typ, ok := event.Find(name); !ok || typ.Direction != event.Published {
		return "\x1b[2m"
	}
	switch name {
	case event.OrderCompleted:
		return "\x1b[32m"
	case event.OrderRejected, event.OrderFailed, event.InventoryRejected, event.PaymentDeclined, event.PaymentCaptureRefused, event.OrderNeedsAttention:
		return "\x1b[31m"
	case event.OrderCompensating, event.OrderCancelled, event.OrderFulfillmentWithdrawn, event.PaymentVoided, event.PaymentRefunded, event.InventoryReleased:
		return "\x1b[33m"
	}
	return ""
}

// mainFields are the most informative fields of data, in the order in which they are read best.
var mainFields = []string{"step", "action", "by", "outcome", "reason", "code", "error", "note", "reference", "customerId", "sku", "quantity",
	"totalAmount", "amount", "currency", "fulfillment", "paymentId", "carrier", "trackingNumber", "detail"}

// dataText is an event's data in one line: the main fields, or all of it, shortened, when it has none of them. Personal data is
// left out.
func dataText(eventType string, data json.RawMessage) string {
	if typ, _ := event.Find(eventType); typ.Name == event.UserRegistered {
		return "(personal data)"
	}
	var fields map[string]any
	_ = json.Unmarshal(data, &fields)
	var parts []string
	for _, name := range mainFields {
		switch v := fields[name].(type) {
		case string:
			if v != "" {
				parts = append(parts, v)
			}
		case float64:
			parts = append(parts, fmt.Sprintf("%.0f", v))
		}
	}
	lines, _ := fields["lines"].([]any)
	for _, l := range lines {
		if line, ok := l.(map[string]any); ok {
			parts = append(parts, fmt.Sprintf("%v × %v", line["quantity"], line["sku"]))
		}
	}
	text := strings.Join(parts, ", ")
	if _, order := fields["orderId"]; len(parts) == 0 && (!order || len(fields) > 1) {
		text = string(data)
	}
	return shorten(printable(text), dataWidth)
}
