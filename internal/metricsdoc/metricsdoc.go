// Package metricsdoc writes the list of the service's metrics for the documentation: docs/reference/metrics.md. It registers what the
// service registers, so that the page has every metric with its type, labels and help; a test and make check notice when it is stale, make
// docs writes it.
package metricsdoc

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
)

// Metric is a metric of the service.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

//go:embed metrics.md.tmpl
var page string

// Markdown returns docs/reference/metrics.md.
func Markdown() (string, error) {
	all, err := All()
	if err != nil {
		return "", err
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range all {
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, labels, strings.ReplaceAll(m.Help, "|", `\|`))
	}
	return strings.Replace(page, "{{metrics}}\n", table.String(), 1), nil
}

// All are the metrics of the service itself, by name: those of Go, the process and Temporal's SDK are left out.
func All() ([]Metric, error) {
	var c captured
	if err := api.RegisterMetrics(&c); err != nil {
		return nil, err
	}
	rabbitmq.NewMetrics(&c)
	mongo.NewMetrics(&c)
	metrics.NewSagas(&c)
	metrics.NewRemote(&c)
	metrics.NewReconcile(&c)
	metrics.NewBacklog(&c, metrics.BacklogConfig{})
	metrics.NewBreakers(&c)
	metrics.NewCancellations(&c)
	metrics.NewDeadLetters(&c)
	metrics.NewExpiredDeadLetters(&c)
	var all []Metric
	for _, one := range c.collectors {
		described, err := describe(one)
		if err != nil {
			return nil, err
		}
		all = append(all, described...)
	}
	all = slices.DeleteFunc(all, func(m Metric) bool { return !strings.HasPrefix(m.Name, "ordersaga_") })
	slices.SortFunc(all, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// captured keeps what is registered with it.
type captured struct{ collectors []prometheus.Collector }

func (c *captured) Register(one prometheus.Collector) error {
	c.collectors = append(c.collectors, one)
	return nil
}

func (c *captured) MustRegister(all ...prometheus.Collector) {
	c.collectors = append(c.collectors, all...)
}
func (c *captured) Unregister(prometheus.Collector) bool { return false }

// description is what the description of a metric prints.
var description = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"),.*variableLabels: \{([^}]*)\}\}$`)

func describe(c prometheus.Collector) (described []Metric, err error) {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		c.Describe(descs)
	}()
	for d := range descs {
		parts := description.FindStringSubmatch(d.String())
		if parts == nil {
			err = fmt.Errorf("metric is described in another form: %s", d)
			continue
		}
		m := Metric{Type: typeOf(c)}
		m.Name, _ = strconv.Unquote(parts[1])
		m.Help, _ = strconv.Unquote(parts[2])
		if parts[3] != "" {
			m.Labels = strings.Split(parts[3], ",")
		}
		described = append(described, m)
	}
	return described, err
}

func typeOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case *prometheus.GaugeVec, prometheus.Gauge, *metrics.Backlog: // before Counter, whose methods a gauge has, too
		return "gauge"
	case prometheus.Counter:
		return "counter"
	}
	return "other"
}
