package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
)

// remoteLetters are the dead letters of a service, over REST. It implements api.DeadLetters; its lists have one page.
type remoteLetters struct {
	client *client.Client
	// by makes the person of a request that the service accepts.
	by func(string) string
}

func (r remoteLetters) List(ctx context.Context, f deadletter.Filter) ([]deadletter.Letter, string, error) {
	filter := client.DeadLetterFilter{Types: f.Types, FailedFrom: f.From, FailedTo: f.To}
	for _, reason := range f.Reasons {
		filter.Reasons = append(filter.Reasons, string(reason))
	}
	for _, status := range f.Statuses {
		filter.Statuses = append(filter.Statuses, string(status))
	}
	letters := []deadletter.Letter{}
	for l, err := range r.client.DeadLetters(ctx, filter) {
		if err != nil {
			return nil, "", faultOf(err)
		}
		letter, err := letterOf(l)
		if err != nil {
			return nil, "", err
		}
		letters = append(letters, letter)
	}
	return letters, "", nil
}

func (r remoteLetters) Show(ctx context.Context, id string) (deadletter.Letter, error) {
	return letterFrom(r.client.DeadLetter(ctx, id))
}

func (r remoteLetters) DryRun(ctx context.Context, id string, d deadletter.Request) (deadletter.DryRun, error) {
	request, err := r.request(d)
	if err != nil {
		return deadletter.DryRun{}, err
	}
	run, err := r.client.DryRunDeadLetter(ctx, id, request)
	return deadletter.DryRun{Preview: deadletter.Preview{Outcome: run.Outcome, Sentence: run.Would, OrderID: run.OrderID}, Refusal: run.Refusal}, faultOf(err)
}

func (r remoteLetters) Replay(ctx context.Context, id string, d deadletter.Request) (deadletter.Letter, error) {
	request, err := r.request(d)
	if err != nil {
		return deadletter.Letter{}, err
	}
	return letterFrom(r.client.ReplayDeadLetter(ctx, id, request))
}

func (r remoteLetters) Discard(ctx context.Context, id string, d deadletter.Request) (deadletter.Letter, error) {
	return letterFrom(r.client.DiscardDeadLetter(ctx, id, r.by(d.By), d.Note))
}

func (r remoteLetters) request(d deadletter.Request) (client.ReplayRequest, error) {
	request := client.ReplayRequest{By: r.by(d.By), Note: d.Note, Force: d.Force}
	if d.Body != nil {
		if !utf8.Valid(d.Body) {
			return request, errors.New("--body: the payload is not UTF-8; send it without ORDERSAGA_URL")
		}
		request.Body = string(d.Body)
	}
	return request, nil
}

func letterFrom(l client.DeadLetter, err error) (deadletter.Letter, error) {
	if err != nil {
		return deadletter.Letter{}, faultOf(err)
	}
	return letterOf(l)
}

// letterOf is a letter with its content.
func letterOf(l client.DeadLetter) (deadletter.Letter, error) {
	letter, err := converted[deadletter.Letter](l)
	if err != nil {
		return letter, err
	}
	properties, err := converted[deadletter.Properties](l.Properties)
	if err != nil {
		return letter, err
	}
	m := &letter.Message
	m.ContentType, m.ContentEncoding, m.MessageID = properties.ContentType, properties.ContentEncoding, properties.MessageID
	m.CorrelationID, m.Type, m.AppID, m.Timestamp = properties.CorrelationID, properties.Type, properties.AppID, properties.Timestamp.Time
	m.Headers, m.Exchange, m.RoutingKey = l.Headers, l.OriginExchange, l.OriginRoutingKey
	if l.Payload != nil {
		if m.Body = []byte(*l.Payload); l.PayloadEncoding == "base64" {
			if m.Body, err = base64.StdEncoding.DecodeString(*l.Payload); err != nil {
				return letter, err
			}
		}
	}
	for _, e := range l.History {
		record, err := converted[event.Record](e)
		if err != nil {
			return letter, err
		}
		letter.History = append(letter.History, record)
	}
	return letter, nil
}
