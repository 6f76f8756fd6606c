package api

import (
	"cmp"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/text"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// decoded reads a request body into a D, of which build makes what it says. The error is Malformed for a body that cannot be parsed, and
// Invalid for one that breaks a rule; the latter names every place at once.
func decoded[D, T any](body []byte, what string, build func(doc *jsondoc.Doc, d D) (T, error)) (T, error) {
	var d D
	var none T
	doc, err := jsondoc.Read(body, jsondoc.Options{})
	if err != nil {
		return none, err
	}
	doc.Into(&d)
	content, err := build(doc, d)
	if err = cmp.Or(doc.Merge(err), doc.Err(what)); err != nil {
		return none, err
	}
	return content, nil
}

// validateText complains about a text for people that is too long, or has characters that are not printed.
func validateText(doc *jsondoc.Doc, at, s string, most int) {
	for _, rule := range text.Validate(s, most) {
		doc.Complain(at, "%s", rule)
	}
}

// maxReason is the most characters that the reason of a cancellation may have. It becomes part of events.
const maxReason = 500

// decodeReason reads the body of a cancellation, which may be missing. The reason is cleaned as that of an event is: a line break
// in it is no reason to continue an order.
func decodeReason(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	return decoded(body, "cancellation", func(doc *jsondoc.Doc, d struct {
		Reason string `json:"reason"`
	},
	) (string, error) {
		if utf8.RuneCountInString(d.Reason) > maxReason {
			doc.Complain("/reason", "%s", fault.RuleLength(maxReason))
		}
		return text.Clean(d.Reason, maxReason), nil
	})
}

func decodeResolution(body []byte) (saga.Resolution, error) {
	return decoded(body, "resolution", func(doc *jsondoc.Doc, d struct {
		Action    saga.ResolutionAction `json:"action"`
		Attention *int64                `json:"attention"`
		By        string                `json:"by"`
		Note      string                `json:"note"`
		Reference string                `json:"reference"`
	},
	) (saga.Resolution, error) {
		r := saga.Resolution{Action: d.Action, By: d.By, Note: d.Note, Reference: d.Reference}
		if d.Attention != nil {
			if r.Attention = int(*d.Attention); r.Attention == 0 {
				r.Attention = -1 // 0 is for one that is not named
			}
		}
		validateText(doc, "/note", r.Note, saga.MaxNote)
		validateText(doc, "/reference", r.Reference, saga.MaxReference)
		return r, r.Validate()
	})
}

// stockChange is what the body of a change of the stock says. Each kind of change knows its own fields; what quantities are allowed is
// the ledger's rule.
type stockChange struct {
	quantity int64
	note     string
	// by is the caller; empty when callers are not authenticated.
	by string
}

func decodeReceipt(body []byte) (stockChange, error) {
	return decoded(body, "receipt", func(_ *jsondoc.Doc, d struct {
		Quantity int64 `json:"quantity" required:"true"`
	},
	) (stockChange, error) {
		return stockChange{quantity: d.Quantity}, nil
	})
}

func decodeAdjustment(body []byte) (stockChange, error) {
	return decoded(body, "adjustment", func(doc *jsondoc.Doc, d struct {
		Quantity int64  `json:"quantity" required:"true"`
		Note     string `json:"note"`
	},
	) (stockChange, error) {
		validateText(doc, "/note", d.Note, maxNote)
		return stockChange{quantity: d.Quantity, note: d.Note}, nil
	})
}

func decodeCount(body []byte) (stockChange, error) {
	return decoded(body, "count", func(_ *jsondoc.Doc, d struct {
		Counted int64 `json:"counted" required:"true"`
	},
	) (stockChange, error) {
		return stockChange{quantity: d.Counted}, nil
	})
}

type letterDecision struct {
	By   string `json:"by"`
	Note string `json:"note"`
}

func decodeDiscard(body []byte) (deadletter.Request, error) {
	return decoded(body, "request", func(_ *jsondoc.Doc, d letterDecision) (deadletter.Request, error) {
		r := deadletter.Request{By: d.By, Note: d.Note}
		return r, r.Validate()
	})
}

func decodeReplay(body []byte) (deadletter.Request, error) {
	return decoded(body, "request", func(doc *jsondoc.Doc, d struct {
		letterDecision
		Force bool `json:"force"`
		Body  *any `json:"body"`
	},
	) (r deadletter.Request, err error) {
		r = deadletter.Request{By: d.By, Note: d.Note, Force: d.Force}
		if d.Body != nil {
			var ok bool
			if r.Body, ok = payload(*d.Body); !ok {
				doc.Complain("/body", "must be an object or a string, which is sent unchanged")
			}
		}
		return r, r.Validate()
	})
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
