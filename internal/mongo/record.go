package mongo

import (
	"encoding/json"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// document is the document of a record. Names and types are a public format. _id is <stream>@<version, 10 digits>; hashes are lower-case
// hexadecimal.
type document struct {
	DocumentID    string        `bson:"_id"`
	Stream        string        `bson:"stream"`
	Version       int64         `bson:"version"`
	Key           string        `bson:"key"`
	ID            string        `bson:"id"`
	Type          string        `bson:"type"`
	Source        string        `bson:"source"`
	Subject       string        `bson:"subject"`
	Time          bson.DateTime `bson:"time"`
	CorrelationID string        `bson:"correlationId"`
	CausationID   string        `bson:"causationId"`
	SchemaVersion int64         `bson:"schemaVersion"`
	// Data has int64 numbers, never doubles.
	Data     bson.Raw `bson:"data"`
	Hash     string   `bson:"hash"`
	PrevHash string   `bson:"prevHash"`
	// Recorded is the time of the insert by the clock of the process. It is not part of the hash, and missing in older documents.
	Recorded bson.DateTime `bson:"recorded,omitempty"`
}

// documentID is the _id of a version of a stream.
func documentID(stream string, version int64) string { return fmt.Sprintf("%s@%010d", stream, version) }

// toDocuments returns the documents of sealed records. The error is Invalid.
func toDocuments(records []event.Record) ([]document, error) {
	docs, now := make([]document, len(records)), bson.NewDateTimeFromTime(time.Now())
	for i, r := range records {
		data, err := dataToBSON(r.Data)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "store %s of stream %s", r.Key, r.Stream)
		}
		docs[i] = document{
			DocumentID: documentID(r.Stream, r.Version), Stream: r.Stream, Version: r.Version, Key: r.Key,
			ID: r.ID, Type: r.Type, Source: r.Source, Subject: r.Subject, Time: bson.NewDateTimeFromTime(r.Time),
			CorrelationID: r.CorrelationID, CausationID: r.CausationID, SchemaVersion: int64(r.SchemaVersion),
			Data: data, Hash: r.Hash, PrevHash: r.PrevHash, Recorded: now,
		}
	}
	return docs, nil
}

// decode returns the record of a document. If the error is Corrupt, the record has the stream and version as far as they are readable.
func decode(raw bson.Raw) (event.Record, error) {
	var d document
	var data json.RawMessage
	err := bson.Unmarshal(raw, &d)
	if err == nil {
		data, err = dataToJSON(d.Data)
	}
	if err != nil {
		stream, _ := raw.Lookup("stream").StringValueOK()
		version, _ := raw.Lookup("version").AsInt64OK()
		return event.Record{Stream: stream, Version: version}, fault.Wrap(err, fault.Corrupt, "decode document %s", raw.Lookup("_id"))
	}
	return event.Record{
		Stream: d.Stream, Version: d.Version, PrevHash: d.PrevHash, Hash: d.Hash,
		Entry: event.Entry{Key: d.Key, Event: event.Event{
			ID: d.ID, Type: d.Type, Source: d.Source, Subject: d.Subject, Time: time.UnixMilli(int64(d.Time)).UTC(),
			CorrelationID: d.CorrelationID, CausationID: d.CausationID, SchemaVersion: int(d.SchemaVersion), Data: data,
		}},
	}, nil
}

// decodeChecked is decode; it also checks that the _id matches stream and version.
func decodeChecked(raw bson.Raw) (event.Record, error) {
	r, err := decode(raw)
	if id, _ := raw.Lookup("_id").StringValueOK(); err == nil && id != documentID(r.Stream, r.Version) {
		err = fault.New(fault.Corrupt, "version %d of stream %s has the wrong _id %q", r.Version, r.Stream, id)
	}
	return r, err
}
