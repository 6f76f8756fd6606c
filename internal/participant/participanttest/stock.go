package participanttest

import (
	"maps"
	"slices"
	"sync"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// Stock is the stock of an inventory service.
type Stock struct {
	mu     sync.Mutex
	onHand map[string]int64
	known  *journal[reservation]
}

// NewStock returns the stock of a warehouse that has so much of each SKU. The journal is the path of a file; without one reservations are kept
// in memory.
func NewStock(onHand map[string]int64, path string) (*Stock, error) {
	known, err := openJournal[reservation](path)
	return &Stock{onHand: maps.Clone(onHand), known: known}, err
}

// States of a reservation.
const (
	reserved  = "reserved"
	refused   = "refused"
	undone    = "undone"
	committed = "committed"
)

// line is a line of an answer.
type line struct {
	stock.Item
	Reason    string `json:"reason,omitempty"`
	Available *int64 `json:"available,omitempty"`
}

// reservation is what is recorded about a key.
type reservation struct {
	State   string       `json:"state"`
	OrderID string       `json:"orderId"`
	Items   []stock.Item `json:"items"`
	Reason  string       `json:"reason,omitempty"`
	Lacking []line       `json:"lacking,omitempty"`
	// Fenced means that it was released before it was requested.
	Fenced bool `json:"fenced,omitempty"`
	// Returns are the goods that came back, by their keys.
	Returns map[string][]stock.Item `json:"returns,omitempty"`
}

// returned is how much of a SKU came back.
func (r reservation) returned(sku string) (quantity int64) {
	for _, items := range r.Returns {
		for _, item := range items {
			if item.SKU == sku {
				quantity += item.Quantity
			}
		}
	}
	return quantity
}

// reservationRequest is the body of a request.
type reservationRequest struct {
	OrderID string       `json:"orderId"`
	Lines   []stock.Item `json:"lines"`
}

// reservationBody is the body of an answer.
type reservationBody struct {
	Result string `json:"result,omitempty"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	Lines  []line `json:"lines,omitempty"`
}

// Balance is what is there of a SKU: what is reserved is on hand until it is committed.
func (s *Stock) Balance(sku string) (onHand, held int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balance(sku)
}

// balance is Balance. The caller holds mu.
func (s *Stock) balance(sku string) (onHand, held int64) {
	onHand = s.onHand[sku]
	for _, r := range s.known.last {
		for _, item := range r.Items {
			switch {
			case item.SKU != sku:
			case r.State == reserved:
				held += item.Quantity
			case r.State == committed:
				onHand -= item.Quantity - r.returned(sku)
			}
		}
	}
	return onHand, held
}

// find answers a look-up.
func (s *Stock) find(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, there := s.known.last[c.key]
	if !there {
		return reservationBody{State: "absent"}, nil
	}
	answer := reservationBody{State: r.State, Reason: r.Reason}
	for _, item := range r.Items {
		l := line{Item: item}
		if i := slices.IndexFunc(r.Lacking, func(l line) bool { return l.SKU == item.SKU }); i >= 0 {
			l = r.Lacking[i]
		}
		answer.Lines = append(answer.Lines, l)
	}
	return answer, nil
}

// read reads a request, and the reservation with its key. The caller holds mu.
func (s *Stock) read(c call) (reservationRequest, reservation, error) {
	var request reservationRequest
	if err := c.read(&request); err != nil {
		return request, reservation{}, err
	}
	r := s.known.last[c.key]
	if r.State != "" && !r.Fenced && (r.OrderID != request.OrderID || !slices.Equal(r.Items, request.Lines)) {
		return request, r, fault.New(fault.Conflict, "the key was already used for different content")
	}
	return request, r, nil
}

func (s *Stock) reserve(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, r, err := s.read(c)
	if err == nil && r.State == "" {
		r = s.decide(request)
		err = s.known.put(c.key, r)
	}
	if err != nil {
		return nil, err
	}
	switch r.State {
	case reserved, committed:
		return reservationBody{Result: "done"}, nil
	case refused:
		return reservationBody{Result: "refused", Reason: r.Reason, Lines: r.Lacking}, nil
	}
	return reservationBody{Result: "undone"}, nil
}

// decide is what a request for a reservation comes to. The caller holds mu.
func (s *Stock) decide(request reservationRequest) reservation {
	r := reservation{State: reserved, OrderID: request.OrderID, Items: request.Lines}
	for _, item := range request.Lines {
		onHand, held := s.balance(item.SKU)
		available, reason := onHand-held, stock.OutOfStock
		if _, known := s.onHand[item.SKU]; !known {
			reason = stock.UnknownSKU
		}
		if available < item.Quantity {
			r.State, r.Lacking = refused, append(r.Lacking, line{item, reason, &available})
		}
	}
	if r.State == refused {
		r.Reason = r.Lacking[0].Reason
	}
	return r
}

func (s *Stock) commit(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.read(c)
	switch {
	case err != nil:
		return nil, err
	case r.State == "":
		return nil, fault.New(fault.Invalid, "nothing was reserved")
	case r.State == undone, r.State == refused:
		return nil, fault.New(fault.EffectSettled, "the reservation is %s", r.State)
	case r.State == reserved:
		r.State = committed
		if err := s.known.put(c.key, r); err != nil {
			return nil, err
		}
	}
	return reservationBody{Result: "done"}, nil
}

func (s *Stock) release(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, r, err := s.read(c)
	switch {
	case err != nil:
		return nil, err
	case r.State == committed:
		return nil, fault.New(fault.EffectSettled, "the reservation is committed")
	case r.State == "":
		r = reservation{OrderID: request.OrderID, Fenced: true}
	}
	if r.State == "" || r.State == reserved {
		r.State = undone
		if err := s.known.put(c.key, r); err != nil {
			return nil, err
		}
	}
	return reservationBody{Result: "undone"}, nil
}

// returnGoods puts goods into stock again.
func (s *Stock) returnGoods(c call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var request reservationRequest
	if err := c.read(&request); err != nil {
		return nil, err
	}
	r := s.known.last[c.key]
	before, again := r.Returns[c.refund]
	switch {
	case r.OrderID != "" && r.OrderID != request.OrderID, again && !slices.Equal(before, request.Lines):
		return nil, fault.New(fault.Conflict, "the key was already used for different content")
	case again:
		return reservationBody{Result: "done"}, nil
	}
	for _, item := range request.Lines {
		i := slices.IndexFunc(r.Items, func(of stock.Item) bool { return of.SKU == item.SKU })
		if r.State != committed || i < 0 || item.Quantity > r.Items[i].Quantity-r.returned(item.SKU) {
			return nil, fault.New(fault.Invalid, "less of %s was committed", item.SKU)
		}
	}
	r.Returns = maps.Clone(r.Returns)
	if r.Returns == nil {
		r.Returns = make(map[string][]stock.Item)
	}
	r.Returns[c.refund] = request.Lines
	return reservationBody{Result: "done"}, s.known.put(c.key, r)
}
