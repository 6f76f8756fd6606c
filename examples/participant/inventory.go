package main

import (
	"maps"
	"slices"
)

type line struct {
	SKU       string `json:"sku"`
	Quantity  int64  `json:"quantity"`
	Reason    string `json:"reason,omitempty"`
	Available *int64 `json:"available,omitempty"`
}

// order is the content of a request about a reservation.
type order struct {
	OrderID string `json:"orderId"`
	Lines   []line `json:"lines"`
}

// reservation is what was decided about a key. State is reserved, refused, undone or committed; Fenced is set when the release came first.
type reservation struct {
	order
	State  string `json:"state"`
	Fenced bool   `json:"fenced,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Returns are the goods that came back, by their keys.
	Returns map[string][]line `json:"returns,omitempty"`
}

// held are the lines that are not available to others.
func (r reservation) held() []line {
	if r.State != "reserved" && r.State != "committed" {
		return nil
	}
	held := slices.Clone(r.Lines)
	for _, lines := range r.Returns {
		for _, l := range lines {
			held = append(held, line{SKU: l.SKU, Quantity: -l.Quantity})
		}
	}
	return held
}

// reservation returns what was decided about a key, unless it was decided about another order.
func (s *service) reservation(key string, o order) (reservation, error) {
	r, found := s.reservations[key]
	same := func(a, b line) bool { return a.SKU == b.SKU && a.Quantity == b.Quantity }
	if found && !r.Fenced && (r.OrderID != o.OrderID || !slices.EqualFunc(r.Lines, o.Lines, same)) {
		return r, conflict("the key was used for other content")
	}
	return r, nil
}

func (s *service) findReservation(key, _ string, _ struct{}) (object, error) {
	r, found := s.reservations[key]
	switch {
	case !found:
		return object{"state": "absent"}, nil
	case r.State == "refused":
		return object{"state": r.State, "reason": r.Reason, "lines": r.Lines}, nil
	case r.Fenced:
		return object{"state": r.State}, nil
	}
	return object{"state": r.State, "lines": r.Lines}, nil
}

func (s *service) reserve(key, _ string, o order) (object, error) {
	r, err := s.reservation(key, o)
	if err != nil {
		return nil, err
	}
	if r.State == "" { // the first request decides, and the decision stays
		r = reservation{order: o, State: "reserved"}
		for i, l := range o.Lines {
			available, known := s.stock[l.SKU]
			if l.SKU == "" || l.Quantity < 1 {
				return nil, invalid("a line has no SKU or no quantity")
			}
			if l.Quantity <= available {
				continue
			}
			reason := "out_of_stock"
			if !known {
				reason = "unknown_sku"
			}
			o.Lines[i].Reason, o.Lines[i].Available = reason, &available
			r.State, r.Reason = "refused", reason
		}
		if err := s.save(record{Key: key, Reservation: &r}); err != nil {
			return nil, err
		}
	}
	switch r.State {
	case "refused":
		lacking := slices.DeleteFunc(slices.Clone(r.Lines), func(l line) bool { return l.Reason == "" })
		return object{"result": "refused", "reason": r.Reason, "lines": lacking}, nil
	case "undone":
		return object{"result": "undone"}, nil
	}
	return object{"result": "done"}, nil
}

func (s *service) commit(key, _ string, o order) (object, error) {
	r, err := s.reservation(key, o)
	switch {
	case err != nil:
		return nil, err
	case r.State == "":
		return nil, invalid("nothing was reserved")
	case r.State == "refused", r.State == "undone":
		return nil, settled("the reservation is " + r.State)
	case r.State == "reserved":
		r.State = "committed"
		err = s.save(record{Key: key, Reservation: &r})
	}
	return object{"result": "done"}, err
}

func (s *service) release(key, _ string, o order) (object, error) {
	r, err := s.reservation(key, o)
	switch {
	case err != nil:
		return nil, err
	case r.State == "committed":
		return nil, settled("the reservation was committed")
	case r.State == "": // the reservation that comes later finds this
		err = s.save(record{Key: key, Reservation: &reservation{State: "undone", Fenced: true}})
	case r.State == "reserved":
		r.State = "undone"
		err = s.save(record{Key: key, Reservation: &r})
	}
	return object{"result": "undone"}, err
}

// returnGoods puts goods that left the stock into stock again, once for each return key.
func (s *service) returnGoods(key, returnKey string, o order) (object, error) {
	r, found := s.reservations[key]
	before, again := r.Returns[returnKey]
	same := func(a, b line) bool { return a.SKU == b.SKU && a.Quantity == b.Quantity }
	switch {
	case found && !r.Fenced && r.OrderID != o.OrderID, again && !slices.EqualFunc(before, o.Lines, same):
		return nil, conflict("the key was used for other content")
	case again:
		return object{"result": "done"}, nil
	case r.State != "committed":
		return nil, invalid("the goods have not left the stock")
	}
	left := map[string]int64{}
	for _, l := range r.held() {
		left[l.SKU] += l.Quantity
	}
	for _, l := range o.Lines {
		if l.Quantity < 1 || l.Quantity > left[l.SKU] {
			return nil, invalid("less of it has left the stock")
		}
	}
	if r.Returns = maps.Clone(r.Returns); r.Returns == nil {
		r.Returns = map[string][]line{}
	}
	r.Returns[returnKey] = o.Lines
	return object{"result": "done"}, s.save(record{Key: key, Reservation: &r})
}
