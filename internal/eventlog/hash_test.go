package eventlog_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// hashByOthers is the hash as the format says it, by another implementation of RFC 8785 over encoding/json.
func hashByOthers(t *testing.T, r event.Record) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"stream": r.Stream, "version": r.Version, "key": r.Key, "id": r.ID, "type": r.Type, "source": r.Source,
		"subject": r.Subject, "time": eventlog.FormatTime(r.Time), "correlationId": r.CorrelationID, "causationId": r.CausationID,
		"schemaVersion": r.SchemaVersion, "data": r.Data,
	})
	require.NoError(t, err)
	canonical, err := jcs.Transform(raw)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("ordersaga/record/v1\n" + r.PrevHash + "\n" + string(canonical)))
	return hex.EncodeToString(sum[:])
}

// FuzzHash: whatever Seal accepts has the hash that another implementation finds.
func FuzzHash(f *testing.F) {
	for _, data := range []string{
		string(golden().Data), `{"a":[{"b":1},2,"x",null,true]}`, `{"a":{"b":{"c":[]}}}`,
		`{"\u00fc\ud83d\ude00":"\u2028\\/\b\f\n\r\t\u001f<&>","é":-12,"z":0}`, `{"a":1,"a":2}`, ` {"a":9007199254740991} `,
		// The example of RFC 8785, section 3.2.3: names stand in the order of their UTF-16 code units.
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`,
		strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32),
	} {
		f.Add([]byte(data), "c-1", "grüße <&> \u2028")
	}
	f.Fuzz(func(t *testing.T, data []byte, cause, subject string) {
		records, err := eventlog.Seal("order-1", event.Head{}, []event.Entry{{Key: "accept", Event: event.Event{
			ID: "1", Type: event.OrderAccepted, Source: event.Source, Subject: subject, Time: time.UnixMilli(1772366400123),
			CorrelationID: subject + cause, CausationID: cause, SchemaVersion: 1, Data: data,
		}}})
		if err != nil {
			return
		}
		require.Equal(t, hashByOthers(t, records[0]), records[0].Hash)
	})
}
