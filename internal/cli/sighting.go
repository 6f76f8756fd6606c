package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// sighting is an event as tail shows it.
type sighting struct {
	Time          time.Time       `json:"time"`
	Type          string          `json:"type"`
	Subject       string          `json:"subject,omitempty"`
	Sequence      string          `json:"sequence,omitempty"`
	ID            string          `json:"id,omitempty"`
	Source        string          `json:"source,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	Data          json.RawMessage `json:"data,omitempty"`
}

func sightingOf(e event.Event, sequence string) sighting {
	return sighting{
		Time: e.Time, Type: e.Type, Subject: e.Subject, Sequence: sequence, ID: e.ID, Source: e.Source,
		CorrelationID: e.CorrelationID, Data: e.Data,
	}
}

func sightingOfRecord(r event.Record) sighting {
	return sightingOf(r.Event, strconv.FormatInt(r.Version, 10))
}

// readSighting reads a message as well as it can be: the bus is everybody's.
func readSighting(m wire.Message) sighting {
	if e, err := wire.Decode(m); err == nil {
		sequence := ""
		if n, ok := wire.Sequence(m); ok {
			sequence = strconv.FormatInt(n, 10)
		}
		if e.Time.IsZero() {
			e.Time = time.Now().UTC().Truncate(event.TimeResolution)
		}
		return sightingOf(e, sequence)
	}
	s := sighting{Time: time.Now().UTC().Truncate(event.TimeResolution), Type: m.RoutingKey, ID: m.MessageID, Source: m.AppID, CorrelationID: m.CorrelationID}
	var foreign struct {
		ID          string          `json:"id"`
		Subject     string          `json:"subject"`
		AggregateID string          `json:"aggregateId"`
		Data        json.RawMessage `json:"data"`
	}
	if json.Unmarshal(m.Body, &foreign) == nil {
		s.Subject, s.Data = foreign.Subject, foreign.Data
		if s.Subject == "" {
			s.Subject = foreign.AggregateID
		}
		if foreign.ID != "" {
			s.ID = foreign.ID
		}
	}
	if s.Data == nil && json.Valid(m.Body) {
		s.Data = m.Body
	}
	return s
}

// Widths of the columns, in characters. The subject's grows up to its most.
const (
	typeWidth       = 27
	subjectWidth    = 12
	subjectWidthMax = 36
	gistWidth       = 120
)

// show prints sightings, one a line.
type show struct {
	to      io.Writer
	json    *json.Encoder
	colours bool
	subject int
	headed  bool
}

// newShow returns a show that uses colours on a terminal, unless NO_COLOR says no (https://no-color.org).
func newShow(to io.Writer, asJSON bool) *show {
	s := &show{to: to, subject: subjectWidth, colours: isTerminal(to) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if asJSON {
		s.json = json.NewEncoder(to)
		s.json.SetEscapeHTML(false)
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s *show) line(e sighting) error {
	if s.json != nil {
		return s.json.Encode(e)
	}
	subject := printable(e.Subject)
	s.subject = min(subjectWidthMax, max(s.subject, utf8.RuneCountInString(subject)))
	if !s.headed {
		s.headed = true
		if _, err := fmt.Fprintf(s.to, "%-12s  %-*s  %-*s  %3s  %s\n", "TIME", typeWidth, "TYPE", s.subject, "SUBJECT", "#", "DATA"); err != nil {
			return err
		}
	}
	colour, end := "", ""
	if s.colours {
		if colour = colourOf(e.Type); colour != "" {
			end = "\x1b[0m"
		}
	}
	text := fmt.Sprintf("%s  %s%-*s%s  %-*s  %3s  %s", e.Time.Local().Format("15:04:05.000"), colour, typeWidth, printable(e.Type), end,
		s.subject, subject, e.Sequence, gistOf(e.Type, e.Data))
	_, err := fmt.Fprintln(s.to, strings.TrimRight(text, " "))
	return err
}

// colourOf is green for the good end, red for what is lost or refused, yellow for what goes back, and faint for what
// neighbours say.
func colourOf(name string) string {
	typ, ok := event.Find(name)
	switch {
	case !ok || typ.Direction != event.Published:
		return "\x1b[2m"
	case name == event.OrderCompleted:
		return "\x1b[32m"
	}
	switch name {
	case event.OrderRejected, event.OrderFailed, event.InventoryRejected, event.PaymentDeclined, event.PaymentCaptureRefused, event.OrderNeedsAttention:
		return "\x1b[31m"
	case event.OrderCompensating, event.OrderCancelled, event.OrderFulfillmentWithdrawn, event.PaymentVoided, event.PaymentRefunded, event.InventoryReleased:
		return "\x1b[33m"
	}
	return ""
}

// telling are the fields of data that tell most, in the order in which they are read best.
var telling = []string{"step", "action", "by", "outcome", "reason", "code", "error", "note", "reference", "customerId", "sku", "quantity",
	"totalAmount", "amount", "currency", "fulfillment", "paymentId", "carrier", "trackingNumber", "detail"}

// gistOf leaves out what people say about themselves.
func gistOf(name string, data json.RawMessage) string {
	if typ, _ := event.Find(name); typ.Name == event.UserRegistered {
		return "(personal data)"
	}
	return gist(data)
}

// gist is what matters of an event's data, in one line; all of it, shortened, where nothing is known to matter.
func gist(data json.RawMessage) string {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return shortened(string(data))
	}
	var parts []string
	for _, name := range telling {
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
	_, order := fields["orderId"]
	if len(parts) == 0 && (!order || len(fields) > 1) {
		return shortened(string(data))
	}
	return shortened(strings.Join(parts, ", "))
}

// printable keeps what strangers send from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}

func shortened(text string) string {
	text = printable(text)
	if runes := []rune(text); len(runes) > gistWidth {
		return string(runes[:gistWidth-1]) + "…"
	}
	return text
}
