package notify

import "time"

// Occasion is the event of an order that a message is about. EventID is empty when it has not happened.
type Occasion struct {
	EventID string
	At      time.Time
	// CustomerID and CorrelationID are the order's.
	CustomerID, CorrelationID string
	// Facts are what the message says of the order.
	Facts Facts
}
