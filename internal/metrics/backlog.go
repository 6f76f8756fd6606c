package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// countEvery is how old counts are at least before they are made again, and countShare which part of a process's time may go into that.
	countEvery = 10 * time.Second
	countShare = 20
	// maxCountPause bounds how long a scrape waits for counts; the older ones do then.
	maxCountPause = 2 * time.Second
	// countTimeout bounds one count.
	countTimeout = 30 * time.Second
	// countKept is how long counts are shown that cannot be made again.
	countKept = 2 * time.Minute
)

// BacklogConfig is what a Backlog counts. All fields are mandatory.
type BacklogConfig struct {
	// Lists are the lists of sagas, each with the name of the flow whose sagas do not say theirs.
	Lists   map[string]Tallier
	Letters Letters
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Tallier counts the sagas of a list that have not ended.
type Tallier interface {
	Tally(ctx context.Context) ([]readmodel.Tally, error)
}

// Letters counts the dead letters that are open.
type Letters interface {
	OpenByReason(ctx context.Context) (map[fault.Code]int64, error)
}

// Backlog are the metrics of what is open, from the read model. It counts when it is scraped, at most every countEvery, and not at every
// scrape: every process shows the same numbers.
type Backlog struct {
	cfg                              BacklogConfig
	open, oldest, attention, letters *prometheus.Desc

	mu sync.Mutex
	// counting is closed when the count that is under way ends; nil when none is.
	counting chan struct{}
	// next is when to count again, counted when the counts were made.
	next, counted time.Time
	counts        counts
	statuses      bounded
	steps         bounded
}

type (
	flowStatus struct {
		flow   string
		status saga.Status
	}
	flowStep struct{ flow, step string }
)

// counts are what was counted. What was there once stays, with 0: a series that ends says nothing.
type counts struct {
	open      map[flowStatus]int64
	oldest    map[flowStatus]time.Time
	attention map[flowStep]int64
	letters   map[string]int64
}

var _ prometheus.Collector = (*Backlog)(nil)

// NewBacklog registers the metrics. It panics when they are registered already.
func NewBacklog(registry prometheus.Registerer, c BacklogConfig) *Backlog {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	const same = " Counted at most every 10 seconds; every process shows the same."
	b := &Backlog{
		cfg:       c,
		open:      desc("ordersaga_sagas_open", "Sagas that have not ended, by flow and status."+same, "flow", "status"),
		oldest:    desc("ordersaga_oldest_open_seconds", "Age of the oldest saga that has not ended, by flow and status."+same, "flow", "status"),
		attention: desc("ordersaga_attention_open", "Sagas that need attention, by flow and step."+same, "flow", "step"),
		letters:   desc("ordersaga_dead_letters_open", "Dead letters that were neither replayed nor discarded, by reason."+same, "reason"),
	}
	if registry != nil {
		registry.MustRegister(b)
	}
	return b
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.open, b.oldest, b.attention, b.letters} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Backlog) Collect(to chan<- prometheus.Metric) {
	c, now, ok := b.current()
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for key, n := range c.open {
		age := 0.0
		if at := c.oldest[key]; n > 0 {
			age = max(now.Sub(at).Seconds(), 0)
		}
		gauge(b.open, float64(n), key.flow, string(key.status))
		gauge(b.oldest, age, key.flow, string(key.status))
	}
	for key, n := range c.attention {
		gauge(b.attention, float64(n), key.flow, key.step)
	}
	for reason, n := range c.letters {
		gauge(b.letters, float64(n), reason)
	}
}

// current returns the counts, new ones if those that are there are too old and new ones come in time; ok is false if there are none.
func (b *Backlog) current() (c counts, now time.Time, ok bool) {
	b.mu.Lock()
	now = b.cfg.Clock()
	if b.counting == nil && !now.Before(b.next) {
		b.counting = make(chan struct{})
		go b.count(b.counting, b.counts)
	}
	counting := b.counting
	b.mu.Unlock()
	if counting != nil {
		timer := time.NewTimer(maxCountPause)
		defer timer.Stop()
		select {
		case <-counting:
		case <-timer.C:
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.cfg.Clock()
	return b.counts, now, !b.counted.IsZero() && now.Sub(b.counted) < countKept
}

// count counts, and keeps the counts.
func (b *Backlog) count(done chan struct{}, before counts) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	began := b.cfg.Clock()
	c, err := b.read(ctx, before)
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := b.cfg.Clock()
	b.counting, b.next = nil, ended.Add(max(countEvery, countShare*ended.Sub(began)))
	if err != nil {
		b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "open sagas and dead letters not counted for metrics", slog.Any("error", err))
		return
	}
	b.counts, b.counted = c, ended
}

func (b *Backlog) read(ctx context.Context, before counts) (counts, error) {
	c := counts{
		open: zero(before.open), oldest: make(map[flowStatus]time.Time), attention: zero(before.attention), letters: zero(before.letters),
	}
	for name, list := range b.cfg.Lists {
		tallies, err := list.Tally(ctx)
		if err != nil {
			return c, err
		}
		for _, t := range tallies {
			flow := cmp.Or(t.Flow, name)
			key := flowStatus{flow, saga.Status(b.statuses.value(flow, string(t.Status)))}
			if at, is := c.oldest[key]; !is || t.Oldest.Before(at) {
				c.oldest[key] = t.Oldest
			}
			c.open[key] += t.Count
			if t.Status == saga.NeedsAttention {
				c.attention[flowStep{flow, b.steps.value(flow, t.Step)}] += t.Count
			}
		}
	}
	letters, err := b.cfg.Letters.OpenByReason(ctx)
	for reason, n := range letters {
		c.letters[deadletter.Label(reason)] += n
	}
	return c, err
}

func zero[K comparable](m map[K]int64) map[K]int64 {
	zeros := make(map[K]int64, len(m))
	for k := range m {
		zeros[k] = 0
	}
	return zeros
}
