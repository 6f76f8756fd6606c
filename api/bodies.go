package api

import (
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/text"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// The readers of request bodies. Their errors are Malformed for a body that cannot be parsed, and Invalid for one that breaks a rule;
// the latter names every place at once.

// readInto reads a body into a struct; what does not fit is in the document.
func readInto(body []byte, into any) (*jsondoc.Doc, error) {
	doc, err := jsondoc.Read(body, jsondoc.Options{})
	if err == nil {
		doc.Into(into)
	}
	return doc, err
}

// validateText complains about a text for people that is too long, or has characters that are not printed.
func validateText(doc *jsondoc.Doc, at, s string, most int) {
	for _, rule := range text.Validate(s, most) {
		doc.Complain(at, "%s", rule)
	}
}

// decodeOrder reads the body of POST /v1/orders: a valid and normalized order without an id.
func decodeOrder(body []byte) (order.Order, error) {
	var d order.Draft
	doc, err := readInto(body, &d)
	if err != nil {
		return order.Order{}, err
	}
	o := d.Order(doc.Wrong)
	if err := doc.Merge(o.Validate()); err != nil {
		return order.Order{}, err
	}
	if err := doc.Err("order"); err != nil {
		return order.Order{}, err
	}
	return o.Normalize(), nil
}

// maxReason is the most characters that the reason of a cancellation may have. It becomes part of events.
const maxReason = 500

// decodeReason reads the body of a cancellation, which may be missing. The reason is cleaned as that of an event is: a line break
// in it is no reason to go on with an order.
func decodeReason(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	var d struct {
		Reason string `json:"reason"`
	}
	doc, err := readInto(body, &d)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(d.Reason) > maxReason {
		doc.Complain("/reason", "%s", fault.RuleLength(maxReason))
	}
	return text.Clean(d.Reason, maxReason), doc.Err("cancellation")
}

// decodeResolution reads the body of a decision about a saga that needs attention.
func decodeResolution(body []byte) (order.Resolution, error) {
	var d struct {
		Action    order.ResolutionAction `json:"action"`
		Attention *int64                 `json:"attention"`
		By        string                 `json:"by"`
		Note      string                 `json:"note"`
		Reference string                 `json:"reference"`
	}
	doc, err := readInto(body, &d)
	if err != nil {
		return order.Resolution{}, err
	}
	r := order.Resolution{Action: d.Action, By: d.By, Note: d.Note, Reference: d.Reference}
	if d.Attention != nil {
		if r.Attention = int(*d.Attention); r.Attention == 0 {
			r.Attention = -1 // 0 is for one that is not named
		}
	}
	validateText(doc, "/note", r.Note, order.MaxNote)
	validateText(doc, "/reference", r.Reference, order.MaxReference)
	if err := doc.Merge(r.Validate()); err != nil {
		return order.Resolution{}, err
	}
	return r, doc.Err("resolution")
}

// stockChange is the body of a change of the stock. Each kind of change knows its own fields.
type stockChange struct {
	quantity int64
	note     string
}

// decodeStockChange reads the body of a receipt, an adjustment or a count. What quantities are allowed is the ledger's rule.
func decodeStockChange(body []byte, what string) (change stockChange, err error) {
	var doc *jsondoc.Doc
	switch what {
	case "count":
		var d struct {
			Counted int64 `json:"counted" required:"true"`
		}
		doc, err = readInto(body, &d)
		change.quantity = d.Counted
	case "adjustment":
		var d struct {
			Quantity int64  `json:"quantity" required:"true"`
			Note     string `json:"note"`
		}
		doc, err = readInto(body, &d)
		change = stockChange{d.Quantity, d.Note}
	default:
		var d struct {
			Quantity int64 `json:"quantity" required:"true"`
		}
		doc, err = readInto(body, &d)
		change.quantity = d.Quantity
	}
	if err != nil {
		return stockChange{}, err
	}
	validateText(doc, "/note", change.note, maxNote)
	return change, doc.Err(what)
}

// letterDecision is what a decision about a dead letter says.
type letterDecision struct {
	By   string `json:"by"`
	Note string `json:"note"`
}

// decodeDiscard reads the body of a discarded dead letter.
func decodeDiscard(body []byte) (deadletter.Request, error) {
	var d letterDecision
	doc, err := readInto(body, &d)
	if err != nil {
		return deadletter.Request{}, err
	}
	return validLetterRequest(doc, deadletter.Request{By: d.By, Note: d.Note})
}

// decodeReplay reads the body of a replayed dead letter.
func decodeReplay(body []byte) (deadletter.Request, error) {
	var d struct {
		letterDecision
		Force bool `json:"force"`
		Body  *any `json:"body"`
	}
	doc, err := readInto(body, &d)
	if err != nil {
		return deadletter.Request{}, err
	}
	r := deadletter.Request{By: d.By, Note: d.Note, Force: d.Force}
	if d.Body != nil {
		var ok bool
		if r.Body, ok = payload(*d.Body); !ok {
			doc.Complain("/body", "must be an object, or a string that is sent as it is")
		}
	}
	return validLetterRequest(doc, r)
}

func validLetterRequest(doc *jsondoc.Doc, r deadletter.Request) (deadletter.Request, error) {
	if err := doc.Merge(r.Validate()); err != nil {
		return r, err
	}
	return r, doc.Err("request")
}

// payload is what replaces a letter's payload: an object is sent as JSON, a string as it is.
func payload(value any) ([]byte, bool) {
	switch v := value.(type) {
	case string:
		return []byte(v), true
	case map[string]any:
		raw, err := encodeJSON(v)
		if err == nil {
			return raw[:len(raw)-1], true
		}
	}
	return nil, false
}
