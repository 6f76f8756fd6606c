package mongo

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/audit/audittest"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
)

// BenchmarkAudit measures a first checkpoint, one after 1,000 streams have changed, a verification, an export and its verification, with streams
// of ten events; AUDIT_EVENTS says how many events there are. It prints its progress.
func BenchmarkAudit(b *testing.B) {
	const perStream = 10
	events := 100_000
	if text := os.Getenv("AUDIT_EVENTS"); text != "" {
		var err error
		events, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	db := connect(b)
	log := open(b, db)
	require.NoError(b, Setup(b.Context(), log.RecordedIndexes()))
	private, public, err := audit.NewKey("log.example")
	require.NoError(b, err)
	signer, err := audit.ParseSigner(private)
	require.NoError(b, err)
	keys, err := audit.ParseKeys(public)
	require.NoError(b, err)
	changed := min(1000, events/perStream)
	// Long before the checkpoints: these events are not among those that may have changed.
	old := bson.NewDateTimeFromTime(time.Now().Add(-time.Hour))
	var batch []document
	for i := range events / perStream {
		docs, err := toDocuments(audittest.Records(fmt.Sprintf("order-%07d", i), perStream))
		require.NoError(b, err)
		for i := range docs {
			docs[i].Recorded = old
		}
		if batch = append(batch, docs...); len(batch) >= scanBatch {
			_, err := log.events.InsertMany(b.Context(), batch)
			require.NoError(b, err)
			batch = nil
		}
	}
	if len(batch) > 0 {
		_, err := log.events.InsertMany(b.Context(), batch)
		require.NoError(b, err)
	}
	l := checkpoint.New(checkpoint.Config{
		Log: log, Events: log, Store: NewAudit(db), Signer: signer, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	began := time.Now()
	progress := func(what string) { fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(began).Seconds(), what) }
	progress("the log has its events")
	round := 0
	for b.Loop() {
		if round == 0 {
			first, err := l.Create(b.Context(), true)
			require.NoError(b, err)
			b.ReportMetric(float64(first.TookMillis), "ms/first")
			progress("first checkpoint")
		}
		var docs []document
		for i := range changed {
			more, err := toDocuments(audittest.Records(fmt.Sprintf("order-%07d", i), perStream+round+1)[perStream+round:])
			require.NoError(b, err)
			docs = append(docs, more...)
		}
		round++
		_, err = log.events.InsertMany(b.Context(), docs)
		require.NoError(b, err)
		next, err := l.Create(b.Context(), false)
		require.NoError(b, err)
		b.ReportMetric(float64(next.TookMillis), "ms/next")
		progress("next checkpoint")
		report, err := l.Verify(b.Context(), audit.Options{Keys: keys, Progress: func(n int64) { progress(fmt.Sprintf("%d events verified", n)) }})
		require.NoError(b, err)
		require.Empty(b, report.Findings)
		b.ReportMetric(float64(report.Events)/(float64(report.TookMillis)/1000), "events/s")
		exporting, dir := time.Now(), filepath.Join(b.TempDir(), "export")
		_, exported, err := l.Export(b.Context(), dir, nil)
		require.NoError(b, err)
		b.ReportMetric(float64(exported)/time.Since(exporting).Seconds(), "exported/s")
		progress(fmt.Sprintf("%d events exported", exported))
		report, err = audit.VerifyExport(b.Context(), dir, audit.Options{Keys: keys})
		require.NoError(b, err)
		require.Empty(b, report.Findings)
		b.ReportMetric(float64(report.Events)/(float64(report.TookMillis)/1000), "offline/s")
		progress("export verified")
	}
}
