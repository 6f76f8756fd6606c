package wire

import (
	"encoding/json"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// nestReply is what NestJS's ClientProxy.send waits for: one answer, which is the last one. Exactly one of Response and Err
// is there.
type nestReply struct {
	ID         string    `json:"id"`
	Response   *taken    `json:"response,omitempty"`
	Err        *notTaken `json:"err,omitempty"`
	IsDisposed bool      `json:"isDisposed"`
}

// taken is the response to an event that was handled. What becomes of its order is told by the order's own events.
type taken struct {
	Status        string `json:"status"` // accepted
	Type          string `json:"type"`
	EventID       string `json:"eventId"`
	Subject       string `json:"subject"`
	CorrelationID string `json:"correlationId,omitempty"`
}

// notTaken is the error for an event that is a dead letter, in the form of NestJS's RpcException. Code is a code of internal/fault,
// and Errors names the fields that are wrong.
type notTaken struct {
	Status  string        `json:"status"` // error
	Code    fault.Code    `json:"code"`
	Message string        `json:"message"`
	Errors  []fault.Field `json:"errors,omitempty"`
}

// NestReply returns the reply to a message with which NestJS's ClientProxy.send waits for one: a packet with a pattern and an
// id. err says why the event was not taken. The reply is for the queue in ReplyTo; ok is false when nobody waits for it.
func NestReply(m Message, err error) (reply Message, ok bool) {
	packet := scan(m.Body, true)
	id := packet.text("id")
	if m.ReplyTo == "" || id == "" || !packet.has("pattern") || packet.has("specversion") {
		return Message{}, false
	}
	body := nestReply{ID: id, IsDisposed: true}
	if err != nil {
		body.Err = &notTaken{Status: "error", Code: fault.CodeOf(err), Message: fault.SafeMessage(err), Errors: fault.FieldsOf(err)}
	} else {
		body.Response = &taken{Status: "accepted"}
		if e, err := Decode(m); err == nil {
			body.Response.Type, body.Response.EventID, body.Response.Subject = e.Type, e.ID, e.Subject
			body.Response.CorrelationID = first(e.CorrelationID, e.ID)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return Message{}, false
	}
	return Message{ContentType: "application/json", CorrelationID: first(m.CorrelationID, id), AppID: AppID, Body: raw}, true
}
