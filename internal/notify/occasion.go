package notify

import "time"

// Occasion is the event of an order that a message is about. EventID is empty if it has not happened.
type Occasion struct {
	EventID string
	At      time.Time
	// CustomerID and CorrelationID of the order.
	CustomerID, CorrelationID string
	// Facts are the data for the template.
	Facts Facts
}
