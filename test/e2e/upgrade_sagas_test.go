package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// recording describes a recorded log and how its sagas must end.
type recording struct {
	Sagas []recordedSaga `json:"sagas"`
	// Streams are customers and messages: the types of which one must be the last event of each.
	Streams map[string][]string `json:"streams"`
	// DeadLetter is the id of a dead letter that is open.
	DeadLetter string `json:"deadLetter"`
}

// recordedSaga is an order of a recorded log.
type recordedSaga struct {
	ID string `json:"id"`
	// Path is the name of the path that it takes, State the state that it was recorded in.
	Path  string `json:"path"`
	State string `json:"state"`
	// Open reports whether an intervention is missing, for the order or for its late events.
	Open bool `json:"open"`
	// Then is what happens after the upgrade. First reports whether the first of it happens before any run was repaired.
	Then  []reaction `json:"then,omitempty"`
	First bool       `json:"first,omitempty"`
	// Status and Reason are how it must end, Late the events of what came after its end.
	Status string   `json:"status"`
	Reason string   `json:"reason,omitempty"`
	Late   []string `json:"late,omitempty"`
}

// reaction is an event or an intervention that is sent when an order has a status, or when a step of it needs attention.
type reaction struct {
	When string `json:"when,omitempty"`
	Step string `json:"step,omitempty"`
	// Head is the newest event that the order must have before that; a recording cuts timelines after what a reaction caused.
	Head string `json:"head,omitempty"`

	Publish string            `json:"publish,omitempty"`
	Data    map[string]any    `json:"data,omitempty"`
	Cancel  bool              `json:"cancel,omitempty"`
	Decide  *harness.Decision `json:"decide,omitempty"`
	// Count is what is counted of the SKU.
	Count *int64 `json:"count,omitempty"`
	SKU   string `json:"sku,omitempty"`
}

func isEnd(status string) bool {
	return slices.Contains([]string{"completed", "rejected", "cancelled", "failed"}, status)
}

// actor runs one saga: it sends reactions, up to a limit, and has arrived when the order waits for the next one or has ended.
type actor struct {
	*recordedSaga

	used, limit int
	// versions are those that the order had when each reaction came.
	versions []int64
	arrived  bool
	// failed is why the last reaction did not succeed.
	failed error
}

// arrival bounds how long all sagas together may take. It only prevents that the test hangs.
const arrival = 2 * patience

// act runs all sagas until every actor has arrived.
func (s *stack) act(actors []*actor) {
	s.t.Helper()
	deadline := time.Now().Add(arrival)
	for {
		orders, attention := s.listing()
		var all sync.WaitGroup
		var missing []string
		busy := make(chan struct{}, 8)
		for _, a := range actors {
			if a.arrived {
				continue
			}
			all.Go(func() {
				busy <- struct{}{}
				defer func() { <-busy }()
				a.play(s, orders[a.ID], attention)
			})
		}
		all.Wait()
		for _, a := range actors {
			if !a.arrived {
				missing = append(missing, fmt.Sprintf("%s is %q, after %d reactions: %v", a.ID, orders[a.ID].Status, a.used, a.failed))
			}
		}
		if len(missing) == 0 {
			return
		}
		require.True(s.t, time.Now().Before(deadline), "%d sagas have not arrived: %v", len(missing), missing)
		select {
		case <-time.After(2 * tick):
		case <-s.ctx.Done():
			require.FailNow(s.t, "sagas have not arrived", "%v", missing)
		}
	}
}

// play sends the reactions that are due for one saga.
func (a *actor) play(s *stack, r harness.Resource, attention map[string]int) {
	for isEnd(r.Status) && a.used < len(a.Then) && !isEnd(a.Then[a.used].When) {
		a.used++ // the effect has happened already: no intervention is needed
	}
	due := a.used < len(a.Then) && s.due(a.ID, r, a.Then[a.used], attention)
	if !due && a.used+1 < a.limit && s.due(a.ID, r, a.Then[a.used+1], attention) && s.raised(a.ID, a.Then[a.used].Step) {
		// Two steps are stuck, and need attention one after the other.
		a.Then[a.used], a.Then[a.used+1] = a.Then[a.used+1], a.Then[a.used]
		due = true
	}
	switch {
	case a.used >= a.limit && a.limit < len(a.Then):
		a.arrived = due
	case a.used >= a.limit:
		a.arrived = isEnd(r.Status)
	case due:
		now, err := s.client.Order(s.ctx, a.ID)
		if err == nil {
			err = s.react(a.ID, a.Then[a.used], attention[a.ID+"/"+a.Then[a.used].Step])
		}
		if a.failed = err; err == nil {
			a.versions = append(a.versions, now.Version)
			a.used++
		}
	}
}

// due reports whether it is time for a reaction.
func (s *stack) due(id string, r harness.Resource, do reaction, attention map[string]int) bool {
	if r.Status != do.When || do.Step != "" && attention[id+"/"+do.Step] == 0 {
		return false
	}
	if do.Head == "" {
		return true
	}
	timeline, err := s.client.Timeline(s.ctx, id)
	return err == nil && len(timeline) > 0 && timeline[len(timeline)-1].Type == do.Head
}

// raised reports whether a step of an order needs attention.
func (s *stack) raised(id, step string) bool {
	timeline, err := s.client.Timeline(s.ctx, id)
	return err == nil && slices.ContainsFunc(timeline, func(item harness.Item) bool {
		var stuck struct {
			Step string `json:"step"`
		}
		return item.Type == "order.needs_attention" && json.Unmarshal(item.Data, &stuck) == nil && stuck.Step == step
	})
}

// listing reads the status of every order, and the steps that need attention.
func (s *stack) listing() (orders map[string]harness.Resource, attention map[string]int) {
	orders, attention = map[string]harness.Resource{}, map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items      []harness.Resource `json:"items"`
			NextCursor string             `json:"nextCursor"`
		}
		response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders?limit=500&cursor="+url.QueryEscape(cursor), nil)
		if err != nil || response.Into(http.StatusOK, &page) != nil {
			return orders, attention
		}
		for _, r := range page.Items {
			orders[r.ID] = r
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	items, err := s.client.Attention(s.ctx)
	if err != nil {
		return orders, attention
	}
	for _, item := range items {
		attention[item.ID+"/"+item.Step] = item.Attention
	}
	return orders, attention
}

// react sends a reaction; attention is the number of the attention that it resolves, or zero for any.
func (s *stack) react(id string, do reaction, attention int) error {
	switch {
	case do.Publish != "":
		data := map[string]any{"orderId": id}
		maps.Copy(data, do.Data)
		_, err := s.bus.Publish(s.ctx, do.Publish, id, data)
		return err
	case do.Cancel:
		response, err := s.client.Cancel(s.ctx, id, "changed my mind")
		if err == nil && response.Status != http.StatusConflict {
			err = response.Into(http.StatusOK, nil)
		}
		return err
	case do.Decide != nil:
		d := *do.Decide
		d.By, d.Attention = "ada", attention
		response, err := s.client.Resolve(s.ctx, id, d)
		if err != nil {
			return err
		}
		return response.Into(http.StatusOK, nil)
	case do.Count != nil:
		response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/stock/"+do.SKU+"/counts", map[string]int64{"counted": *do.Count},
			"Idempotency-Key", uuid.NewString())
		if err == nil && response.Status != http.StatusOK {
			err = response.Into(http.StatusCreated, nil)
		}
		return err
	}
	return nil
}
