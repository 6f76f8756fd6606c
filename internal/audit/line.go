package audit

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// line is a record in an export.
type line struct {
	CausationID   string         `json:"causationId"`
	CorrelationID string         `json:"correlationId"`
	Data          jsontext.Value `json:"data"`
	Hash          string         `json:"hash"`
	ID            string         `json:"id"`
	Key           string         `json:"key"`
	PrevHash      string         `json:"prevHash"`
	SchemaVersion int            `json:"schemaVersion"`
	Source        string         `json:"source"`
	Stream        string         `json:"stream"`
	Subject       string         `json:"subject"`
	Time          string         `json:"time"`
	Type          string         `json:"type"`
	Version       int64          `json:"version"`
}

// place finds stream and version in a line that is not canonical.
var place = regexp.MustCompile(`^.*,"stream":"([^"\\]+)","subject":".*,"version":([1-9][0-9]{0,9})}$`)

// parseLine reads a line of an export. A line that is not the canonical JSON of a record is damaged. If it does not even have a stream and a version, it
// counts as the one after the line before it.
func parseLine(text []byte, before Stored) Stored {
	var l line
	if err := jsonv2.Unmarshal(text, &l, jsonv2.RejectUnknownMembers(true)); err == nil {
		at, err := time.Parse(time.RFC3339, l.Time)
		r := event.Record{Stream: l.Stream, Version: l.Version, PrevHash: l.PrevHash, Hash: l.Hash, Entry: event.Entry{Key: l.Key, Event: event.Event{
			ID: l.ID, Type: l.Type, Source: l.Source, Subject: l.Subject, Time: at, CorrelationID: l.CorrelationID, CausationID: l.CausationID,
			SchemaVersion: l.SchemaVersion, Data: json.RawMessage(l.Data),
		}}}
		canonical, cerr := eventlog.Canonical(r)
		if err == nil && cerr == nil && r.Version > 0 && bytes.Equal(canonical, text) {
			return Stored{Record: r}
		}
	}
	if found := place.FindSubmatch(text); found != nil {
		version, _ := strconv.ParseInt(string(found[2]), 10, 64) // 10 digits fit
		return Stored{event.Record{Stream: string(found[1]), Version: version}, true}
	}
	return Stored{event.Record{Stream: before.Stream, Version: before.Version + 1}, true}
}
