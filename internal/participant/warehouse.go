package participant

import (
	"cmp"
	"context"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/payment"
)

// Warehouse is an inventory service: the stock of the order flow. It has one reservation for each order.
type Warehouse struct{ *client }

// NewWarehouse returns the stock of an inventory service. It does no I/O. The error is Invalid.
func NewWarehouse(c Config) (*Warehouse, error) {
	p, err := newClient(c)
	return &Warehouse{p}, err
}

// Describe asks the service for its traits. Unavailable if it does not answer, Invalid if it is no inventory service of this contract.
func (w *Warehouse) Describe(ctx context.Context) error {
	_, err := w.describe(ctx)
	return err
}

// ReservationKey is the key of an order's reservation in the contract: a UUID.
func ReservationKey(orderID string) string {
	return event.DerivedID("key", "reservation", event.Escape(orderID))
}

// reservationBody is the body of every request about a reservation.
type reservationBody struct {
	OrderID string       `json:"orderId"`
	Lines   []stock.Item `json:"lines"`
}

// reservationLine is a line of an answer.
type reservationLine struct {
	SKU       string `json:"sku" required:"true"`
	Quantity  int64  `json:"quantity"`
	Reason    string `json:"reason"`
	Available int64  `json:"available"`
}

// reservationAnswer is the answer to a request about a reservation: with a result for an effect, with a state for a look-up.
type reservationAnswer struct {
	Result string            `json:"result"`
	State  string            `json:"state"`
	Reason string            `json:"reason"`
	Lines  []reservationLine `json:"lines"`
}

// complain adds what the contract does not allow. allowed are the results of the operation; none for a look-up.
func (a *reservationAnswer) complain(d *jsondoc.Doc, allowed ...string) {
	if len(allowed) == 0 {
		oneOf(d, "/state", a.State, "absent", "reserved", "refused", "undone", "committed")
	} else {
		oneOf(d, "/result", a.Result, allowed...)
	}
	if !a.refused() {
		return
	}
	oneOf(d, "/reason", a.Reason, stock.OutOfStock, stock.UnknownSKU)
	lacking := 0
	for _, line := range a.Lines {
		d.Require(line.Available >= 0, "/lines", "available must not be negative")
		if line.Reason != "" {
			oneOf(d, "/lines", line.Reason, stock.OutOfStock, stock.UnknownSKU)
			lacking++
		}
	}
	d.Require(lacking > 0, "/lines", "must name the SKUs that lack stock")
}

func (a *reservationAnswer) refused() bool {
	return a.Result == resultRefused || a.State == resultRefused
}

// perItem is the answer for each item.
func (a *reservationAnswer) perItem(items []stock.Item, effect stock.Effect) ([]stock.Reservation, error) {
	answers, lacking := make([]stock.Reservation, len(items)), 0
	for n, item := range items {
		if !a.refused() {
			answers[n].Effect = effect
			continue
		}
		i := slices.IndexFunc(a.Lines, func(l reservationLine) bool { return l.SKU == item.SKU && l.Reason != "" })
		if i < 0 {
			continue // nothing is reserved if one SKU is refused
		}
		lacking++
		answers[n] = stock.Reservation{Effect: stock.Refused, Reason: a.Lines[i].Reason, Available: a.Lines[i].Available}
	}
	if a.refused() && lacking == 0 {
		return nil, fault.New(fault.OutcomeUnknown, "the inventory service has refused SKUs that the order does not have")
	}
	return answers, nil
}

func (w *Warehouse) effect(
	ctx context.Context, operation, suffix, orderID string, items []stock.Item, problems map[string]fault.Code, allowed ...string,
) (*reservationAnswer, error) {
	out, key := &reservationAnswer{}, ReservationKey(orderID)
	body, err := bodyOf(orderID, items)
	if err != nil {
		return nil, err
	}
	return out, w.call(ctx, request{
		operation: operation, path: "/reservations/" + key + suffix, keys: []string{key}, body: body, problems: problems,
		complain: func(d *jsondoc.Doc) { out.complain(d, allowed...) },
	}, out)
}

// bodyOf is the body of a request: one line for each SKU, in byte order. The error is Invalid.
func bodyOf(orderID string, items []stock.Item) (reservationBody, error) {
	lines := slices.SortedFunc(slices.Values(items), func(a, b stock.Item) int { return cmp.Compare(a.SKU, b.SKU) })
	wrong := !event.ValidID(orderID) || len(lines) == 0
	for n, line := range lines {
		wrong = wrong || !event.ValidID(line.SKU) || line.Quantity < 1 || line.Quantity > payment.MaxAmount || n > 0 && lines[n-1].SKU == line.SKU
	}
	if wrong {
		return reservationBody{}, fault.New(fault.Invalid, "a reservation requires an order ID and lines with different SKUs and quantities above zero")
	}
	return reservationBody{orderID, lines}, nil
}

// Acquire reserves all items or none. The hints of the request are for ledgers: a warehouse answers for good.
func (w *Warehouse) Acquire(ctx context.Context, r stock.ReserveRequest) ([]stock.Reservation, error) {
	out, err := w.effect(ctx, "reserve", "", r.OrderID, r.Items, problemsOfDo, resultDone, resultRefused, resultUndone)
	if err != nil {
		return nil, err
	}
	return out.perItem(r.Items, stock.Effect(out.Result))
}

// Lookup reports the result of the reservation of each item; the Effect is empty when nothing is known of it.
func (w *Warehouse) Lookup(ctx context.Context, orderID string, items []stock.Item) ([]stock.Reservation, error) {
	out, err := w.find(ctx, orderID)
	if err != nil {
		return nil, err
	}
	effect := stock.Effect("")
	switch out.State {
	case "reserved", "committed":
		effect = stock.Done
	case "undone":
		effect = stock.Undone
	}
	return out.perItem(items, effect)
}

func (w *Warehouse) find(ctx context.Context, orderID string) (*reservationAnswer, error) {
	out, key := &reservationAnswer{}, ReservationKey(orderID)
	return out, w.call(ctx, request{
		operation: "findReservation", path: "/reservations/" + key, keys: []string{key}, complain: func(d *jsondoc.Doc) { out.complain(d) },
	}, out)
}

// State returns the state of the order's reservation as the contract names it, for checks.
func (w *Warehouse) State(ctx context.Context, orderID string) (string, error) {
	out, err := w.find(ctx, orderID)
	return out.State, err
}

// Release makes it so that the order holds nothing, now and later.
func (w *Warehouse) Release(ctx context.Context, orderID string, items []stock.Item) error {
	_, err := w.effect(ctx, "release", "/release", orderID, items, problemsOfUndo, resultUndone)
	return err
}

// Commit makes the reservation final: the goods leave the stock.
func (w *Warehouse) Commit(ctx context.Context, orderID string, items []stock.Item) error {
	_, err := w.effect(ctx, "commit", "/commit", orderID, items, problemsOfCommit, resultDone)
	return err
}

var problemsOfCommit = map[string]fault.Code{
	codeConflict: fault.Conflict, codeSettled: fault.EffectSettled, codeInvalid: fault.Invalid, codeInsufficient: fault.StockInsufficient,
}

// ReturnKey is the key of goods that a refund returns, in the contract: a UUID.
func ReturnKey(orderID, refundID, sku string) string {
	return event.DerivedID("key", "return", event.Escape(orderID), event.Escape(refundID), event.Escape(sku))
}

// Return puts goods of a committed reservation into stock again, once for each refund and SKU. Invalid if more would be returned than was committed.
func (w *Warehouse) Return(ctx context.Context, orderID, refundID, sku string, quantity int64) error {
	body, err := bodyOf(orderID, []stock.Item{{SKU: sku, Quantity: quantity}})
	if err != nil {
		return err
	}
	out, key, back := &reservationAnswer{}, ReservationKey(orderID), ReturnKey(orderID, refundID, sku)
	return w.call(ctx, request{
		operation: "returnGoods", path: "/reservations/" + key + "/returns/" + back, keys: []string{key, back}, body: body, problems: problemsOfDo,
		complain: func(d *jsondoc.Doc) { out.complain(d, resultDone) },
	}, out)
}
