package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Event is an event of a saga, or of the stock of a SKU.
type Event struct {
	// Version counts from 1 without gaps.
	Version int64  `json:"version"`
	Type    string `json:"type"`
	// Key is the slot of the event, which is written once.
	Key           string          `json:"key"`
	ID            string          `json:"id"`
	Source        string          `json:"source"`
	Subject       string          `json:"subject"`
	Time          time.Time       `json:"time"`
	CorrelationID string          `json:"correlationId,omitempty"`
	CausationID   string          `json:"causationId,omitempty"`
	SchemaVersion int             `json:"schemaVersion"`
	Data          json.RawMessage `json:"data"`
	Hash          string          `json:"hash"`
	PrevHash      string          `json:"prevHash"`
}

// maxIdle is the longest silence of a stream: the service sends something every 15 s.
const maxIdle = time.Minute

// OrderEvents lists the events of an order so far, oldest first.
func (c *Client) OrderEvents(ctx context.Context, id string) iter.Seq2[Event, error] {
	return list[Event](ctx, c, pathTo("orders", id, "events"), nil)
}

// WatchOrder yields the events of an order whose version is greater than after, those that exist and then each new one, until the order has ended
// or the context is done. It connects again after a lost connection, and yields no event twice.
func (c *Client) WatchOrder(ctx context.Context, id string, after int64) iter.Seq2[Event, error] {
	return c.watch(ctx, pathTo("orders", id, "events"), after)
}

// SagaEvents lists the events of a saga so far, oldest first.
func (c *Client) SagaEvents(ctx context.Context, flow, id string) iter.Seq2[Event, error] {
	return list[Event](ctx, c, pathTo("sagas", flow, id, "events"), nil)
}

// WatchSaga yields the events of a saga as WatchOrder does.
func (c *Client) WatchSaga(ctx context.Context, flow, id string, after int64) iter.Seq2[Event, error] {
	return c.watch(ctx, pathTo("sagas", flow, id, "events"), after)
}

// StockEvents lists the ledger of a SKU, oldest first.
func (c *Client) StockEvents(ctx context.Context, sku string) iter.Seq2[Event, error] {
	return list[Event](ctx, c, pathTo("stock", sku, "events"), nil)
}

// errStreamEnded means that no event follows.
var errStreamEnded = errors.New("the stream has ended")

// watch reads an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). A stream that ends is opened again after its last
// event, until the service answers that none follows.
func (c *Client) watch(ctx context.Context, path string, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		until := time.Now().Add(c.cfg.RetryTime)
		for attempt := 0; ; attempt++ {
			stopped := false
			opened, err := c.stream(ctx, path, after, func(e Event) bool {
				after, attempt = e.Version, 0
				stopped = !yield(e, nil)
				return !stopped
			})
			if opened {
				until = time.Now().Add(c.cfg.RetryTime)
			}
			delay := delayOf(err, attempt)
			switch {
			case stopped || errors.Is(err, errStreamEnded):
				return
			case err != nil && (!retryable(err) || time.Now().Add(delay).After(until)):
				yield(Event{}, err)
				return
			}
			if err := pause(ctx, delay); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// stream reads one connection until it ends or next returns false. The error is errStreamEnded if no event follows.
func (c *Client) stream(ctx context.Context, path string, after int64, next func(Event) bool) (opened bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(c.cfg.AttemptTimeout, cancel)
	defer silence.Stop()
	request, err := c.request(ctx, &call{method: http.MethodGet, path: path})
	if err != nil {
		return false, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if after > 0 {
		request.Header.Set("Last-Event-ID", strconv.FormatInt(after, 10))
	}
	response, err := c.cfg.HTTP.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNoContent:
		return true, errStreamEnded
	case response.StatusCode != http.StatusOK:
		raw, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return false, errorOf(response, raw)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxAnswer)
	for silence.Reset(maxIdle); lines.Scan(); silence.Reset(maxIdle) {
		// An event of this API is one line of data; its id is the version in it.
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return true, fmt.Errorf("read an event of %s: %w", path, err)
		}
		if e.Version > after && !next(e) {
			return true, nil
		}
	}
	return true, lines.Err()
}
