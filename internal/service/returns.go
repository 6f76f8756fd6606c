package service

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// refundWait bounds how long an attempt waits for the refund of a return. It is within the time of one attempt, and most refunds take milliseconds.
const refundWait = time.Second

// refundsOfReturns starts the refunds of returns.
type refundsOfReturns struct {
	sagas sagaclient.Sagas
	log   *eventlog.Follower
}

// Refund implements returns.Refunds.
func (r refundsOfReturns) Refund(ctx context.Context, id, correlationID string, request refund.Request) (refund.State, error) {
	reader := refund.Reader{Log: r.log}
	state, err := reader.Load(ctx, id)
	if err != nil || state.Ended {
		return state, err
	}
	if !state.Opened() {
		body, err := json.Marshal(request)
		if err != nil {
			return state, fault.Wrap(err, fault.Internal, "write the refund of return %s", request.ReturnID)
		}
		if _, _, err := r.sagas.Start(ctx, sagaclient.Request{ID: id, Body: body, CorrelationID: correlationID, CallerID: true}); err != nil {
			return state, err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, refundWait)
	defer cancel()
	for record, err := range r.log.Follow(waiting, refund.Flow.StreamOf(id), state.Head.Version) {
		if err != nil || record.Key == saga.SlotEnd {
			break
		}
	}
	return reader.Load(ctx, id)
}
