// Command growth measures what operations cost while a database grows: the event log, the list of orders and the stock
// ledger at several sizes, on the server that MONGODB_URI names. `make bench-growth` runs it; the results are in docs/results/growth.md.
//
// It fills a database for each size with whole orders, whose streams are sealed and appended through the event log, and
// measures them in turns. What should cost the same at every size and does not, fails the run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	moptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/bench/internal/bar"
	"github.com/ordersaga/ordersaga/bench/internal/command"
	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/internal/mongo"
)

func main() { command.Main("growth", do) }

func do(ctx context.Context, args []string) error {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		return errors.New("MONGODB_URI must say where the server is: run `make bench-growth`, or `devstack exec --only mongodb -- bin/growth`")
	}
	result, err := run(ctx, uri, o, os.Stderr)
	if err != nil {
		return err
	}
	if err := command.Leave(o.out, "growth", result); err != nil {
		return err
	}
	return result.Verdict()
}

// run fills databases of its own, one for each size, measures, and drops them in the end.
func run(ctx context.Context, uri string, o options, out *os.File) (*Result, error) {
	client, err := driver.Connect(moptions.Client().ApplyURI(uri))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	probe, err := mongo.Open(ctx, client.Database("growth"), nil)
	if err != nil {
		return nil, errors.Join(err, client.Disconnect(context.WithoutCancel(ctx)))
	}
	if o = o.on(probe.Server); probe.Server == mongo.FerretDB1 {
		fmt.Fprintln(out, "growth: FerretDB 1 finds records by _id alone and reads the whole collection for all else: this only looks whether it works")
	}
	var dbs []*driver.Database
	for _, size := range o.sizes {
		dbs = append(dbs, client.Database(fmt.Sprintf("growth_%d_%d", began.UnixNano(), size)))
	}
	defer leave(ctx, client, dbs, out)
	result := &Result{
		Began: began, Command: o.String(), Seed: o.seed, Samples: o.samples, Most: o.most, Commit: report.Commit(),
		Machine: report.Machine(true), Server: server(ctx, dbs[0]), Judged: probe.Server != mongo.FerretDB1 && len(o.sizes) > 1,
	}
	fmt.Fprintf(out, "growth: seed %d, on %s\n", o.seed, result.Server)
	progress := bar.New(out, o.pieces())
	defer progress.End()
	var meters []*meter
	defer func() {
		for _, m := range meters {
			m.ledger.Close()
		}
	}()
	var filled []Fill
	for i, size := range o.sizes {
		m, took, err := fillOne(ctx, &mongo.DB{Database: dbs[i], Server: probe.Server, Timeout: patience, Logger: probe.Logger}, size, o, began, progress)
		if err != nil {
			return nil, fmt.Errorf("fill in %d events: %w", size, err)
		}
		meters, filled = append(meters, m), append(filled, took)
	}
	if result.Sizes, err = measure(ctx, meters, o.samples, progress); err != nil {
		return nil, err
	}
	for i := range result.Sizes {
		result.Sizes[i].Fill = filled[i]
	}
	result.Took = time.Since(began)
	return result, nil
}

// fillOne fills a database and prepares to measure it.
func fillOne(ctx context.Context, db *mongo.DB, size int, o options, newest time.Time, progress *bar.Bar) (*meter, Fill, error) {
	f, err := newFill(ctx, db, o, newest)
	if err != nil {
		return nil, Fill{}, err
	}
	took, err := f.with(ctx, size, progress)
	if err != nil {
		return nil, Fill{}, err
	}
	progress.Line("%9s events filled in, %.0f a second", number(f.events), took.EventsPerSecond)
	m, err := newMeter(f, o)
	return m, took, err
}

// leave drops what the run has made, also when it was interrupted.
func leave(ctx context.Context, client *driver.Client, dbs []*driver.Database, out *os.File) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, db := range dbs {
		if err := db.Drop(clean); err != nil {
			fmt.Fprintf(out, "growth: the database %s was not dropped: %v\n", db.Name(), err)
		}
	}
	_ = client.Disconnect(clean)
}

// server names what the run was measured on.
func server(ctx context.Context, db *driver.Database) string {
	var info struct {
		Version         string `bson:"version"`
		FerretDBVersion string `bson:"ferretdbVersion"`
		FerretDB        struct {
			Version string `bson:"version"`
		} `bson:"ferretdb"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return "a server that does not say what it is"
	}
	switch {
	case info.FerretDBVersion != "":
		return "FerretDB " + info.FerretDBVersion
	case info.FerretDB.Version != "":
		return "FerretDB " + info.FerretDB.Version + " on PostgreSQL with DocumentDB"
	}
	return "MongoDB " + info.Version
}
