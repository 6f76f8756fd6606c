package order

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// UnmarshalJSON reads a state as payloads have it. One that a version before the saga kit has written knows neither the saga's ID nor
// its slots; both follow from what it does know.
func (s *State) UnmarshalJSON(raw []byte) error {
	type plain State
	if err := json.Unmarshal(raw, (*plain)(s)); err != nil {
		return err
	}
	if !s.Opened() || len(s.Slots) > 0 {
		return nil
	}
	var waits struct {
		Payment  time.Time `json:"paymentExpiresAt"`
		Dispatch time.Time `json:"dispatchExpiresAt"`
		Delivery time.Time `json:"deliveryExpiresAt"`
	}
	if err := json.Unmarshal(raw, &waits); err != nil {
		return err
	}
	s.ID = s.Order.ID
	take := func(taken bool, slot saga.Slot) {
		if taken && !s.Has(slot.Key) {
			slot.At = cmp.Or(slot.At, s.UpdatedAt)
			s.Slots = append(s.Slots, slot)
		}
	}
	take(true, saga.Slot{Key: SlotAccept, Type: event.OrderAccepted, At: s.CreatedAt})
	take(s.Inventory == InventoryReserved, saga.Slot{Key: SlotReserve, Type: event.InventoryReserved})
	take(s.Inventory == InventoryRejected, saga.Slot{Key: SlotReserve, Type: event.InventoryRejected, Reason: s.Reason})
	take(!s.PendingSince.IsZero(), saga.Slot{Key: SlotPending, Type: event.PaymentPending, At: s.PendingSince, ExpiresAt: waits.Payment})
	take(s.Payment == PaymentAuthorized, saga.Slot{Key: SlotAuthorize, Type: event.PaymentAuthorized})
	take(s.Payment == PaymentDeclined, saga.Slot{Key: SlotAuthorize, Type: event.PaymentDeclined, Reason: s.PaymentReason})
	take(!s.ConfirmedAt.IsZero(), saga.Slot{Key: SlotConfirm, Type: event.OrderConfirmed, At: s.ConfirmedAt, ExpiresAt: waits.Dispatch})
	take(!s.ShippedAt.IsZero(), saga.Slot{Key: SlotShip, Type: event.OrderShipped, At: s.ShippedAt, ExpiresAt: waits.Delivery})
	take(s.Capture == CaptureDone, saga.Slot{Key: SlotCapture, Type: event.PaymentCaptured})
	take(s.Capture == CaptureRefused, saga.Slot{Key: SlotCapture, Type: event.PaymentCaptureRefused, Reason: ReasonCaptureRefused})
	take(s.Committed, saga.Slot{Key: SlotCommit, Type: event.InventoryCommitted})
	take(!s.DeliveredAt.IsZero(), saga.Slot{Key: SlotDeliver, Type: event.OrderDelivered, At: s.DeliveredAt})
	take(s.Withdrawn, saga.Slot{Key: UndoSlot(StepConfirm), Type: event.OrderFulfillmentWithdrawn})
	take(s.Refunded, saga.Slot{Key: UndoSlot(StepAuthorize), Type: event.PaymentRefunded})
	take(s.Voided, saga.Slot{Key: UndoSlot(StepAuthorize), Type: event.PaymentVoided})
	take(s.Released, saga.Slot{Key: UndoSlot(StepReserve), Type: event.InventoryReleased})
	for _, h := range s.ByHand {
		slot := saga.Slot{Key: h.Step, Type: saga.Resolution{Action: h.Action}.EventType("order")}
		switch {
		case h.Undo:
			slot.Key = UndoSlot(h.Step)
		case h.Step == StepCapture && s.Capture == CaptureRefused:
			slot.Key = SlotRefusalSettled
		}
		take(true, slot)
	}
	return nil
}
