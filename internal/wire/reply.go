package wire

import (
	"cmp"
	"encoding/json"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// nestReply is the reply that NestJS's ClientProxy.send waits for: a single one. It has either Response or Err.
type nestReply struct {
	ID         string    `json:"id"`
	Response   *accepted `json:"response,omitempty"`
	Err        *refused  `json:"err,omitempty"`
	IsDisposed bool      `json:"isDisposed"`
}

// accepted is the response to a handled event. The outcome of its order is published as events.
type accepted struct {
	Status        string `json:"status"` // accepted
	Type          string `json:"type"`
	EventID       string `json:"eventId"`
	Subject       string `json:"subject"`
	CorrelationID string `json:"correlationId,omitempty"`
}

// refused is the error for a dead-lettered event, in the form of NestJS's RpcException. Code is a code of internal/fault; Errors has the invalid
// fields.
type refused struct {
	Status  string        `json:"status"` // error
	Code    fault.Code    `json:"code"`
	Message string        `json:"message"`
	Errors  []fault.Field `json:"errors,omitempty"`
}

// NestReply returns the reply to a message of NestJS's ClientProxy.send: a packet with pattern and id. err is why the event was refused. The reply
// is for the queue in ReplyTo; ok is false if the sender does not wait for a reply.
func NestReply(m Message, err error) (reply Message, ok bool) {
	if m.ReplyTo == "" {
		return Message{}, false
	}
	packet := skim(m.Body, true)
	id := packet.scalar("id")
	if id == "" || !packet.has("pattern") || packet.has("specversion") {
		return Message{}, false
	}
	body := nestReply{ID: id, IsDisposed: true}
	if err != nil {
		body.Err = &refused{Status: "error", Code: fault.CodeOf(err), Message: fault.SafeMessage(err), Errors: fault.FieldsOf(err)}
	} else {
		body.Response = &accepted{Status: "accepted"}
		if e, err := Decode(m); err == nil {
			body.Response.Type, body.Response.EventID, body.Response.Subject = e.Type, e.ID, e.Subject
			body.Response.CorrelationID = cmp.Or(e.CorrelationID, e.ID)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return Message{}, false
	}
	return Message{ContentType: "application/json", CorrelationID: cmp.Or(m.CorrelationID, id), AppID: AppID, Body: raw}, true
}
